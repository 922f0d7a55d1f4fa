"""Who may talk to a server of ours: tried on the real one, with requests that browsers may make."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Origin, Subprotocol

from pupila import PupilaError
from pupila_flows.station.address import LOOPBACK, Address, listen_address
from pupila_flows.station.api import Api
from pupila_flows.station.environment import environment
from pupila_flows.station.leash import leash
from pupila_flows.station.login import login_link
from pupila_flows.station.server import server_command

PROXY = "https://pupila.example"
AUTOMATION = {
    "name": "made by a stranger",
    "trigger": {"type": "event", "posture": "Reactive", "expect": ["*"]},
    "actions": [{"type": "do-nothing"}],
}
MAKES = "/api/automations/"
PAGE = {"Accept": "text/html,*/*"}
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@dataclass(frozen=True)
class Server:
    """A real server, and how it is asked."""

    address: Address

    @property
    def api(self) -> Api:
        return Api(self.address.api, self.address.auth)

    @property
    def basic(self) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(self.address.auth.encode()).decode()}"}

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], str]:
        """Send a request with these headers and no others but its length."""
        connection = HTTPConnection(LOOPBACK, self.address.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"{LOOPBACK}:{self.address.port}"} | (headers or {})
        given |= {"Content-Length": str(len(body))} if body else {}
        for name, value in given.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

    def log_in(self) -> dict[str, str]:
        """Return the headers of a browser that has followed the link."""
        link = login_link("", self.address.auth)
        status, headers, _ = self.ask("GET", link, PAGE)
        assert (status, headers["location"]) == (303, "/")
        return {"Cookie": headers["set-cookie"].partition(";")[0]}

    def automations(self) -> list[str]:
        return [automation["name"] for automation in self.api.post("/automations/filter", {})]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    workspace = tmp_path_factory.mktemp("workspace")
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        port = taken.getsockname()[1]
    address = listen_address(workspace, LOOPBACK, port, urls=[PROXY])
    variables = environment(workspace, address) | {
        "PREFECT_SERVER_API_AUTH_STRING": "not:asked-for"
    }
    log = workspace / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            leash(*server_command(address)), env=variables, stdin=subprocess.PIPE, stderr=output
        )
    server = Server(address)
    try:
        deadline = time.monotonic() + 120
        while not server.api.answers():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield server
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Hostile:
    """A request that must be refused; it has the password by default."""

    what: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    method: str = "POST"
    path: str = MAKES
    by: str = "basic"
    status: int = 403


HOSTILE = [
    Hostile("a foreign name", {"Host": "evil.test"}),
    Hostile("a foreign name with our port: DNS rebinding", {"Host": "evil.test:{port}"}),
    Hostile("a foreign name, from its own page", {"Host": "e.test", "Origin": "http://e.test"}),
    Hostile("a foreign name that begins as ours", {"Host": "127.0.0.1.evil.test:{port}"}),
    Hostile("a foreign name behind a user", {"Host": "127.0.0.1@evil.test"}),
    Hostile("another address", {"Host": "10.0.0.4:{port}"}),
    Hostile("no name", {"Host": ""}, "GET", "/api/admin/version", status=400),
    Hostile("a name that is none", {"Host": "[::1"}),
    Hostile(
        "a foreign name, asking only whether we are up", {"Host": "e.test"}, "GET", "/api/health"
    ),
    Hostile("a foreign name, asking for the form", {"Host": "e.test"}, "GET", "/pupila/login"),
    Hostile("another site", {"Origin": "http://evil.test"}),
    Hostile("another port of this machine", {"Origin": "http://127.0.0.1:1"}),
    Hostile("a page without an origin", {"Origin": "null"}),
    Hostile("a page of a file", {"Origin": "file://"}),
    Hostile("another scheme", {"Origin": "https://127.0.0.1:{port}"}),
    Hostile(
        "the proxy's name with another scheme",
        {"Host": "pupila.example", "Origin": "http://pupila.example"},
    ),
    Hostile("another port of the proxy", {"Host": "pupila.example", "Origin": f"{PROXY}:8443"}),
    Hostile(
        "the other loopback name", {"Host": "localhost:{port}", "Origin": "http://127.0.0.1:{port}"}
    ),
    Hostile(
        "a form on another site that logs in", {"Origin": "http://evil.test"}, path="/pupila/login"
    ),
    Hostile(
        "a picture of another site", {"Sec-Fetch-Site": "cross-site"}, "GET", "/api/admin/version"
    ),
    Hostile("a script of another port", {"Sec-Fetch-Site": "same-site"}, "GET", "/ui-settings"),
    Hostile(
        "a frame in another site",
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        "GET",
        "/",
    ),
    Hostile("a form of another port", {"Sec-Fetch-Site": "same-site"} | NAVIGATION),
    Hostile("a blind POST without Content-Type", by="", status=401),
    Hostile("a blind POST of text", {"Content-Type": "text/plain"}, by="", status=401),
    Hostile("a wrong password", {"Authorization": "Basic eDp5"}, by="", status=401),
    Hostile(
        "a password that is none", {"Authorization": "Basic \N{MIDDLE DOT}"}, by="", status=401
    ),
    Hostile(
        "the password of the environment",
        {"Authorization": "Basic bm90OmFza2VkLWZvcg=="},
        by="",
        status=401,
    ),
    Hostile("a cookie of another", {"Cookie": "pupila-{port}=00"}, by="", status=401),
    Hostile("the documentation", {}, "GET", "/docs", "", 401),
    Hostile("the schema", {}, "GET", "/openapi.json", "", 401),
    Hostile("the schema of the API", {}, "GET", "/api/openapi.json", "", 401),
    Hostile("a page", PAGE, "GET", "/", "", 401),
    Hostile("a page of the second UI", PAGE, "GET", "/v2/runs", "", 401),
    Hostile("a script of the UI", {}, "GET", "/assets/index.js", "", 401),
    Hostile("a report", PAGE, "GET", "/pupila/runs/x/report.html", "", 401),
    Hostile("the settings of the UI", {}, "GET", "/ui-settings", "", 401),
    Hostile("whether we are up, as if it were a page", {}, "GET", "/api/health/", "", 401),
    Hostile("whether we are up, by a POST", {}, "POST", "/api/health", "", 401),
]


@pytest.mark.slow
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.what)
@pytest.mark.parametrize("by", ["basic", "cookie"])
def test_a_hostile_request_is_refused_and_does_nothing(server: Server, hostile: Hostile, by: str):
    given = {"basic": server.basic, "cookie": server.log_in()}[by] if hostile.by else {}
    port = str(server.address.port)
    headers = {name: value.replace("{port}", port) for name, value in hostile.headers.items()}
    body = json.dumps(AUTOMATION).encode() if hostile.method == "POST" else b""
    status, _, text = server.ask(hostile.method, hostile.path, given | headers, body)
    assert status == hostile.status, text
    assert "Traceback" not in text and "<script" not in text
    assert server.automations() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:{port}", ""),
        ("localhost:{port}", "http://localhost:{port}"),
        ("LOCALHOST:9999", "http://LOCALHOST:9999"),  # a port that ssh passes on
        ("[::1]:{port}", "http://[::1]:{port}"),
        ("pupila.example", PROXY),
        ("127.0.0.1:{port}", PROXY),  # a proxy that passes no Host on
    ],
)
def test_who_has_the_password_and_uses_a_name_of_ours_may_talk(
    server: Server, host: str, origin: str
):
    port = str(server.address.port)
    headers = {"Host": host.replace("{port}", port), "Origin": origin.replace("{port}", port)}
    for given in (server.basic, server.log_in()):
        status, _, text = server.ask("POST", "/api/automations/filter", given | headers, b"{}")
        assert (status, text) == (200, "[]")


@pytest.mark.slow
def test_anybody_of_this_machine_may_ask_whether_it_is_up_and_pages_may_not_be_framed(
    server: Server,
):
    assert server.ask("GET", "/api/health")[::2] == (200, "true")
    for path in ("/", "/api/health", "/nowhere", "/pupila/login"):
        _, headers, _ = server.ask("GET", path, PAGE)
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("/runs/flow-run/1?tab=logs", "/runs/flow-run/1?tab=logs"),
        ("//evil.test/", "/"),
        ("/\\evil.test/", "/%5Cevil.test/"),
        ("https://evil.test/", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
    ],
)
def test_the_form_takes_the_password_and_leads_to_a_page_of_ours(
    server: Server, target: str, leads: str
):
    from urllib.parse import urlencode

    own = {"Origin": f"http://{LOOPBACK}:{server.address.port}", "Sec-Fetch-Site": "same-origin"}
    for password in (server.address.auth, server.address.auth.partition(":")[2]):
        body = urlencode({"password": password, "next": target}).encode()
        status, headers, _ = server.ask("POST", "/pupila/login", own | NAVIGATION, body)
        assert (status, headers["location"]) == (303, leads)
        assert "HttpOnly" in headers["set-cookie"] and "SameSite=lax" in headers["set-cookie"]
        assert password not in headers["set-cookie"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "body", [b"", b"password=", b"password=wrong", b"password=%00%ff", b"password=" + b"x" * 9000]
)
def test_a_wrong_password_is_told_in_a_sentence(server: Server, body: bytes):
    status, headers, text = server.ask("POST", "/pupila/login", {}, body)
    assert status == 401 and "That is not the password of this station." in text
    assert "set-cookie" not in headers
    status, headers, text = server.ask("GET", "/pupila/login?token=old")
    assert status == 401 and "This link is of another password" in text


@pytest.mark.slow
def test_a_page_that_needs_the_password_comes_after_it_and_its_path_is_no_markup(server: Server):
    _, _, text = server.ask("GET", "/runs/%22%3E%3Cscript%3E?x=1", PAGE)
    assert 'name="next" value="/runs/%22%3E%3Cscript%3E?x=1"' in text


@pytest.mark.slow
def test_the_cookie_of_a_proxy_with_tls_goes_nowhere_else(server: Server):
    link = login_link("", server.address.auth)
    secure = server.ask("GET", link, {"Host": "pupila.example"})[1]["set-cookie"]
    assert "Secure" in secure
    assert "Secure" not in server.ask("GET", link)[1]["set-cookie"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("origin", "protocol", "first", "by"),
    [
        ("http://evil.test", "prefect", "right", "cookie"),
        ("null", "prefect", "right", "cookie"),
        ("http://127.0.0.1:1", "prefect", "right", "cookie"),
        (None, None, "right", ""),
        (None, "prefect", '{"type": "auth", "token": "wrong"}', ""),
        (None, "prefect", '{"type": "auth", "token": null}', ""),
        (None, "prefect", '{"type": "auth"}', ""),
        (None, "prefect", '{"type": "filter"}', ""),
        (None, "prefect", "[]", ""),
        (None, "prefect", "no JSON", ""),
    ],
)
@pytest.mark.parametrize("path", ["events/out", "events/in", "logs/out", "nowhere"])
def test_a_websocket_is_refused_as_a_request_is(
    server: Server, path: str, origin: str | None, protocol: str | None, first: str, by: str
):
    right = json.dumps({"type": "auth", "token": server.address.auth})
    with (
        pytest.raises((InvalidStatus, ConnectionClosed)),
        connect(
            f"ws://{LOOPBACK}:{server.address.port}/api/{path}",
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(protocol)] if protocol else None,
            additional_headers=server.log_in() if by else {},
        ) as socket,
    ):
        socket.send(right if first == "right" else first)
        pytest.fail(f"it answered {socket.recv(timeout=10)!r}")


@pytest.mark.slow
@pytest.mark.parametrize("by", ["first message", "header", "cookie"])
def test_a_websocket_hears_of_events_once_the_password_is_shown(server: Server, by: str):
    right = {"type": "auth", "token": server.address.auth if by == "first message" else None}
    headers = {"header": server.basic, "cookie": server.log_in()}.get(by, {})
    for _ in range(4):  # Prefect sometimes never sends an event to a new listener
        with connect(
            f"ws://{LOOPBACK}:{server.address.port}/api/events/out",
            subprotocols=[Subprotocol("prefect")],
            additional_headers=headers,
        ) as socket:
            socket.send(json.dumps(right))
            assert json.loads(socket.recv(timeout=10)) == {"type": "auth_success"}
            socket.send(json.dumps({"type": "filter", "filter": {}}))
            heard = _heard(socket, server)
            if heard:
                assert heard["type"] == "event"
                return
    pytest.fail("no event came back")


def _heard(socket: Connection, server: Server) -> Any:
    """Send events until one comes back: those before the filter has taken effect do not."""
    for _ in range(10):
        server.api.post("/events", [_event()])
        with suppress(TimeoutError):
            return json.loads(socket.recv(timeout=1))
    return None


def test_a_server_answers_to_its_own_names_and_to_those_of_its_proxies(tmp_path: Path):
    loopback = {"127.0.0.1", "localhost", "::1"}
    assert listen_address(tmp_path, "127.0.0.1", 4200).hosts == loopback
    assert listen_address(tmp_path, "Here.example", 4200).hosts == loopback | {"here.example"}
    everywhere = listen_address(tmp_path, "0.0.0.0", 4200)  # noqa: S104
    assert everywhere.hosts > loopback and socket.gethostname().lower() in everywhere.hosts
    urls = ["https://Pupila.example:443/", "http://server:4200"]
    assert listen_address(tmp_path, "0.0.0.0", 4200, urls=urls).urls == {  # noqa: S104
        "https://pupila.example",
        "http://server:4200",
    }


@pytest.mark.parametrize(
    "url", ["pupila.example", "ftp://a", "https://", "https://a/x", "http://a:b"]
)
def test_an_address_of_a_proxy_that_is_none_is_told(tmp_path: Path, url: str):
    with pytest.raises(PupilaError, match=re.escape(f"{url!r} is not an address of a server")):
        listen_address(tmp_path, "127.0.0.1", 4200, urls=[url])


def _event() -> dict[str, Any]:
    from datetime import UTC, datetime
    from uuid import uuid4

    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "pupila.test",
        "resource": {"prefect.resource.id": "pupila.test"},
        "payload": {},
        "related": [],
    }
