"""What a worker must have before it is given steps, and which faults are reported."""

from __future__ import annotations

import re
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dask_calls import ask, in_thread, jobs_in, process_call_of, tries
from dask_machines import machines, wait_until

from pupila.errors import PupilaError
from pupila_flows.execution import dask
from pupila_flows.execution.worker_check import publish_requirements
from pupila_flows.workspace import Workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    with jobs_in(tmp_path_factory.mktemp("cluster")) as folder:
        yield folder


@pytest.fixture(scope="module")
def workspace(folder: Path) -> Workspace:
    return Workspace.at(folder / "workspace")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "^$"),
        ({"token": "another"}, "does not see the workspace '/.*workspace': mount it there"),
        ({"marker": Path("/nowhere/cluster/x")}, "does not see the workspace '/nowhere'"),
        ({"reads": (Path("/nowhere/images"),)}, "sees nothing at '/nowhere/images': mount it"),
        ({"lock": Path("unlocked")}, r"found a locked file unlocked.*without `nolock`"),
        ({"lock": Path("/nowhere/x.lock")}, "does not share the locks .*No such file"),
        (
            {"versions": {"python": "2.7.1", "pupila-next": "9"}},
            r" pupila-next missing \(here 9\), .*python 3\S* \(here 2.7.1\), .*: install the same",
        ),
        (
            {"preferred_plugins": {"PUPILA_LOADERS": "ours"}},
            r"has PUPILA_LOADERS='' in its environment \(here 'ours'\): set the same there",
        ),
    ],
)
def test_a_worker_says_what_keeps_it_from_our_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
):
    monkeypatch.chdir(tmp_path)
    with publish_requirements(Workspace.at(tmp_path / "workspace"), [tmp_path]) as requirements:
        fault = replace(requirements, **changes).fault()
    assert re.search(message, fault or "") and (fault is None) == (message == "^$")


@pytest.mark.long
def test_workers_that_cannot_do_our_steps_are_named_before_anything_runs(tmp_path: Path):
    workspace = Workspace.at(tmp_path / "workspace")
    elsewhen = "import platform; platform.python_version = lambda: '3.9.1'"
    unaware = "import sys; sys.modules['pupila_flows'] = None"
    with machines(tmp_path) as strange:
        strange.add("old", before=elsewhen)
        strange.add("unaware", before=unaware)
        for name in strange.workers:
            wait_until(lambda log=tmp_path / f"{name}.log": "Registered" in log.read_text(), 60)
        with pytest.raises(PupilaError) as caught, dask.connect(workspace, strange.address):
            pytest.fail("they were requirements")
    first, second = sorted(str(caught.value).splitlines(), key=lambda line: "asked" in line)
    assert re.match(r"Worker tcp://\S+ of 'tcp://.* has python 3.9.1 \(here 3.1\d", first)
    assert re.match(
        r"Worker tcp://\S+ of .* cannot be asked \(.*No module named 'pupila_flows", second
    )
    assert not list((workspace.root / "cluster").iterdir())


@pytest.mark.long
def test_a_worker_that_comes_later_and_is_not_fit_fails_no_step_while_another_is(
    folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(dask, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(dask, "_NO_WORKER_SECONDS", 0.5)
    with machines(tmp_path, "good") as both, dask.connect(workspace, both.address) as there:
        both.add("old", before="import platform; platform.python_version = lambda: '3.9.1'")
        wait_until(lambda: "Registered" in (tmp_path / "old.log").read_text())
        good, folders = both.workers["good"].pid, [tmp_path / name for name in "ab"]
        asked = list[Future[Any]]()
        for part in folders:
            part.mkdir()
            process_call = process_call_of(workspace, "count", folder=str(part), until=1)
            asked.append(in_thread(ask, there, process_call, list[int]()))
        assert [future.result(60)["done"] for future in asked] == [1, 1]
        assert [worker for part in folders for _, worker in tries(part)] == [good, good]
        both.kill("good")
        with pytest.raises(PupilaError, match=r"Worker tcp://\S+ of .* has python 3.9.1"):
            ask(there, process_call_of(workspace, "count", folder=str(tmp_path), until=1), [])
