"""Serves a site to this machine, with the headers that its `_headers` asks for."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pupila.errors import PupilaError
from pupila_flows.workspace import Workspace

HOST = "127.0.0.1"
HEADERS = "_headers"

_DIGEST = re.compile(r"[0-9a-f]{64}")


def find_site(name: str, workspace: Path) -> Path:
    """Return the folder of a site: the folder of that name, or the artifact of that digest.

    Raises:
        PupilaError: there is none, or it is no site.
    """
    folder = Path(name)
    if _DIGEST.fullmatch(name):
        folder = Workspace.at(workspace).store.open(name).path
    missing = [each for each in ("index.html", HEADERS) if not (folder / each).is_file()]
    if missing:
        raise PupilaError(
            f"{str(folder)!r} is no site: it has no {' and no '.join(missing)}. Expected the "
            f"folder or the digest of what a step with `use: site` made."
        )
    return folder


def read_headers(site: Path) -> dict[str, str]:
    """Return what `_headers` asks for all files, under the pattern `/*`.

    Raises:
        PupilaError: a line is no header, or the headers are of other files.
    """
    first, *lines = (site / HEADERS).read_text().splitlines() or [""]
    headers = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    if first != "/*" or len(headers) != len(lines):
        raise PupilaError(
            f"{str(site / HEADERS)!r} cannot be read: expected a line '/*', and after it a line "
            f"'  Name: value' for each header."
        )
    return headers


def serve(site: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a site until Ctrl-C; `say` is told the address, once there is an answer at it.

    Raises:
        PupilaError: the port is taken, or `_headers` cannot be read.
    """
    with open_server(site, port) as server, suppress(KeyboardInterrupt):
        say(f"http://{HOST}:{server.server_port}/")
        server.serve_forever()


def open_server(site: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the site on a loopback port, any free one where `port` is 0.

    Raises:
        PupilaError: the port is taken, or not to be had.
    """
    handler = partial(_Handler, read_headers(site), directory=str(site))
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        reason = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise PupilaError(
            f"Port {port} cannot be used: {reason}. Give another with --port; 0 takes any."
        ) from None


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012 - as the base class declares it
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript; charset=utf-8",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".tflite": "application/octet-stream",
    }

    def __init__(self, headers: dict[str, str], *request: Any, directory: str) -> None:
        self._site_headers = headers
        super().__init__(*request, directory=directory)

    def end_headers(self) -> None:
        for name, value in self._site_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: object) -> None:
        """Show no folder: a site has pages only."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""
