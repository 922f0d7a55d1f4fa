"""Runs a Prefect server protected by a password, as a separate program."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from pupila.errors import PupilaError
from pupila_flows import stopping
from pupila_flows.served import VARIABLE
from pupila_flows.station.address import SECRET, Address
from pupila_flows.station.files import Files
from pupila_flows.station.guard import Guard

_SHUTDOWN_SECONDS = 5


def server_command(address: Address, *more: str) -> tuple[str, ...]:
    """Return the module and arguments that start the server at `address` as a program of its own.

    `more` are further arguments. The environment of that program must have the password.
    """
    urls = (argument for url in sorted(address.urls) for argument in ("--url", url))
    where = ("--host", address.host, "--port", str(address.port))
    return (__name__, *where, *urls, *more)


def serve(
    address: Address,
    *,
    temporary: bool = False,
    listener: socket.socket | None = None,
    started: int | None = None,
) -> None:
    """Serve Prefect's API and UI, and a workspace's pages, until a signal ends the server.

    A `temporary` server has only the API. The server listens on the socket `listener`, if given,
    and writes a line to the file descriptor `started` once it answers.

    Raises:
        PupilaError: the server could not be started.
    """
    os.environ.pop(SECRET, None)  # else Prefect would ask for a password too
    from prefect.server.api.server import create_app
    from prefect.settings import (
        PREFECT_SERVER_API_AUTH_STRING,
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
        PREFECT_SERVER_UI_API_URL,
        temporary_settings,
    )

    fixed: dict[Any, str] = {
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS: address.root,
        # the page uses the host it came from, so that it works with another port or a proxy
        PREFECT_SERVER_UI_API_URL: "/api",
    }
    with temporary_settings(fixed, restore_defaults=[PREFECT_SERVER_API_AUTH_STRING]):
        app: ASGIApp = create_app(ephemeral=temporary, final=True)
        if not temporary:
            app = Files(Path(os.environ[VARIABLE]), app)
        guarded = Guard(app, address.auth, address.port, address.hosts, address.urls)
        if not _run(guarded, address, listener, started):
            raise PupilaError(f"The server at {address.root} did not start; its log says why.")


def _run(app: Guard, address: Address, listener: socket.socket | None, started: int | None) -> bool:
    """Serve until a signal, and return whether the server was started."""
    import uvicorn
    from prefect.settings import get_current_settings

    settings, stop = get_current_settings().server, stopping.current()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            if stop:  # uvicorn's own handlers would wait for all open requests
                stop.install()
            await super().startup(sockets)
            if self.started and started is not None:
                os.write(started, b"\n")
                os.close(started)

    config = uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        access_log=False,  # it would contain the login links
        server_header=False,
        log_level=settings.logging_level.lower(),
        timeout_keep_alive=settings.api.keepalive_timeout,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
    )
    server = Server(config)
    server.run([listener] if listener else None)
    return server.started


def main() -> None:
    """Run the server that the command line describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("--temporary", action="store_true", help="no UI, no schedules")
    parser.add_argument("--listener", type=int, help="descriptor that listens already")
    parser.add_argument("--started", type=int, help="descriptor that takes a line once it answers")
    given: Any = parser.parse_args()
    auth = os.environ["PREFECT_API_AUTH_STRING"]
    address = Address(given.host, given.port, auth, urls=frozenset(given.url))
    listener = None if given.listener is None else socket.socket(fileno=given.listener)
    try:
        serve(address, temporary=given.temporary, listener=listener, started=given.started)
    except PupilaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
