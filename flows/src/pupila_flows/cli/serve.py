"""Serves a site on this machine only, with the headers from the site's file `_headers`."""

from __future__ import annotations

import errno
import re
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pupila.errors import PupilaError
from pupila_flows.workspace import Workspace

HOST = "127.0.0.1"
HEADERS = "_headers"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE | re.ASCII)
"""Valid values of the header `Host`; others may come from pages of other sites."""
_HEADER = re.compile(r" *([\w-]+): ([\x20-\x7e]+)", re.ASCII)
_SECONDS = 10.0
"""Time limit for sending a whole request, and for reading 64 kB of an answer."""
_CONNECTIONS = 64


def find_site(name: str, workspace: Path) -> Path:
    """Return the folder of a site, given the folder's path or the digest of the site's artifact.

    Raises:
        PupilaError: the folder does not exist, or is not a site.
    """
    folder = Path(name)
    if _DIGEST.fullmatch(name):
        folder = Workspace.at(workspace).store.open(name).path
    missing = [name for name in ("index.html", HEADERS) if not (folder / name).is_file()]
    if missing:
        raise PupilaError(
            f"{str(folder)!r} is not a site: it has no {' and no '.join(missing)}. Expected the "
            f"folder or the digest of what a step with `use: site` made."
        )
    return folder


def read_headers(site: Path) -> dict[str, str]:
    """Return the headers that the site's file `_headers` sets for all files (pattern `/*`).

    Raises:
        PupilaError: the first line is not `/*`, or a later line is not a header.
    """
    text = (site / HEADERS).read_bytes().decode("latin-1")
    first, *lines = text.split("\n") if text else [""]
    matches = [_HEADER.fullmatch(line.rstrip()) for line in lines if line.strip()]
    if first.rstrip() != "/*" or not all(matches):
        raise PupilaError(
            f"{str(site / HEADERS)!r} cannot be read: expected a line '/*', and after it a line "
            f"'  Name: value' for each header."
        )
    return {match[1]: match[2] for match in matches if match}


def serve(site: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a site until Ctrl-C; pass the address to `say` once the server answers.

    Raises:
        PupilaError: the port is taken, or `_headers` cannot be read.
    """
    with open_server(site, port) as server, suppress(KeyboardInterrupt):
        say(f"http://{HOST}:{server.server_port}/")
        server.serve_forever()


def open_server(
    site: Path, port: int, seconds: float = _SECONDS, connections: int = _CONNECTIONS
) -> ThreadingHTTPServer:
    """Return a server for the site on a loopback port; port 0 takes any free one.

    A request may take up to `seconds`; at most `connections` are open at the same time.

    Raises:
        PupilaError: the port is taken, or cannot be used.
    """
    handler = partial(_Handler, read_headers(site), seconds, directory=str(site.resolve()))
    try:
        return _Server((HOST, port), handler, connections)
    except OSError as error:
        reason = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise PupilaError(
            f"Port {port} cannot be used: {reason}. Give another with --port; 0 takes any."
        ) from None


class _Server(ThreadingHTTPServer):
    """Closes new connections at once while the maximum number is open."""

    def __init__(self, address: tuple[str, int], handler: Any, connections: int) -> None:
        self._slots = threading.BoundedSemaphore(connections)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of a browser that disconnects or takes too long."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pupila", ""
    extensions_map = {  # noqa: RUF012 - as the base class declares it
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript; charset=utf-8",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".tflite": "application/octet-stream",
    }

    def __init__(
        self, headers: dict[str, str], seconds: float, *request: Any, directory: str
    ) -> None:
        self._site_headers, self._seconds = headers, seconds
        super().__init__(*request, directory=directory)

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self._seconds)

    def handle_one_request(self) -> None:
        """Answer a request, if all of it arrives in time."""
        self._watch = threading.Timer(self._seconds, self._break_off)
        self._watch.daemon = True
        self._watch.start()
        try:
            super().handle_one_request()
        finally:
            self._watch.cancel()

    def _break_off(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def parse_request(self) -> bool:
        """Read a request, and refuse those that a browser on this site would not send."""
        if not super().parse_request():
            return False
        self._watch.cancel()
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _OURS.fullmatch(hosts[0].strip()):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return False
        if self.command not in ("GET", "HEAD"):
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
            return False
        if "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0":
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        return True

    def send_head(self) -> Any:
        """Start the answer; a file outside the site, or a hidden one, is not found."""
        if not self._may_be_shown():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _may_be_shown(self) -> bool:
        try:
            names = unquote(urlsplit(self.path).path, errors="strict").split("/")
            file = Path(self.translate_path(self.path)).resolve(strict=True)
            if file.is_dir():  # its index page is shown
                file = (file / "index.html").resolve(strict=True)
        except (OSError, ValueError):  # for example a null byte
            return False
        is_hidden = any(name.startswith(".") for name in names)
        return not is_hidden and file.is_relative_to(self.directory) and file.is_file()

    def end_headers(self) -> None:
        for name, value in self._site_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: object) -> None:
        """Refuse to list folders: a site has only pages."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
