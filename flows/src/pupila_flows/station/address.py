"""Where a station listens, who may talk to it, and how others of this machine find it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.station.api import Api
from pupila_flows.station.loopback import is_loopback

LOOPBACK = "127.0.0.1"
_SECRET = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105 - its name


@dataclass(frozen=True)
class Address:
    """Host and port of a server, and the `user:password` that it asks for, if it does."""

    host: str
    port: int
    auth: str | None = None

    @property
    def reached(self) -> str:
        """The host, as this machine reaches it."""
        everywhere = self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not listened at
        return LOOPBACK if everywhere else self.host

    @property
    def root(self) -> str:
        """Address of the UI, as this machine reaches it."""
        return f"http://{_bracketed(self.reached)}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.root}/api"


def checked_address(host: str, port: int, auth_file: Path | None) -> Address:
    """Return an address that may be listened at.

    Raises:
        PupilaError: others could reach it, and no authentication is on.
    """
    auth = _read_auth(auth_file) if auth_file else os.environ.get(_SECRET)
    if auth is not None and not all(auth.partition(":")):
        raise PupilaError(
            f"{str(auth_file) if auth_file else _SECRET!r} must hold one line `user:password`, "
            "and does not."
        )
    if not (auth or is_loopback(host)):
        raise PupilaError(
            f"--host {host} would let other machines run what they like here: give --auth-file "
            f"with a file of one line `user:password`, or set {_SECRET}."
        )
    return Address(host, port, auth)


def check_free(address: Address) -> None:
    """Make sure that nobody listens at an address: who does would be taken for our server.

    Raises:
        PupilaError: the port is in use, or there is no such address here.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, where = found[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PupilaError(
                f"Port {address.port} of {address.host!r} is in use, by another station or "
                "program: give another --port."
            ) from None
        raise PupilaError(
            f"Nothing can listen at {address.host!r}, port {address.port}: {error.strerror}. "
            "Give another --host or --port."
        ) from None


def _read_auth(file: Path) -> str:
    try:
        text = file.read_text().strip()
        others = file.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise PupilaError(f"{str(file)!r} cannot be read: {error}.") from None
    if others:
        raise PupilaError(f"{str(file)!r} may be read by others: `chmod 600 {file}`.")
    return text


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class StationRecord(BaseModel):
    """What a running station leaves in its workspace for others to find it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: str = Field(description="Address of the server's API.")
    mark: str = Field(description="What stands in the environment of all its processes.")
    auth_file: str | None = Field(description="File of the `user:password` to be given there.")


def record_file(workspace: Path) -> Path:
    """Return the file that is there while a station is up."""
    return workspace / "station" / "station.json"


def read_record(workspace: Path) -> StationRecord | None:
    """Return what the station of a workspace has left; None where there is none."""
    try:
        return StationRecord.model_validate_json(record_file(workspace).read_text())
    except (OSError, ValueError):
        return None


def write_record(workspace: Path, record: StationRecord) -> None:
    """Let others of this machine find a station."""
    write_atomically(record_file(workspace), record.model_dump_json(indent=2).encode())


def known_api(workspace: Path, environment: Mapping[str, str]) -> Api | None:
    """Return the API of the server that the user has named, or of the workspace's station.

    None where there is neither.
    """
    named, auth = environment.get("PREFECT_API_URL"), environment.get("PREFECT_API_AUTH_STRING")
    if named:
        return Api(named, auth)
    record = read_record(workspace)
    if record is None:
        return None
    return Api(record.api, _read_auth(Path(record.auth_file)) if record.auth_file else auth)
