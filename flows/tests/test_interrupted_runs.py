"""Runs that are under way for the server, and have no process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from pupila_flows.station.api import Api
from pupila_flows.station.environment import MARK
from pupila_flows.station.recovery import InterruptedRuns
from pupila_flows.station.supervisor import flow_runs_of


class Recorded(Api):
    """A server that knows some runs and workers, and remembers which states were set."""

    def __init__(self, runs: dict[str, str], workers: tuple[str, ...] = ("station",)) -> None:
        super().__init__("http://127.0.0.1:1/api")
        self.runs, self.workers, self.states = runs, workers, dict[str, str]()

    def post(self, path: str, value: Any) -> Any:
        if path == "/flow_runs/filter":
            return [
                {"id": run, "name": run, "state": {"type": kind}} for run, kind in self.runs.items()
            ]
        if path.endswith("/workers/filter"):
            return [{"name": name, "status": "ONLINE"} for name in self.workers]
        run = path.split("/")[2]
        self.states[run] = value["state"]["type"]
        del self.runs[run]
        return None


@pytest.fixture
def mark() -> str:
    return uuid4().hex


@contextmanager
def working(mark: str) -> Generator[subprocess.Popen[bytes]]:
    """Keep a process of the run `a` of a station."""
    variables = {MARK: mark, "PREFECT__FLOW_RUN_ID": "a"}
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def at_work(mark: str) -> Generator[subprocess.Popen[bytes]]:
    with working(mark) as process:
        yield process


def test_the_processes_of_a_station_tell_their_runs(mark: str, at_work: subprocess.Popen[bytes]):
    assert flow_runs_of(mark) == {"a"}
    assert flow_runs_of("another") == set()
    at_work.kill()
    at_work.wait()
    assert flow_runs_of(mark) == set()


@pytest.mark.parametrize(
    ("before", "after"),
    [("RUNNING", "CRASHED"), ("PENDING", "CRASHED"), ("CANCELLING", "CANCELLED")],
)
def test_what_has_no_process_for_long_enough_is_ended_and_the_rest_left_alone(
    mark: str, at_work: subprocess.Popen[bytes], before: str, after: str
):
    api = Recorded({"a": before, "b": before})
    lost = InterruptedRuns(api, mark, patience_seconds=0.2)
    assert lost.end() == []
    time.sleep(0.3)
    assert lost.end() == ["b"]
    assert api.states == {"b": after}
    at_work.kill()
    at_work.wait()
    assert lost.end() == []
    time.sleep(0.3)
    assert lost.end() == ["a"]


def test_a_process_that_comes_in_time_is_waited_for(mark: str):
    lost = InterruptedRuns(Recorded({"a": "PENDING"}), mark, patience_seconds=0.2)
    assert lost.end() == []
    with working(mark):
        time.sleep(0.3)
        assert lost.end() == []


def test_with_a_worker_on_another_machine_nothing_is_ended(mark: str):
    lost = InterruptedRuns(Recorded({"b": "RUNNING"}, ("station", "elsewhere")), mark, 0)
    assert lost.end() == [] and lost.end() == []
