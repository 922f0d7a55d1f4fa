"""A real station, and pages in a real browser that would like to use it."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from command_line import PUPILA, user_environment
from hostile_pages import HOSTILE as HOSTILE_TEXT
from hostile_pages import hostile_run
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response

from pupila_flows.markdown import plain
from pupila_flows.report.verdict import metrics_markdown, verdict_markdown
from pupila_flows.station.address import known_api
from pupila_flows.station.api import Api
from pupila_flows.station.login import login_link

pytestmark = pytest.mark.long

HOSTILE = """
<!doctype html><title>trying</title>
<script type="module">
const api = "http://TARGET/api", blob = type => new Blob([JSON.stringify({
  name: "made by a stranger",
  trigger: {type: "event", posture: "Reactive", expect: ["*"]},
  actions: [{type: "do-nothing"}],
})], {type})
const heard = []
const tried = async (what, request) => {
  try { heard.push(what + ": " + await request()) } catch (error) { heard.push(what + ": refused") }
}
const text = async answer =>
  answer.type == "opaque" ? "blind" : answer.status + " " + await answer.text()
const post = (type, more) =>
  fetch(api + "/automations/", {method: "POST", body: blob(type), ...more}).then(text)
await tried("blind POST", () => post("", {mode: "no-cors"}))
await tried("blind POST with cookies", () => post("", {mode: "no-cors", credentials: "include"}))
await tried("POST", () => post("application/json", {credentials: "include"}))
await tried("beacon", async () => navigator.sendBeacon(api + "/automations/", blob("")) && "blind")
await tried("read", () => fetch(api + "/admin/version", {credentials: "include"}).then(text))
await tried("websocket", () => new Promise((resolve, reject) => {
  const socket = new WebSocket(api.replace("http", "ws") + "/events/out", "prefect")
  socket.onopen = () => socket.send(JSON.stringify({type: "auth", token: null}))
  socket.onmessage = message => resolve(message.data)
  socket.onerror = socket.onclose = reject
}))
await tried("script", () => new Promise((resolve, reject) => {
  const script = document.createElement("script")
  script.src = "http://TARGET/ui-settings"
  script.onload = () => resolve("loaded"); script.onerror = reject
  document.head.append(script)
}))
await tried("frame", () => new Promise(resolve => {
  const frame = document.createElement("iframe")
  frame.src = "http://TARGET/"
  frame.onload = () => resolve("blind")
  document.body.append(frame)
}))
const form = document.createElement("form")
form.method = "post"; form.action = api + "/automations/"; form.enctype = "text/plain"
form.target = "popped"
document.body.append(form)
await tried("form", async () => { form.submit(); return "blind" })
document.title = heard.join(" | ")
</script>
"""


@dataclass(frozen=True)
class Station:
    """A station that the command line has brought up."""

    process: subprocess.Popen[str]
    workspace: Path
    root: str
    auth: str

    @property
    def api(self) -> Api:
        return Api(f"{self.root}/api", self.auth)

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])

    def automations(self) -> set[str]:
        automations = self.api.post("/automations/filter", {})
        return {automation["name"] for automation in automations}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[Station]:
    folder = tmp_path_factory.mktemp("station")
    workspace = folder / ".pupila"
    unset = user_environment()
    process = subprocess.Popen(
        [*PUPILA, "station", "up", "--port", str(_free_port())],
        cwd=folder,
        env=unset,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said = iter(process.stdout.readline, "")
    assert any(line.startswith("up; ") for line in said), process.wait(10)
    api = known_api(workspace, {})
    assert api
    auth = (workspace / "station" / "password").read_text().strip()
    yield Station(process, workspace, api.url.removesuffix("/api"), auth)
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def strangers(station: Station) -> Generator[str]:
    """A server of somebody else on this machine; a page of it tries all that a page can."""
    page = HOSTILE.replace("TARGET", station.root.removeprefix("http://")).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/"
        listening.shutdown()
        thread.join()


@pytest.fixture
def user(browser: Browser, station: Station) -> Generator[BrowserContext]:
    """A browser that is logged in."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(login_link(station.root, station.auth))
        assert [
            cookie for cookie in context.cookies() if cookie.get("name", "").startswith("pupila")
        ]
        yield context


def test_a_hostile_page_in_the_same_browser_reads_and_makes_nothing(
    station: Station, strangers: str, user: BrowserContext
):
    before = station.automations()
    for address in (strangers, strangers.replace("127.0.0.1", "evil.test")):
        page = user.new_page()
        page.goto(address)
        page.wait_for_function("document.title != 'trying'", timeout=60_000)
        heard = page.title().split(" | ")
        assert len(heard) == 9
        assert not [message for message in heard if not message.endswith((": refused", ": blind"))]
        page.wait_for_timeout(1000)  # for what was sent blindly
    assert station.automations() == before


def test_a_name_that_is_bound_to_this_machine_reads_and_makes_nothing(
    station: Station, user: BrowserContext
):
    before, page = station.automations(), user.new_page()
    rebound = f"http://evil.test:{station.port}"
    answer = page.goto(f"{rebound}/api/admin/version")
    assert answer and answer.status == 403
    script = """async root => {
        const given = {method: "POST", body: new Blob([JSON.stringify({
            name: "made by a stranger",
            trigger: {type: "event", posture: "Reactive", expect: ["*"]},
            actions: [{type: "do-nothing"}],
        })])}
        const made = await fetch(root + "/api/automations/", given)
        const read = await fetch(root + "/api/flows/filter", {method: "POST", body: "{}"})
        return [made.status, read.status]
    }"""
    assert page.evaluate(script, rebound) == [403, 403]
    assert page.evaluate("document.cookie") == ""
    assert station.automations() == before


def test_the_ui_works_and_asks_nobody_else(station: Station, user: BrowserContext, tmp_path: Path):
    flow = station.api.post("/flows/", {"name": "compress"})
    state = {"type": "COMPLETED", "name": "Completed"}
    station.api.post("/flow_runs/", {"flow_id": flow["id"], "name": "first-run", "state": state})
    for ui in ("runs", "v2/runs"):
        page, answers, elsewhere, wrong = (
            user.new_page(),
            list[Response](),
            list[str](),
            list[str](),
        )
        page.on("response", lambda answer, answers=answers: answers.append(answer))
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.on("requestfinished", lambda request, other=elsewhere: other.append(request.url))
        page.goto(f"{station.root}/{ui}")
        page.get_by_text("first-run").first.wait_for(timeout=60_000)
        page.get_by_text("first-run").first.click()
        page.locator("canvas").first.wait_for(timeout=60_000)
        page.screenshot(path=tmp_path / f"{ui[:2]}.png")
        assert wrong == []
        assert {answer.status for answer in answers if "/api/" in answer.url} <= {200, 201, 204}
        assert {
            url for url in elsewhere if not url.startswith((station.root, "data:", "blob:"))
        } == set()
        page.close()


@pytest.fixture
def report(station: Station) -> Path:
    """A report of the station's workspace into which a hostile page was smuggled."""
    path = station.workspace / "runs" / "eyes" / "20261128T020000Z" / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    docs = station.workspace / "data-docs" / "0123" / "index.html"
    docs.parent.mkdir(parents=True, exist_ok=True)
    docs.write_text("<!doctype html><title>Data Docs</title>")
    link = '<h1>A report</h1><a href="../../../data-docs/0123/index.html">Data Docs</a>'
    path.write_text(HOSTILE.replace("TARGET", station.root.removeprefix("http://")) + link)
    return path


@pytest.mark.parametrize("ui", ["v1", "v2"])
def test_a_link_of_the_ui_leads_to_a_report_that_can_do_nothing(
    station: Station, user: BrowserContext, report: Path, ui: str
):
    before, address = station.automations(), f"/pupila/{report.relative_to(station.workspace)}"
    body = {"key": "eyes-verdict", "type": "markdown", "data": f"* [Report]({address})"}
    artifact = station.api.post("/artifacts/", body)["id"]
    user.add_cookies([{"name": "prefect_ui_version", "value": ui, "url": station.root}])
    page = user.new_page()
    page.goto(f"{station.root}{'/v2' if ui == 'v2' else ''}/artifacts/artifact/{artifact}")
    link = page.get_by_text("Report", exact=True)
    link.wait_for(timeout=60_000)
    if link.get_attribute("target") == "_blank":
        with user.expect_page() as opened:
            link.click()
        page = opened.value
    else:
        link.click()
    page.wait_for_url(f"**{address}", timeout=60_000)
    assert page.inner_text("h1") == "A report"
    page.wait_for_timeout(1000)
    assert page.title() == "trying" and station.automations() == before
    page.click("text=Data Docs")
    page.wait_for_url("**/pupila/data-docs/0123/index.html")
    assert page.title() == "Data Docs"


@pytest.mark.parametrize("ui", ["v1", "v2"])
def test_texts_of_others_in_an_artifact_are_shown_and_not_obeyed(
    station: Station, user: BrowserContext, tmp_path: Path, ui: str
):
    result = hostile_run(tmp_path / "run", tmp_path / "index.html")
    verdict = f"{verdict_markdown(result, tmp_path / 'run')}\n\n{metrics_markdown(result)}"
    body = {
        "key": "hostile",
        "type": "markdown",
        "data": verdict,
        "description": plain(HOSTILE_TEXT),
    }
    artifact = station.api.post("/artifacts/", body)["id"]
    user.add_cookies([{"name": "prefect_ui_version", "value": ui, "url": station.root}])
    page, asked = user.new_page(), list[Request]()
    page.on("request", lambda request: asked.append(request))
    page.goto(f"{station.root}{'/v2' if ui == 'v2' else ''}/artifacts/artifact/{artifact}")
    page.locator("h2", has_text="Nothing passes the release gate").wait_for(timeout=60_000)
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / "artifact.png", full_page=True)
    assert page.evaluate("window.ran") is None
    assert not page.query_selector("img[src*=invalid], a[href^=javascript], [onerror], base")
    assert [request.url for request in asked if "invalid" in request.url] == []
    assert "![x](" in page.inner_text("body") and len(page.query_selector_all("table")) >= 3


def test_a_report_is_only_for_those_who_are_logged_in(
    station: Station, browser: Browser, report: Path
):
    address = f"{station.root}/pupila/{report.relative_to(station.workspace)}"
    with browser.new_context() as context:
        page = context.new_page()
        answer = page.goto(address)
        assert answer and answer.status == 401 and "A report" not in page.content()
        _give(page, station.auth)
        page.wait_for_url(address, timeout=60_000)
        assert page.inner_text("h1") == "A report"


def test_who_is_not_logged_in_is_asked_for_the_password(station: Station, browser: Browser):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{station.root}/runs?state=failed")
        _give(page, "wrong")
        assert "That is not the password of this station." in page.content()
        page.goto(f"{station.root}/runs?state=failed")
        _give(page, station.auth)
        page.wait_for_url("**/runs?state=failed", timeout=60_000)


def _give(page: Page, password: str) -> None:
    page.fill("input[type=password]", password)
    page.click("button")


def test_all_of_a_station_that_is_killed_is_gone(station: Station):
    started = psutil.Process(station.process.pid).children(recursive=True)
    assert {"server", "worker"} <= {word for process in started for word in _words(process)}
    station.process.kill()
    gone, left = psutil.wait_procs(started, timeout=5)
    assert not left and gone
    deadline = time.monotonic() + 2
    while station.api.answers():
        assert time.monotonic() < deadline, "its server answers"


def _words(process: psutil.Process) -> set[str]:
    """Return what the command line of a process names, without the packages."""
    with suppress(psutil.NoSuchProcess):
        return {word.rpartition(".")[2] for word in process.cmdline()}
    return set()
