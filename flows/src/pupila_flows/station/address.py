"""A station's address and password, and the record by which other processes find the station."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.station.api import Api
from pupila_flows.station.loopback import ITSELF, names_of_this_machine

LOOPBACK = "127.0.0.1"
SECRET = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105 - its name
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened at


@dataclass(frozen=True)
class Address:
    """Host, port and credentials (`auth`, as `user:password`) of a server.

    `auth_file` is the file with the credentials. `urls` are the addresses of proxies that lead to
    the server.
    """

    host: str
    port: int
    auth: str
    auth_file: Path | None = None
    urls: frozenset[str] = frozenset()

    @property
    def reached(self) -> str:
        """The host name under which this machine reaches the server."""
        return LOOPBACK if self.host in _EVERYWHERE else self.host

    @property
    def root(self) -> str:
        """URL of the UI as seen from this machine."""
        return f"http://{_bracketed(self.reached)}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.root}/api"

    @property
    def hosts(self) -> frozenset[str]:
        """The host names under which clients reach the server, except names of proxies."""
        here = names_of_this_machine() if self.host in _EVERYWHERE else {self.host.lower()}
        return frozenset({*ITSELF, *here})


def listen_address(
    workspace: Path,
    host: str,
    port: int,
    auth_file: Path | None = None,
    urls: Collection[str] = (),
) -> Address:
    """Return the address at which a server listens, always with a password.

    The password is read from `auth_file`. If `auth_file` is None, the password is read from the
    environment variable that the constant `SECRET` names. If this variable is unset, the password
    is read from the workspace's password file, which is made if it is missing.

    Raises:
        PupilaError: a password or a URL is invalid.
    """
    origins = frozenset(map(_check_origin, urls))
    if auth_file is None and SECRET in os.environ:
        return Address(host, port, _check_auth(os.environ[SECRET], SECRET), None, origins)
    password_file = (auth_file or password_file_of(workspace)).resolve()
    return Address(host, port, _read_auth(password_file), password_file, origins)


def station_folder(workspace: Path) -> Path:
    """Make and return the folder for a workspace's station files; only its owner may read it."""
    folder = workspace / "station"
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    return folder


def password_file_of(workspace: Path) -> Path:
    """Return the file with the password of a workspace's station; make it if it is missing."""
    file = station_folder(workspace) / "password"
    if not file.exists():
        with tempfile.NamedTemporaryFile("w", dir=file.parent) as draft:  # 0600
            draft.write(f"pupila:{secrets.token_urlsafe(24)}\n")
            draft.flush()
            os.fsync(draft.fileno())
            with suppress(FileExistsError):  # another has made it meanwhile
                os.link(draft.name, file)
    return file


def _check_origin(url: str) -> str:
    """Return an address in the form of a browser's Origin header."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
        raise PupilaError(
            f"--url {url!r} is not an address of a server: give scheme and host, and the port if "
            "it is not the usual one, as in https://pupila.example."
        )
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{_bracketed(host)}" + (
        f":{port}" if port not in (None, usual) else ""
    )


def check_free(address: Address) -> None:
    """Check that no other program listens at an address, so that a server can use it.

    Raises:
        PupilaError: the port is in use, or this machine does not have the address.
    """
    try:
        candidates = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, where = candidates[0]
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
        text = file.read_text()
        others = file.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise PupilaError(f"{str(file)!r} cannot be read: {error}.") from None
    if others:
        raise PupilaError(f"{str(file)!r} may be read by others: `chmod 600 {file}`.")
    return _check_auth(text, str(file))


def _check_auth(text: str, where: str) -> str:
    auth = text.strip()
    if not all(auth.partition(":")) or not auth.isprintable():
        raise PupilaError(f"{where!r} must hold one line `user:password`, and does not.")
    return auth


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class StationRecord(BaseModel):
    """How to reach a running station; other processes read this record from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: str = Field(description="Address of the server's API.")
    mark: str = Field(description="Value of the variable that marks its processes.")
    auth_file: str | None = Field(description="File with the server's `user:password`.")


def record_file(workspace: Path) -> Path:
    """Return the path of the station's record, a file that exists while the station is up."""
    return workspace / "station" / "station.json"


def read_record(workspace: Path) -> StationRecord | None:
    """Return the record of a workspace's station; None if no record can be read."""
    try:
        return StationRecord.model_validate_json(record_file(workspace).read_text())
    except (OSError, ValueError):
        return None


def write_record(workspace: Path, record: StationRecord) -> None:
    """Write the record of a station, so that other processes find it."""
    write_atomically(record_file(workspace), record.model_dump_json(indent=2).encode())


def known_api(workspace: Path, environment: Mapping[str, str]) -> Api | None:
    """Return the API of the Prefect server to use; None if no server is known.

    The server is the one that the variable `PREFECT_API_URL` in `environment` names. If this
    variable is unset, the server of the workspace's station is used.

    Raises:
        PupilaError: the station's password cannot be read.
    """
    named, auth = environment.get("PREFECT_API_URL"), environment.get("PREFECT_API_AUTH_STRING")
    if named:
        return Api(named, auth)
    record = read_record(workspace)
    if record is None:
        return None
    return Api(record.api, _read_auth(Path(record.auth_file)) if record.auth_file else auth)
