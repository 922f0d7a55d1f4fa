"""Calls that a cluster is given: their answers, and what becomes of them when machines die."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dask_calls import ask, ignore, in_thread, jobs_in, process_call_of, tries
from dask_machines import Machines, machines, wait_until
from filelock import FileLock

from pupila.errors import PupilaError
from pupila_flows.execution import child, dask
from pupila_flows.workspace import Workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    with jobs_in(tmp_path_factory.mktemp("cluster")) as folder:
        yield folder


@pytest.fixture(scope="module")
def workspace(folder: Path) -> Workspace:
    return Workspace.at(folder / "workspace")


@pytest.fixture(scope="module")
def pair(folder: Path) -> Generator[Machines]:
    with machines(folder, "first", "second") as started:
        yield started


@pytest.fixture(scope="module")
def there(pair: Machines, workspace: Workspace) -> Generator[dask.Cluster]:
    """A connection to two workers."""
    with dask.connect(workspace, pair.address) as joined:
        wait_until(lambda: "Registered" in (pair.folder / "second.log").read_text())
        yield joined


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "seconds", "arguments", "error", "message"),
    [
        ("refuse", None, {}, PupilaError, "classes is 'x'"),
        ("quit", None, {}, child.ChildFailed, "ended with code 3"),
        ("sleep", 2, {"pause": 60}, child.ChildFailed, "stopped after 2 s, its time limit"),
    ],
)
def test_what_goes_wrong_on_a_worker_is_told_as_it_is_here(
    there: dask.Cluster,
    workspace: Workspace,
    name: str,
    seconds: float | None,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
):
    given = arguments | ({"pid_file": str(workspace.root / "limited")} if arguments else {})
    with pytest.raises(error, match=message):
        ask(there, process_call_of(workspace, name, seconds, **given), [])


@pytest.mark.long
def test_a_worker_ends_its_child_when_nobody_waits_for_it(
    there: dask.Cluster, workspace: Workspace
):
    pids = workspace.root / "unwanted"
    process_call = process_call_of(workspace, "sleep", pause=60, pid_file=str(pids))
    with FileLock(process_call.caller_lock) as waiting:
        asked = in_thread(there.call, process_call, ignore)
        wait_until(lambda: pids.exists() and pids.read_text() != "")
        (pid,) = map(int, pids.read_text().split())
        assert psutil.pid_exists(pid)
        waiting.release()  # as the system does for a coordinator that is killed
        wait_until(lambda: not psutil.pid_exists(pid))
    with pytest.raises(child.ChildFailed):
        asked.result(30)


@pytest.mark.slow
def test_a_worker_killed_amid_a_step_costs_what_came_after_its_checkpoint(
    pair: Machines, there: dask.Cluster, workspace: Workspace, tmp_path: Path
):
    progress, until = list[int](), 12
    process_call = process_call_of(workspace, "count", folder=str(tmp_path), until=until)
    answer = in_thread(ask, there, process_call, progress)
    wait_until(lambda: max(progress, default=0) >= 3)
    ((orphan, worker),) = tries(tmp_path)
    (name,) = [name for name, process in pair.workers.items() if process.pid == worker]
    pair.kill(name)
    wait_until(lambda: not psutil.pid_exists(orphan))
    came = answer.result(60)
    assert came["done"] == until and came["began"] >= 3
    first, second = tries(tmp_path)  # and neither wrote again after the other had begun
    assert first == (orphan, worker) and second[1] != worker
    lines = (tmp_path / "diary").read_text().splitlines()
    assert len(lines) == until
    (left,) = pair.workers.values()
    assert second[1] == left.pid
    logged = process_call.log.read_text()
    assert logged.count(", worker tcp://") == 2


@pytest.mark.long
def test_a_cluster_that_has_lost_its_workers_is_not_waited_for(
    folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(dask, "_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(dask, "_NO_WORKER_SECONDS", 2.0)
    with machines(tmp_path, "only") as alone, dask.connect(workspace, alone.address) as there:
        progress = list[int]()
        process_call = process_call_of(workspace, "count", folder=str(tmp_path), until=1000)
        asked = in_thread(ask, there, process_call, progress)
        wait_until(lambda: max(progress, default=0) >= 2)
        alone.kill("only")
        with pytest.raises(child.ChildFailed, match="has had no worker for 2 s: start one"):
            asked.result(30)
        other = in_thread(ask, there, process_call, progress)
        alone.scheduler.kill()
        with pytest.raises(child.ChildFailed, match="gave no answer: FutureCancelledError"):
            other.result(30)


def test_a_try_begins_when_the_one_before_it_is_gone(folder: Path, workspace: Workspace):
    pids = workspace.root / "in-turn"
    process_call = process_call_of(workspace, "sleep", pause=1.0, pid_file=str(pids))
    first = in_thread(process_call.run, ignore, child.Children())
    wait_until(lambda: pids.exists() and pids.read_text() != "")
    began = time.time()
    second = process_call.run(ignore, child.Children())
    assert first.result()["until"] <= second["until"] - 1.0
    assert began < first.result()["until"]
    assert len(pids.read_text().split()) == 2


def test_an_address_where_nobody_listens_is_told_in_seconds(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dask, "_CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(PupilaError, match=r"No Dask scheduler answers at 'tcp://127.0.0.1:9' "),
        dask.connect(workspace, "tcp://127.0.0.1:9"),
    ):
        pytest.fail("it was reached")
