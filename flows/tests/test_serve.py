from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from signal import SIGINT
from subprocess import PIPE

import pytest
from command_line import PUPILA

from pupila import InputSpec, OutputSpec, PupilaError
from pupila.artifact import Origin
from pupila.store import Store
from pupila_flows.cli.serve import HOST, find_site, open_server, read_headers


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "models").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Site</title>")
    (folder / "models" / "one.tflite").write_bytes(b"model")
    (folder / "runtime.wasm").write_bytes(b"\0asm")
    (folder / "_headers").write_text(
        "/*\n  Cross-Origin-Opener-Policy: same-origin\n  X-Policy: default-src 'none'; a: b\n"
    )
    return folder


@contextmanager
def asked(site: Path, path: str) -> Generator[HTTPResponse]:
    with open_server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = HTTPConnection(HOST, server.server_port, timeout=10)
        try:
            connection.request("GET", path)
            yield connection.getresponse()
        finally:
            connection.close()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/", 200, "text/html"),
        ("/index.html", 200, "text/html"),
        ("/runtime.wasm", 200, "application/wasm"),
        ("/models/one.tflite", 200, "application/octet-stream"),
        ("/models/", 404, "text/html;charset=utf-8"),
        ("/none", 404, "text/html;charset=utf-8"),
        ("/../secret", 404, "text/html;charset=utf-8"),
    ],
)
def test_files_come_with_their_type_and_the_headers_of_the_site(
    site: Path, path: str, status: int, kind: str
):
    (site.parent / "secret").write_text("not of the site")
    with asked(site, path) as response:
        assert (response.status, response.getheader("Content-Type")) == (status, kind)
        assert response.getheader("Cross-Origin-Opener-Policy") == "same-origin"
        assert response.getheader("X-Policy") == "default-src 'none'; a: b"


def test_a_site_is_found_by_its_folder_or_its_digest(site: Path, tmp_path: Path):
    assert find_site(str(site), tmp_path / "workspace") == site
    store = Store(tmp_path / "workspace" / "store")
    with store.draft() as draft:
        for name in ("index.html", "_headers"):
            (draft / name).write_text((site / name).read_text())
        artifact = store.add(
            draft,
            format="site",
            input=InputSpec(height=1, width=1),
            output=OutputSpec(kind="softmax", classes=("a", "b")),
            origin=Origin(plugin="test", distribution="test", version="0"),
        )
    assert find_site(artifact.digest, tmp_path / "workspace") == artifact.path


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("nowhere", "'nowhere' is not a site: it has no index.html and no _headers"),
        ("0" * 64, f"No artifact '{'0' * 64}'"),
    ],
)
def test_what_is_no_site_is_refused(tmp_path: Path, name: str, refused: str):
    with pytest.raises(PupilaError, match=refused):
        find_site(name, tmp_path)


def test_headers_that_are_none_are_refused(site: Path):
    (site / "_headers").write_text("/*\n  no header\n")
    with pytest.raises(PupilaError, match="cannot be read: expected a line '/\\*'"):
        read_headers(site)


def test_a_port_that_is_taken_is_told(site: Path):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PupilaError, match=f"Port {port} cannot be used: it is taken"):
            open_server(site, port)


def test_the_command_says_where_and_ctrl_c_ends_it(site: Path):
    command = [*PUPILA, "serve", str(site), "--port", "0"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(f"http://{HOST}:")
        child.send_signal(SIGINT)
        assert child.wait(timeout=20) == 130
        assert child.stderr and child.stderr.read() == "stopped; the site is served no longer.\n"
