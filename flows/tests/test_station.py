"""What a station does when something is in its way: ports, signals, proxies, servers that fail."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from typer.testing import CliRunner

from pupila import PupilaError
from pupila_flows.cli import teacher
from pupila_flows.cli.main import app
from pupila_flows.station import station, worker
from pupila_flows.station.address import Address, StationRecord, check_free, write_record
from pupila_flows.station.api import Api
from pupila_flows.station.environment import environment
from pupila_flows.station.monitor import Monitor
from pupila_flows.station.register import register
from pupila_flows.station.station import running
from pupila_flows.teachers import StoredTeacher, TeacherRecord
from pupila_flows.workspace import Workspace

Answer = tuple[int, bytes]
LATER = "2999-01-01T00:00:00.{:06}Z"


@dataclass
class Server:
    """A server on loopback with given answers, which remembers its requests."""

    answer: Callable[[str, Any], Any] = lambda path, value: None
    asked: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    port: int = 0

    @property
    def api(self) -> Api:
        return Api(f"http://127.0.0.1:{self.port}/api")


def _as_answer(answer: Answer | object) -> Answer:
    if isinstance(answer, tuple):
        return cast("Answer", answer)
    return 200, json.dumps(answer).encode()


@pytest.fixture
def server() -> Generator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            value = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "0")
            path = self.path.removeprefix("/api")
            server.asked.append((path, value))
            status, text = _as_answer(server.answer(path, value))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.removesuffix(b"CUT"))

        do_GET = do_POST  # noqa: N815 - the name that the library looks for

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield server
        listening.shutdown()
        thread.join()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


def test_a_port_that_is_in_use_is_told_and_whose_it_is_left_alone(
    workspace: Workspace, server: Server
):
    server.answer = lambda path, value: True  # healthy: it would be taken for the server to come
    with (
        pytest.raises(PupilaError, match=f"Port {server.port} of '127.0.0.1' is in use"),
        running(workspace, Address("127.0.0.1", server.port, "a:b"), []),
    ):
        pytest.fail("it took over the other's server")
    assert server.asked == []
    assert not (workspace.root / "station" / "station.json").exists()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_of_this_machine_is_told(host: str):
    with pytest.raises(PupilaError, match=f"Nothing can listen at '{host}', port 4200: "):
        check_free(Address(host, 4200, "a:b"))


STATION = """
import sys
from pathlib import Path
from pupila_flows.station import station
from pupila_flows.station.address import Address
from pupila_flows.stopping import stoppable
from pupila_flows.workspace import Workspace

stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
station.leash = lambda *command: [sys.executable, "-c", stubborn]
address = Address("127.0.0.1", int(sys.argv[2]), "a:b")
with stoppable():
    with station.running(Workspace.at(sys.argv[1]), address, []):
        pass
"""


STOPPED = "stopped; what was finished is kept, and the same command goes on.\n"


def _heed_ctrl_c() -> None:
    """Undo what a shell does to programs that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def _station(workspace: Workspace, before: str = "") -> Generator[subprocess.Popen[str]]:
    """Bring up a station whose server is deaf and stubborn, for as long as the block lasts."""
    command = [sys.executable, "-c", before + STATION, str(workspace.root), str(_free_port())]
    station = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=_heed_ctrl_c
    )
    try:
        _until(lambda: (workspace.root / "logs" / "server.log").exists())
        time.sleep(0.3)
        yield station
    finally:
        station.kill()
        station.wait()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_station_and_those_after_it_do_not_keep_anything_running(
    workspace: Workspace, number: signal.Signals
):
    with _station(workspace) as station:
        (server,) = psutil.Process(station.pid).children()
        station.send_signal(number)
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            time.sleep(0.1)
            station.send_signal(again)
        _, output = station.communicate(timeout=30)
        assert (output, station.returncode) == (STOPPED, 130)
        assert not server.is_running()


def test_a_station_under_nohup_outlives_its_terminal(workspace: Workspace):
    with _station(
        workspace, "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    ) as station:
        station.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert station.poll() is None
        station.send_signal(signal.SIGTERM)
        assert station.communicate(timeout=30) == (None, STOPPED)
        assert not (workspace.root / "station" / "station.json").exists()


def test_what_prefect_knows_is_for_its_user_alone(workspace: Workspace, server: Server):
    folder = workspace.root / "station"
    folder.mkdir(mode=0o755)
    with (
        pytest.raises(PupilaError, match="in use"),
        running(workspace, Address("127.0.0.1", server.port, "a:b"), []),
    ):
        pass
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_this_machine_is_asked_directly_and_not_by_a_proxy(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "intranet.example, localhost")
    server.answer = lambda path, value: True
    assert server.api.answers()
    variables = environment(tmp_path, Address("10.0.0.4", 4200, "a:b"), "mark")
    assert (
        variables["no_proxy"]
        == variables["NO_PROXY"]
        == "intranet.example,localhost,127.0.0.1,::1,10.0.0.4"
    )


@pytest.mark.parametrize(
    "answer", [(200, b"[1, 2CUT"), (200, b"<html>"), (200, b"\xff\xfe"), (500, b"")]
)
def test_an_answer_that_was_cut_off_or_is_none_is_as_no_answer(server: Server, answer: Answer):
    server.answer = lambda path, value: answer
    with pytest.raises(OSError):
        server.api.post("/flow_runs/filter", {})
    assert not server.api.answers()


def test_an_address_that_is_none_does_not_answer():
    assert not Api("4200/api").answers()
    assert not Api("http://[::1/api").answers()


def _page(events: list[dict[str, Any]], since: str) -> dict[str, Any]:
    """Answer as Prefect does: 50 events, the oldest first."""
    return {"events": [event for event in events if event["occurred"] >= since][:50]}


def test_more_firings_than_a_page_holds_are_told_once_each(server: Server):
    events = [
        {"id": str(n), "occurred": LATER.format(n), "resource": {"prefect.resource.name": f"a{n}"}}
        for n in range(130)
    ]
    fired = events[:60]
    server.answer = lambda path, value: (
        [] if path.startswith("/flow_runs") else _page(fired, value["filter"]["occurred"]["since"])
    )
    watch = Monitor(server.api)
    assert list(watch.news()) == [f"automation 'a{n}' fired" for n in range(60)]
    assert list(watch.news()) == []
    fired += events[60:]
    assert list(watch.news()) == [f"automation 'a{n}' fired" for n in range(60, 130)]


def test_what_could_not_be_told_is_told_later_and_a_deployment_that_is_gone_costs_no_line(
    server: Server,
):
    away = True

    def run(number: int) -> dict[str, Any]:
        state = {"name": "Failed", "timestamp": LATER.format(number), "message": ""}
        return {"id": str(number), "name": f"run-{number}", "state": state, "deployment_id": number}

    def answer(path: str, value: Any) -> Any:
        if path == "/flow_runs/filter":
            return [run(3), run(2), run(1)]
        if path == "/deployments/2":
            return 404, b"{}"
        if path == "/deployments/3" and away:
            return 503, b"{}"
        return {"events": []} if path == "/events/filter" else {"name": f"night-{path[-1]}"}

    server.answer = answer
    watch, lines = Monitor(server.api), list[str]()
    with pytest.raises(OSError, match="503"):
        for line in watch.news():
            lines.append(line)
    assert lines == ["night-1 'run-1': Failed", "run 'run-2': Failed"]
    away = False
    assert list(watch.news()) == ["night-3 'run-3': Failed"]
    assert list(watch.news()) == []


@pytest.mark.parametrize(
    ("workers", "taken", "said"),
    [
        ([["OFFLINE"]], ["7"], "it goes on"),
        ([["ONLINE", "OFFLINE"], ["OFFLINE", "OFFLINE"]], ["7"], "it goes on"),
        ([["ONLINE"]], [], "another worker is up"),
    ],
)
def test_a_worker_takes_up_what_the_last_one_left_unless_that_one_lives(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    workers: list[list[str]],
    taken: list[str],
    said: str,
):
    monkeypatch.setattr(worker, "_SILENT_SECONDS", 0.3)
    monkeypatch.setattr(worker, "_LOOK_SECONDS", 0.05)
    online = list(workers)

    def answer(path: str, value: Any) -> Any:
        if path == "/flow_runs/filter":
            return [{"id": "7", "name": "small", "state": {"type": "RUNNING"}}]
        if path == "/work_pools/pupila/workers/filter":
            return [
                {"status": status} for status in (online.pop(0) if len(online) > 1 else online[0])
            ]
        return True

    server.answer = answer
    lines = list[str]()
    worker.resume_last(server.api, lines.append)
    assert said in lines[-1]
    ways = [path.split("/") for path, _ in server.asked if path.endswith("set_state")]
    assert [way[2] for way in ways] == taken


def test_a_worker_of_a_server_that_refuses_says_so(server: Server):
    server.answer = lambda path, value: True if path == "/health" else (401, b"{}")
    with pytest.raises(PupilaError, match=r"401.*PREFECT_API_AUTH_STRING"):
        worker.resume_last(server.api, print)


def test_work_and_deploy_ask_for_the_server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for command in ("work", "deploy"):
        result = CliRunner().invoke(app, ["station", command])
        assert isinstance(result.exception, PupilaError)
        assert "PREFECT_API_URL is not set" in str(result.exception)


def test_a_server_that_is_down_or_refuses_is_told_in_a_sentence(server: Server):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    server.answer = lambda path, value: (401, b'{"exception_message": "Unauthorized"}')
    with (
        temporary_settings({PREFECT_API_URL: server.api.url}),
        pytest.raises(PupilaError, match=r"asks for another password: set PREFECT_API_AUTH_STRING"),
    ):
        register([])
    nobody = f"http://127.0.0.1:{_free_port()}/api"
    with (
        temporary_settings({PREFECT_API_URL: nobody}),
        pytest.raises(PupilaError, match=rf"'{nobody}' does not answer .*: start it"),
    ):
        register([])


def test_a_deployment_that_hangs_is_told_and_not_shown_as_a_defect(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(station, "_REGISTER_SECONDS", 0.01)
    with pytest.raises(PupilaError, match="were not registered within"):
        station._register([], None, dict(os.environ))  # pyright: ignore[reportPrivateUsage]


def test_a_teacher_is_in_the_teacher_store_though_the_station_cannot_be_asked(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    write_record(
        workspace.root,
        StationRecord(api="http://x/api", mark="m", auth_file=str(tmp_path / "gone")),
    )
    record = TeacherRecord(
        source="m.keras", sha256="0" * 64, added="", output="softmax", classes=("a", "b")
    )
    stored = StoredTeacher("big", 1, tmp_path / "m.keras", record)
    assert not teacher._notify(workspace.root, stored)  # pyright: ignore[reportPrivateUsage]
    output = capsys.readouterr().err
    assert "gone' cannot be read" in output and "The teacher is in the store; start the" in output


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _until(happened: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
