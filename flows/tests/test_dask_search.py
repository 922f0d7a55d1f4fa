"""A search on a real Dask cluster: its candidates are trained by all workers, and one is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_machines import Machines, machines, running, wait_until

from pupila.store import Store
from pupila.testing import colour_teacher, draw_colours
from pupila_flows.results import RunResult

pytestmark = pytest.mark.long

CALL = "pupila_flows.jobs.run_step:RunStep.call"
"""Argument of the process that has a step."""
RECIPE = """\
name: found
seed: 3
runner: {{use: dask, address: "{address}"}}
data: {{path: images, positive: blue}}
teachers: {{big: {{path: "{teacher}"}}}}
steps:
  small:
    use: search
    from: big
    with:
      size: 16
      minutes: null
      max_candidates: 6
      epochs: [2, 3]
      population: 4
      children: 2
      finalists: 1
      tuning_epochs: 1
      workers: 2
      batch_size: 8
      objectives: [loss, bytes, macs]
      augmentation: {{views: 1}}
"""


def prepared(folder: Path, address: str) -> Path:
    """Write images, a teacher and a recipe."""
    folder.mkdir(exist_ok=True)
    draw_colours(folder / "images")
    teacher = colour_teacher(Store(folder / "teachers")).path
    (folder / "recipe.yaml").write_text(RECIPE.format(address=address, teacher=teacher))
    return folder


@pytest.mark.parametrize("lost", ["another worker", "the worker of the search"])
def test_candidates_are_trained_by_all_workers_and_a_lost_one_costs_what_it_did_alone(
    tmp_path: Path, lost: str
):
    with machines(tmp_path, "first", "second") as pair:
        folder = prepared(tmp_path / "spread", pair.address)
        wait_until(lambda: "Registered" in (tmp_path / "second.log").read_text())
        with running(folder) as run:
            seen: list[dict[str, str]] = []
            wait_until(lambda: run.poll() is not None or _both_train(pair, seen), 300)
            assert run.poll() is None, run.communicate()
            home = _home(pair)
            (other,) = pair.workers.keys() - {home}
            killed = other if lost == "another worker" else home
            pair.kill(killed)
            output, errors = run.communicate(timeout=500)
    assert run.returncode == 0, errors
    entries = RunResult.model_validate_json(output).entries
    (small,) = (entry for entry in entries if entry.name == "small")
    assert small.record and small.record.measured["failed"] == 0
    logs = {log.stem[:-13]: log.read_text() for log in folder.glob("workspace/logs/*.log")}
    tries = {title: text.count(", worker tcp://") for title, text in logs.items()}
    assert tries["small"] == (1 if killed == other else 2)
    parts = {title: count for title, count in tries.items() if title.startswith("search-0")}
    assert len(parts) == 6
    ended = 1 if killed == other else 2  # with the search itself, both that were under way
    assert sum(parts.values()) == small.record.measured["stages_trained"] + ended
    assert parts[f"search-{seen[-1][killed]}"] > 1


def _both_train(pair: Machines, seen: list[dict[str, str]]) -> bool:
    """Note what workers train, and tell whether both do."""
    seen.append(_training(pair))
    return len(seen[-1]) == 2


def _training(pair: Machines) -> dict[str, str]:
    """Return the number of the candidate that a worker trains, by name of the worker."""
    artifacts: dict[str, str] = {}
    for name in pair.workers:
        for command in pair.commands(name):
            alone = Path(command[-1])
            if alone.parent.name == ".parts":
                artifacts[name] = alone.stem
    return artifacts


def _home(pair: Machines) -> str:
    """Return the name of the worker that has the search itself."""
    for name in pair.workers:
        if any(CALL in command for command in pair.commands(name)):
            return name
    raise AssertionError("no worker has the search")
