"""Serves files to a browser on this machine: our pages, one model, and images for the model."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"

_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Browsers allow threads with shared memory only in a page served with these headers."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}


class Server:
    """An HTTP server on a free loopback port, which runs until it is closed.

    The server serves only the files that it was given. It looks up the whole path of a request, and
    never resolves that path against a folder.
    """

    def __init__(self, files: Mapping[str, Path], *, isolated: bool = True) -> None:
        """Serve `files`, by their paths in a URL, such as `"/model/model.json"`.

        Only pages of an `isolated` server may use threads with shared memory.
        """
        self.files = dict(files)
        self.images = b""
        """Content of `/images.bin`: RGB pixels, one image after another."""
        self.headers = _ISOLATION if isolated else {}
        self._served: set[str] = set()
        self._http = _Http((HOST, 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """Base URL of the server, such as `"http://127.0.0.1:43210"`."""
        return f"http://{HOST}:{self._http.server_port}"

    @property
    def downloaded(self) -> list[str]:
        """Paths of the files requested so far, sorted."""
        return sorted(self._served)

    def open(self, path: str) -> IO[bytes] | None:
        """Open the file that is served under a path; None if there is no file for this path."""
        if path == "/images.bin":
            return BytesIO(self.images)
        file = self.files.get(path)
        if file is None:
            return None
        self._served.add(path)
        return file.open("rb")

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a dropped connection: the browser was closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: Server, *request: Any) -> None:
        self._files = server
        super().__init__(*request)

    def do_GET(self) -> None:
        """Answer one request.

        The answer lacks `Cache-Control: no-store`, which would cause a deadlock: TF.js reads weight
        files only once all of them have begun to arrive, and each file that Chromium may not cache
        occupies one of Chromium's six connections until the file is read.
        """
        if self.headers.get("Host") != urlsplit(self._files.origin).netloc:
            self.send_error(
                HTTPStatus.MISDIRECTED_REQUEST
            )  # from another site's page, whose name resolves to this address
            return
        path = unquote(urlsplit(self.path).path)
        content = self._files.open(path)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with content:
            self._send_headers(path, content.seek(0, SEEK_END))
            content.seek(0)
            shutil.copyfileobj(content, self.wfile)

    def _send_headers(self, path: str, length: int) -> None:
        self.send_response(HTTPStatus.OK)
        kind = _TYPES.get(Path(path).suffix, "application/octet-stream")
        for name, value in {**self._files.headers, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the requests are our own."""


def files_below(folder: Path, prefix: str) -> dict[str, Path]:
    """Return all files below a folder, by their paths on the server.

    The path of a file on the server is `prefix`, followed by the file's path in the folder.
    """
    return {
        f"{prefix}/{file.relative_to(folder).as_posix()}": file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
