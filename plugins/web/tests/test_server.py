from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pupila_web.server import Server, files_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "pages" / "a b").mkdir(parents=True)
    for name in ("index.html", "main.js", "worker.mjs", "x.wasm", "model.tflite", "a b/m.json"):
        (tmp_path / "pages" / name).write_text(name)
    return tmp_path / "pages"


@pytest.fixture
def server(folder: Path) -> Generator[Server]:
    with closing(Server(files_below(folder, "/files"))) as running:
        yield running


def ask(server: Server, path: str) -> tuple[int, dict[str, str], bytes]:
    with closing(HTTPConnection(urlsplit(server.origin).netloc)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/files/index.html", "text/html; charset=utf-8"),
        ("/files/index.html?runtime=litert", "text/html; charset=utf-8"),
        ("/files/main.js", "text/javascript; charset=utf-8"),
        ("/files/worker.mjs", "text/javascript; charset=utf-8"),
        ("/files/x.wasm", "application/wasm"),
        ("/files/model.tflite", "application/octet-stream"),
        ("/files/a%20b/m.json", "application/json"),
    ],
)
def test_files_have_their_type_and_the_headers_that_isolate_the_page(server: Server, path, kind):
    status, headers, content = ask(server, path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert content.decode() in path.replace("%20", " ")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Cache-Control" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/files",
        "/files/",
        "/files/../secret",
        "/files/..%2fsecret",
        "/files/%2e%2e/secret",
        "/../secret",
        "//secret",
        "/files//index.html",
        "/files/index.html%00",
    ],
)
def test_nothing_else_is_served(server: Server, path: str):
    assert ask(server, path)[0] == 404
    assert server.downloaded == []


def test_downloads_are_recorded_without_the_images(server: Server):
    server.images = bytes([1, 2, 250])
    assert ask(server, "/images.bin")[2] == bytes([1, 2, 250])
    ask(server, "/files/x.wasm")
    ask(server, "/files/main.js?twice")
    ask(server, "/files/main.js")
    assert server.downloaded == ["/files/main.js", "/files/x.wasm"]


def test_without_isolation_there_are_no_headers_for_it(folder: Path):
    with closing(Server(files_below(folder, "/files"), isolated=False)) as server:
        _, headers, _ = ask(server, "/files/index.html")
    assert not [name for name in headers if name.startswith("Cross-Origin")]


def test_the_server_listens_on_loopback_only(server: Server):
    assert urlsplit(server.origin).hostname == "127.0.0.1"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", ""])
def test_a_page_of_another_host_name_reads_nothing(server: Server, host: str):
    connection = HTTPConnection(urlsplit(server.origin).netloc, timeout=10)
    connection.request("GET", "/images.bin", headers={"Host": host})
    assert connection.getresponse().status == 421
