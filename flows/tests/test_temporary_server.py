"""The server of one run: nobody else may use it, and it never outlives the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from command_line import user_environment

from pupila import PupilaError
from pupila_flows.station import temporary
from pupila_flows.station.api import Api
from pupila_flows.station.leash import leash
from pupila_flows.station.temporary import TemporaryServer
from pupila_flows.workspace import Workspace

RUN = """
import os, sys, time
from pupila_flows.station.temporary import TemporaryServer
from pupila_flows.workspace import Workspace

place = Workspace.at(sys.argv[1])
place.configure_prefect()
server = TemporaryServer(place)
server.wait(sys.stderr.write)
print(server.process.pid, os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"])
sys.stdout.flush()
sys.stdin.read()
"""
STARTS_ANOTHER = """
import subprocess, sys, time
command = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(command, start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def _run(folder: Path) -> Generator[tuple[subprocess.Popen[str], psutil.Process, Api]]:
    """Open a temporary server as a run does."""
    unset = user_environment()
    command = [sys.executable, "-c", RUN, str(folder)]
    run = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=unset
    )
    try:
        assert run.stdout
        pid, url, auth = run.stdout.readline().split()
        yield run, psutil.Process(int(pid)), Api(url, auth)
    finally:
        run.kill()
        run.communicate()


def _gone(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(None, marks=pytest.mark.long),
    ],
)
def test_it_answers_its_run_alone_and_ends_with_it(tmp_path: Path, end: signal.Signals | None):
    with _run(tmp_path) as (run, server, api):
        assert api.post("/flows/filter", {}) == []
        for other in (Api(api.url), Api(api.url, "pupila:wrong")):
            with pytest.raises(OSError, match="401"):
                other.post("/flows/filter", {})
        assert os.getsid(server.pid) != os.getsid(run.pid)  # no Ctrl-C of a terminal reaches it
        assert "pupila:" not in " ".join(server.cmdline())
        if end:
            run.send_signal(end)
        else:
            run.communicate("")
        assert _gone(server, 2)
        assert not api.answers()


@pytest.mark.long
def test_it_is_started_again_when_it_dies_and_those_that_ask_wait(tmp_path: Path):
    with _run(tmp_path) as (_, server, api):
        flow = api.post("/flows/", {"name": "kept"})
        server.kill()
        assert _gone(server, 2)
        assert [known["id"] for known in api.post("/flows/filter", {})] == [flow["id"]]


def test_what_ends_with_its_holder_takes_along_what_it_has_started(tmp_path: Path):
    (tmp_path / "another.py").write_text(STARTS_ANOTHER)
    holder = subprocess.Popen(
        leash("another"),
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert holder.stdout and holder.stdin
    grandchild = psutil.Process(int(holder.stdout.readline()))
    holder.stdin.close()  # as when the process that holds the pipe is killed
    assert holder.wait(5) == -signal.SIGKILL
    assert _gone(grandchild, 2)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace; what is set for its server is unset afterwards."""
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_UI_URL"):
        monkeypatch.setenv(name, "")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return Workspace.at(tmp_path)


@pytest.mark.slow
def test_a_server_that_dies_at_once_is_told_with_its_log(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////dev/null/no")
    server = TemporaryServer(workspace)
    with pytest.raises(
        PupilaError, match=r"ended after \d+ s and with code 3, before it answered: "
    ):
        server.wait(print)
    assert "unable to open database file" in server.log.read_text()


@pytest.mark.long
def test_a_slow_server_is_waited_for_and_one_that_never_answers_is_told(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    said = list[str]()
    monkeypatch.setattr(temporary, "_SLOW_SECONDS", 0.1)
    TemporaryServer(workspace).wait(said.append)
    assert said == ["Prefect's temporary server takes its time to start: waiting for it"]
    monkeypatch.setattr(temporary, "_LONGEST_SECONDS", 0.2)
    server = TemporaryServer(workspace)
    with pytest.raises(PupilaError, match=r"did not answer within 0 s: .*prefect-server.log"):
        server.wait(said.append)
    assert server.process.poll() is not None
