"""Parts of a step, done by the other workers of its cluster."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
from dask_calls import in_thread, jobs_in
from dask_machines import Machines, machines, wait_until

from pupila.errors import PupilaError
from pupila.step import SubTaskFailed
from pupila_flows.execution import dask
from pupila_flows.execution.step_workers import worker_pool
from pupila_flows.execution.worker_check import ClusterConnection, publish_requirements
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


@pytest.fixture
def connection(pair: Machines, there: dask.Cluster) -> ClusterConnection:
    """The connection of a step whose subtasks two workers can do."""
    for number in range(2 - len(pair.workers)):
        pair.add(f"more-{time.monotonic_ns()}-{number}")
    wait_until(lambda: len(there.workers()) == 2)
    return ClusterConnection(address=pair.address, requirements=there.requirements)


@pytest.mark.long
def test_a_part_that_crashed_is_tried_on_another_machine_before_it_counts_as_failed(
    workspace: Workspace, connection: ClusterConnection
):
    jobs = import_module("distant_jobs")
    with worker_pool(workspace, "parts", "small", connection) as machines:
        assert machines
        with pytest.raises(SubTaskFailed, match="ended with code 3"):
            machines.call("one", jobs.quit, {})
        with pytest.raises(PupilaError, match="classes is 'x'"):
            machines.call("two", jobs.refuse, {})
    log = workspace.log("small-one", "parts").read_text()
    assert len(set(re.findall(r"worker (tcp://\S+)", log))) == 2
    assert len(re.findall("worker tcp://", workspace.log("small-two", "parts").read_text())) == 1


@pytest.mark.long
def test_a_part_ends_when_its_step_has(workspace: Workspace, connection: ClusterConnection):
    jobs, pids = import_module("distant_jobs"), workspace.root / "part"
    with worker_pool(workspace, "ended", "small", connection) as machines:
        assert machines
        asked = in_thread(machines.call, "one", jobs.sleep, {"pause": 60, "pid_file": str(pids)})
        wait_until(lambda: pids.exists() and pids.read_text() != "")
        (pid,) = map(int, pids.read_text().split())
    wait_until(lambda: not psutil.pid_exists(pid))
    with pytest.raises((SubTaskFailed, PupilaError, dask.ClusterLost)):
        asked.result(30)


def never(*, progress: Any) -> dict[str, Any]:
    """Not be called."""
    raise AssertionError(progress)


def test_a_step_that_no_longer_reaches_its_cluster_may_be_tried_again(workspace: Workspace):
    with publish_requirements(workspace, []) as requirements:
        connection = ClusterConnection(address="tcp://127.0.0.1:9", requirements=requirements)
        with worker_pool(workspace, "alone", "small", connection) as machines:
            assert machines
            with pytest.raises(dask.ClusterLost, match="No Dask scheduler answers"):
                machines.call("one", never, {})
