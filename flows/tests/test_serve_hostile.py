"""What `pupila serve` answers to requests that no browser of the site makes."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila_flows.cli.serve import HOST, open_server, read_headers

Ask = Callable[[bytes], bytes]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "models").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "linked").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Site</title>")
    (folder / "models" / "one.tflite").write_bytes(b"model")
    (folder / "models" / "same.tflite").symlink_to("one.tflite")
    (folder / "_headers").write_text("/*\n  X-Policy: default-src 'none'\n")
    for hidden in (".env", ".git/config", "models/.key"):
        (folder / hidden).write_text("secret")
    (tmp_path / "secret").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "linked" / "index.html").symlink_to(tmp_path / "secret")
    (folder / "above").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


@contextmanager
def served(site: Path, seconds: float = 10, connections: int = 8) -> Generator[int]:
    """Serve a site, and yield the port."""
    with open_server(site, 0, seconds, connections) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ask(site: Path) -> Generator[Ask]:
    with served(site) as port:
        yield lambda request: answer(port, request)


def answer(port: int, request: bytes) -> bytes:
    """Send some bytes, and return all that comes until the end."""
    with socket.create_connection((HOST, port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def request(path: bytes, *lines: bytes, method: bytes = b"GET", host: bytes | None = b"") -> bytes:
    named = [] if host is None else [b"Host: " + (host or b"localhost:8000")]
    start = method + b" " + path + b" HTTP/1.1"
    return b"\r\n".join([start, *named, b"Connection: close", *lines, b"", b""])


@pytest.mark.parametrize(
    "path",
    [
        b"/out",
        b"/linked",
        b"/linked/",
        b"/linked/index.html",
        b"/above/secret",
        b"/pipe",
        b"/.env",
        b"/.git/config",
        b"/models/.key",
        b"/%2eenv",
        b"/models/%2ekey",
        b"/../secret",
        b"/%2e%2e/secret",
        b"/..%2fsecret",
        b"/models/../../secret",
        b"//etc/passwd",
        b"/%00",
        b"/index.html%00.txt",
        b"/%ff%fe",
        b"/" + b"a" * 5000,
        b"/models/",
        b"/models",
        b"http://elsewhere.example/secret",
        b"*",
    ],
)
def test_what_is_no_file_of_the_site_is_not_there(ask: Ask, path: bytes):
    answer = ask(request(path))
    assert answer.startswith(b"HTTP/1.1 404 ") and b"secret" not in answer
    assert b"X-Policy: default-src 'none'" in answer


@pytest.mark.parametrize("path", [b"/", b"/?a=../b", b"/models/one.tflite", b"/models/same.tflite"])
def test_what_is_one_is_answered_to_its_own_names(ask: Ask, path: bytes):
    for host in (b"localhost", b"LOCALHOST:9000", b"127.0.0.1:80", b"[::1]:8000"):
        assert ask(request(path, host=host)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "lines",
    [
        [b"Host: evil.example"],
        [b"Host: localhost.evil.example"],
        [b"Host: a@localhost"],
        [b"Host: 127.0.0.1.nip.io:8000"],
        [b"Host: 2130706433"],
        [b"Host: localhost:8000 evil.example"],
        [b"Host: "],
        [b"Host: localhost", b"Host: evil.example"],
        [],
    ],
)
def test_a_name_that_is_not_its_own_is_refused(ask: Ask, lines: list[bytes]):
    answer = ask(request(b"/", *lines, host=None))
    assert answer.startswith(b"HTTP/1.1 421 ") and b"<title>Site" not in answer


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"])
def test_it_can_only_be_read(ask: Ask, method: bytes):
    body = request(b"/", b"Content-Length: 4", method=method) + request(b"/index.html")
    answer = ask(body)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1") == 1  # the rest is not a second request


def test_a_head_has_no_body(ask: Ask):
    answer = ask(request(b"/", method=b"HEAD"))
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\r\n\r\n", b""),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (request(b"/", *[b"X-%d: 1" % n for n in range(200)]), b"431"),
        (request(b"/", b"X: " + b"a" * 70_000), b"431"),
        (request(b"/", b"Content-Length: 5") + b"GET /", b"400"),
        (request(b"/", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_is_told_and_leaves_no_trace(
    ask: Ask, sent: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
):
    assert status in ask(sent).partition(b"\r\n")[0]
    assert ask(request(b"/")).startswith(b"HTTP/1.1 200 ")
    assert capfd.readouterr().err == ""


def test_clients_that_break_off_leave_no_trace(site: Path, capfd: pytest.CaptureFixture[str]):
    (site / "large.bin").write_bytes(bytes(20_000_000))
    linger = b"\1\0\0\0\0\0\0\0"  # a reset in place of an orderly end
    with served(site) as port:
        for sent in (b"", b"GET / HT", request(b"/large.bin")):
            with closing(socket.create_connection((HOST, port))) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall(sent)
                time.sleep(0.1)
        assert answer(port, request(b"/")).startswith(b"HTTP/1.1 200 ")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("what", ["silent", "slow to ask", "slow to read"])
def test_a_slow_client_is_broken_off(site: Path, what: str):
    (site / "large.bin").write_bytes(bytes(20_000_000))
    with (
        served(site, seconds=1, connections=1) as port,
        socket.create_connection((HOST, port)) as connection,
    ):
        if what == "slow to read":
            connection.sendall(request(b"/large.bin"))
        began = time.monotonic()
        while time.monotonic() - began < 8:
            if what == "slow to ask":
                try:
                    connection.sendall(b"G")
                except OSError:
                    break
            time.sleep(0.2)
            if time.monotonic() - began > 3 and what != "slow to ask":
                break
        assert time.monotonic() - began < 5
        assert answer(port, request(b"/")).startswith(b"HTTP/1.1 200 ")


def test_of_too_many_connections_the_later_are_closed(site: Path):
    with served(site, seconds=5, connections=3) as port:
        held = [socket.create_connection((HOST, port)) for _ in range(3)]
        time.sleep(0.3)
        with socket.create_connection((HOST, port), timeout=10) as late:
            assert late.recv(10) == b""
        for connection in held:
            connection.close()
        time.sleep(0.3)
        assert answer(port, request(b"/")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "text",
    [b"", b"/models/*\n  A: b\n", b"/*\n  A: b\x0bc\n", b"/*\n  A\xff: b\n", b"/*\n A: \xe9\n"],
)
def test_headers_that_cannot_be_sent_are_refused(site: Path, text: bytes):
    (site / "_headers").write_bytes(text)
    with pytest.raises(PupilaError, match="cannot be read: expected a line '/\\*'"):
        read_headers(site)
