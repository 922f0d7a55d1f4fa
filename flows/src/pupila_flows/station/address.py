"""Where a station listens, who may talk to it, and how others of this machine find it."""

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
    """Host and port of a server, and the `user:password` that it asks for.

    `auth_file` is the file that has it, `urls` are the addresses at which proxies serve it.
    """

    host: str
    port: int
    auth: str
    auth_file: Path | None = None
    urls: frozenset[str] = frozenset()

    @property
    def reached(self) -> str:
        """The host, as this machine reaches it."""
        return LOOPBACK if self.host in _EVERYWHERE else self.host

    @property
    def root(self) -> str:
        """Address of the UI, as this machine reaches it."""
        return f"http://{_bracketed(self.reached)}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.root}/api"

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which it is reached, but for those of proxies."""
        here = names_of_this_machine() if self.host in _EVERYWHERE else {self.host.lower()}
        return frozenset({*ITSELF, *here})


def checked_address(
    workspace: Path,
    host: str,
    port: int,
    auth_file: Path | None = None,
    urls: Collection[str] = (),
) -> Address:
    """Return an address that may be listened at, with a password: there is none without.

    It is that of a file, of the environment, or of the workspace, where one is made.

    Raises:
        PupilaError: a password or an address is none.
    """
    origins = frozenset(map(_checked_origin, urls))
    if auth_file is None and SECRET in os.environ:
        return Address(host, port, _checked_auth(os.environ[SECRET], SECRET), None, origins)
    file = (auth_file or made_password(workspace)).resolve()
    return Address(host, port, _read_auth(file), file, origins)


def station_folder(workspace: Path) -> Path:
    """Return the folder of a workspace with what a station knows, which is for its user alone."""
    folder = workspace / "station"
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    return folder


def made_password(workspace: Path) -> Path:
    """Return the file with the password of a workspace's stations, which is made once."""
    file = station_folder(workspace) / "password"
    if not file.exists():
        with tempfile.NamedTemporaryFile("w", dir=file.parent) as draft:  # 0600
            draft.write(f"pupila:{secrets.token_urlsafe(24)}\n")
            draft.flush()
            os.fsync(draft.fileno())
            with suppress(FileExistsError):  # another has made it meanwhile
                os.link(draft.name, file)
    return file


def _checked_origin(url: str) -> str:
    """Return an address as browsers write an Origin."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
        raise PupilaError(
            f"--url {url!r} is no address of a server: give scheme and host, and the port if it is "
            "not the usual one, as in https://pupila.example."
        )
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{_bracketed(host)}" + (
        f":{port}" if port not in (None, usual) else ""
    )


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
        text = file.read_text()
        others = file.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise PupilaError(f"{str(file)!r} cannot be read: {error}.") from None
    if others:
        raise PupilaError(f"{str(file)!r} may be read by others: `chmod 600 {file}`.")
    return _checked_auth(text, str(file))


def _checked_auth(text: str, where: str) -> str:
    auth = text.strip()
    if not all(auth.partition(":")) or not auth.isprintable():
        raise PupilaError(f"{where!r} must hold one line `user:password`, and does not.")
    return auth


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
