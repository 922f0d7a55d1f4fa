"""What a station serves of its workspace, and what it does not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from pupila_flows import served
from pupila_flows.station.files import Files

FILES = {
    "runs/eyes/20261128T020000Z/report.html": "<!doctype html><title>report</title>",
    "runs/eyes/20261128T020000Z/result.json": "{}",
    "runs/eyes/20261128T020000Z/sweep.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "runs/eyes/20261128T020000Z/sweep.csv": "a,b\n",
    "runs/eyes/20261128T020000Z/.hidden.html": "hidden",
    "runs/eyes/20261128T020000Z/notes.exe": "MZ",
    "runs/eyes/report.html": "too high",
    "data-docs/0123/index.html": "docs",
    "data-docs/0123/validations/a/b c/page.html": "more docs",
    "data-docs/0123/.git/index.html": "hidden",
    "registry/eyes/versions/000001/card.html": "card",
    "registry/eyes/versions/000001/artifacts/int8/index.html": "a model's own page",
    "registry/eyes/events/000001.json": "{}",
    "station/station.json": "the password",
    "logs/server.html": "log",
    "secret.html": "secret",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / ".pupila"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "outside.html").write_text("outside")
    later = root / "runs" / "eyes" / "20261129T020000Z"
    later.mkdir()
    (later / "report.html").symlink_to(root / "runs/eyes/20261128T020000Z/report.html")
    (later / "out.html").symlink_to(tmp_path / "outside.html")
    (later / "up.html").symlink_to(root / "secret.html")
    (later / "model.html").symlink_to(root / "runs/eyes/20261128T020000Z/notes.exe")
    (later / "loop.html").symlink_to(later / "loop.html")
    os.mkfifo(later / "pipe.html")
    return root


class Client:
    """Asks for paths without a server between."""

    def __init__(self, workspace: Path) -> None:
        self._files = httpx.ASGITransport(Files(workspace, PlainTextResponse("another")))

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        return asyncio.run(self._get(path, method))

    async def _get(self, path: str, method: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._files, base_url="http://here") as client:
            return await client.request(method, f"/pupila/{path}")


@pytest.fixture
def client(workspace: Path) -> Client:
    return Client(workspace)


def test_what_is_not_of_pupila_is_left_to_the_other_application(client: Client) -> None:
    assert client.get("../dashboard").text == client.get("../pupila-x").text == "another"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("runs/eyes/20261128T020000Z/report.html", "text/html; charset=utf-8"),
        ("runs/eyes/20261129T020000Z/report.html", "text/html; charset=utf-8"),
        ("runs/eyes/20261128T020000Z/result.json", "application/json"),
        ("runs/eyes/20261128T020000Z/sweep.svg", "image/svg+xml"),
        ("runs/eyes/20261128T020000Z/sweep.csv", "text/csv; charset=utf-8"),
        ("data-docs/0123/index.html", "text/html; charset=utf-8"),
        ("data-docs/0123/validations/a/b%20c/page.html", "text/html; charset=utf-8"),
        ("registry/eyes/versions/000001/card.html", "text/html; charset=utf-8"),
    ],
)
def test_pages_are_served_as_what_they_are(client: Client, path: str, kind: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.text
    head = client.get(path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "runs",
        "runs/",
        "runs/eyes/20261128T020000Z",
        "runs/eyes/20261128T020000Z/",
        "runs/eyes/20261128T020000Z/.hidden.html",
        "runs/eyes/20261128T020000Z/notes.exe",
        "runs/eyes/20261128T020000Z/report.html/",
        "runs/eyes/report.html",
        "runs/eyes/20261129T020000Z/out.html",
        "runs/eyes/20261129T020000Z/up.html",
        "runs/eyes/20261129T020000Z/model.html",
        "runs/eyes/20261129T020000Z/loop.html",
        "runs/eyes/20261129T020000Z/pipe.html",
        "runs/eyes/20261128T020000Z/..%2f..%2f..%2fsecret.html",
        "runs/%2e%2e/secret.html",
        "runs/eyes/20261128T020000Z%2f..%2f..%2f..%2f..%2foutside.html",
        "data-docs/../secret.html",
        "data-docs/%2e%2e/%2e%2e/outside.html",
        "data-docs//etc/passwd",
        "data-docs/0123/.git/index.html",
        "/etc/hostname.html",
        "%2fetc%2fpasswd",
        "registry/eyes/versions/000001/artifacts/int8/index.html",
        "registry/eyes/events/000001.json",
        "station/station.json",
        "logs/server.html",
        "secret.html",
        "runs/eyes/%00/report.html",
        "runs/eyes/a%0a/report.html",
        f"runs/eyes/{'a' * 300}/report.html",
        f"data-docs/{'a/' * 3000}index.html",
        "data-docs/%ff%fe/index.html",
    ],
)
def test_nothing_else_is_served(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.text == "This workspace does not have such a page, or not any more.\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_pages_can_only_be_read(client: Client, method: str) -> None:
    answer = client.get("data-docs/0123/index.html", method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["data-docs/0123/index.html", "nothing.html"])
def test_a_page_may_run_and_ask_for_nothing(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(
        directive.split(" ", 1) for directive in headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert not {"script-src", "connect-src"} & set(policy)
    assert not {"allow-scripts", "allow-forms"} & set(policy["sandbox"].split())
    assert headers["x-content-type-options"] == "nosniff"


def test_the_address_of_a_page_is_told_where_its_own_station_serves_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = workspace / "data-docs/0123/validations/a/b c/page.html"
    monkeypatch.delenv(served.VARIABLE, raising=False)
    assert served.address_of(workspace, page) is None
    monkeypatch.setenv(served.VARIABLE, str(workspace.parent / "another"))
    assert served.address_of(workspace, page) is None
    monkeypatch.setenv(served.VARIABLE, str(workspace))
    address = served.address_of(workspace, page)
    assert address == "/pupila/data-docs/0123/validations/a/b%20c/page.html"
    assert served.address_of(workspace, workspace / "secret.html") is None
    assert served.address_of(workspace, workspace.parent / "outside.html") is None
