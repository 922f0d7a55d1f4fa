from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import InputSpec, PupilaError, installed, keras_files
from pupila.measured import SearchResult
from pupila.store import Store
from pupila.testing import (
    TechniqueContract,
    colour_dataset,
    colour_teacher,
    run_step,
    step_for,
)
from pupila.training.altered import Altered
from pupila_search.config import Search
from pupila_search.genome import Genome
from pupila_search.techniques import search
from pupila_search.training_targets import make_targets
from pupila_search.workers import Workers

QUICK = {
    "size": 16,
    "minutes": None,
    "max_candidates": 5,
    "epochs": (1, 1),
    "population": 3,
    "children": 2,
    "finalists": 1,
    "tuning_epochs": 1,
    "workers": 1,
    "objectives": ("loss", "bytes", "macs"),
    "batch_size": 8,
    "augmentation": {"views": 2},
}

INPUT = InputSpec(height=16, width=16)

FEW = QUICK | {"max_candidates": 3, "epochs": (1,), "finalists": 0, "augmentation": {"views": 1}}


@pytest.fixture
def dataset(tmp_path):
    return colour_dataset(tmp_path)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def ran(name, settings, inputs, folder, store, dataset):
    plugin = installed().step(name)
    config = plugin.config.model_validate(settings)
    return run_step(plugin, config, inputs, folder, store=store, dataset=dataset)


@pytest.mark.long
class TestSearch(TechniqueContract):
    plugin = "search"
    config = FEW | {"population": 2, "children": 1}

    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder)

    @classmethod
    def make_inputs(cls, store, folder):
        return (colour_teacher(store),)


@pytest.mark.long
def test_a_search_reports_its_front_its_family_and_its_history(tmp_path, store, dataset):
    teachers = [colour_teacher(store, slope) for slope in (1.0, 0.5)]
    settings = QUICK | {"objectives": ("loss", "bytes", "latency")}
    searched = ran("search", settings, teachers, tmp_path / "search", store, dataset)
    measured = searched.result.measured
    names = [candidate["name"] for candidate in measured["candidates"]]
    assert names == ["c0", "c1", "c2", "c3", "c4"]
    assert measured["chosen"] in names and measured["failed"] == 0
    assert len(measured["teachers"]) == 2
    for model in measured["front"]:
        Genome.model_validate(model["genome"])
        assert model["latency_ms"] > 0
        interval = model["validation_accuracy"]
        assert interval["low"] <= interval["value"] <= interval["high"]
    result = measured.read(SearchResult)
    assert result
    accuracies = [improvement.validation_accuracy for improvement in result.history]
    assert accuracies and accuracies == sorted(accuracies)
    assert {
        "seconds",
        "candidates/0/stage_seconds",
        "front/0/latency_ms",
    } <= measured.timings.keys()
    assert any("images that choose: c" in what for _, _, what in searched.progress)
    assert measured["family"][-1]["name"] == measured["chosen"]

    front = measured["front"][-1]["name"]
    picked = ran(
        "search-pick", {"pick": front}, [searched.artifact], tmp_path / "p", store, dataset
    )
    assert keras_files.load(picked.artifact).name == front
    assert picked.result.measured["picked"] == measured["front"][-1]
    assert searched.artifact.size_bytes < sum(
        file.stat().st_size for file in searched.artifact.files
    )
    with pytest.raises(PupilaError, match=r"'c99'.*front of the input has: c\d"):
        ran("search-pick", {"pick": "c99"}, [searched.artifact], tmp_path / "q", store, dataset)
    with pytest.raises(PupilaError, match="not made by `search`"):
        ran("search-pick", {"pick": "c0"}, teachers[:1], tmp_path / "r", store, dataset)


_SEARCH = """
import json, sys
from pathlib import Path
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import read_images, step_for
from pupila_search.config import Search
from pupila_search.techniques import search

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    dataset = read_images(folder.parent / "images", folder.parent / "cache")
    teacher = Store(folder / "store").open(sys.argv[3])
    config = Search.model_validate_json(sys.argv[2])
    step = step_for(config, [teacher], folder, dataset=dataset, seed=3)
    print(json.dumps(dict(search(step).measured)))
"""


def started(folder: Path, config: Search) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    teacher = colour_teacher(Store(folder / "store"))
    script = folder.parent / "one_search.py"
    script.write_text(_SEARCH)
    return subprocess.Popen(
        [sys.executable, script, folder, config.model_dump_json(), teacher.digest],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


@pytest.mark.long
def test_a_killed_search_goes_on_and_trains_nothing_twice(tmp_path, dataset):
    config = Search.model_validate(FEW)
    killed = started(tmp_path / "search", config)
    scratch = tmp_path / "search" / "scratch"
    while len(list(scratch.glob("*/*/stage-0.json"))) < 2:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = {path: path.stat().st_mtime_ns for path in scratch.glob("*/0000[01]/*.*")}
    assert len(before) == 8  # of both: what it is, its first weights, figures, weights
    output, _ = started(tmp_path / "search", config).communicate(timeout=900)
    measured = json.loads(output.splitlines()[-1])
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [candidate["name"] for candidate in measured["candidates"]] == ["c0", "c1", "c2"]
    assert measured["stages_trained"] == 3 and measured["failed"] == 0


@pytest.mark.long
def test_when_a_worker_dies_only_its_candidate_fails(tmp_path, store, dataset, monkeypatch):
    config = Search.model_validate(FEW)
    real, killed = Workers.train, []

    def train(self, subtasks, may_start):
        for subtask in subtasks:
            if subtask.folder.name == "00001" and not killed:
                killed.append(subtask)
                (subtask.folder / "start.npz").unlink()
                os.mkfifo(subtask.folder / "start.npz")  # its reader waits
                kill_the_reader(subtask.folder / "start.npz")
        return real(self, subtasks, may_start)

    monkeypatch.setattr(Workers, "train", train)
    step = step_for(config, [colour_teacher(store)], tmp_path, dataset=dataset)
    product = search(step)
    failed = [candidate for candidate in product.measured["candidates"] if "failed" in candidate]
    assert [candidate["name"] for candidate in failed] == ["c1"]
    assert "worker died" in failed[0]["failed"]
    assert product.measured["stages_trained"] == 2


def kill_the_reader(fifo: Path) -> None:
    """Kill the process that opens a pipe for reading, as soon as one does."""

    def wait() -> None:
        with fifo.open("wb"):
            for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
                try:
                    reads = (
                        descriptor.readlink() == fifo and int(descriptor.parts[2]) != os.getpid()
                    )
                except OSError:
                    continue
                if reads:
                    os.kill(int(descriptor.parts[2]), signal.SIGKILL)
                    return

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.long
def test_the_strategy_of_the_study_appends_blocks(tmp_path, store, dataset):
    settings = QUICK | {"strategy": "append", "size": 32, "epochs": (1,), "finalists": 0}
    settings |= {"max_candidates": 6}
    teacher = colour_teacher(store)
    measured = ran(
        "search", settings, [teacher], tmp_path / "search", store, dataset
    ).result.measured
    changes = [ancestor["change"] for ancestor in measured["family"]]
    assert changes[0] == "initial" and all(change.startswith("append") for change in changes[1:])
    assert len(measured["candidates"]) == 6


@pytest.mark.long
def test_a_search_can_learn_from_the_teachers_that_are_right(tmp_path, store, dataset):
    settings = QUICK | {
        "distillation": "oracle",
        "max_candidates": 3,
        "epochs": (2,),
        "finalists": 1,
    }
    teachers = [colour_teacher(store, slope) for slope in (1.0, 0.5)]
    searched = ran("search", settings, teachers, tmp_path / "search", store, dataset)
    stages = [model["stage"] for model in searched.result.measured["front"]]
    assert searched.result.measured["failed"] == 0 and stages


@pytest.mark.long
def test_fidelity_as_an_objective_chooses_what_is_written(tmp_path, store, dataset):
    settings = QUICK | {"objectives": ("fidelity", "bytes", "macs"), "finalists": 0}
    teacher = colour_teacher(store)
    searched = ran("search", settings, [teacher], tmp_path / "search", store, dataset)
    result = searched.result.measured.read(SearchResult)
    assert result and result.chosen_model and not result.tied
    assert result.rule.startswith("highest fidelity on altered validation images")
    fidelities = [candidate.validation_fidelity for candidate in result.candidates]
    assert result.chosen_model.validation_fidelity == max(filter(None, fidelities))
    altered = Altered.of(step_for(Search(), [teacher], tmp_path, dataset=dataset), INPUT)
    answers = keras_files.load(searched.artifact)(altered.pictures.astype(np.float32))
    fidelity = altered.fidelity(np.log(np.asarray(answers)))
    assert fidelity == pytest.approx(result.chosen_model.validation_fidelity, abs=1e-3)
    assert any("best on the images that choose: c" in what for _, _, what in searched.progress)


def test_fidelity_is_to_one_teacher():
    config = Search(objectives=("fidelity", "bytes"))
    config.check_inputs(1)
    with pytest.raises(PupilaError, match="names 'fidelity', which means fidelity to one teacher"):
        config.check_inputs(2)


def test_a_teacher_at_chance_level_is_refused(tmp_path, store, dataset):
    config = Search.model_validate(QUICK)
    teachers = [colour_teacher(store), colour_teacher(store, slope=0.0)]
    with pytest.raises(PupilaError, match=r"Teacher 2 of 2.*not shown to be above chance"):
        search(step_for(config, teachers, tmp_path, dataset=dataset))


def test_an_impossible_budget_says_what_is_possible(tmp_path, dataset):
    config = Search.model_validate(QUICK | {"max_bytes": 900})
    with pytest.raises(PupilaError, match=r"900.*smallest model.*\d{4} bytes"):
        search(step_for(config, [], tmp_path, dataset=dataset))


def test_a_full_disk_is_reported_and_nothing_is_lost(tmp_path, store, dataset, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pupila_search.candidates.write_atomically", full)
    config = Search.model_validate(QUICK)
    step = step_for(config, [colour_teacher(store)], tmp_path, dataset=dataset)
    with pytest.raises(PupilaError, match=r"disk is full.*goes on after its last candidate"):
        search(step)


def test_views_are_kept_only_where_they_take_no_more_than_half_of_the_free_disk(
    tmp_path, store, dataset, monkeypatch
):
    config = Search.model_validate(QUICK)
    needed = len(dataset.select("train")) * config.augmentation.views * 16 * 16 * 3
    for free, kept in ((2 * needed, config.augmentation.views), (2 * needed - 2, 0)):
        usage = shutil.disk_usage(tmp_path)._replace(free=free)
        folder = tmp_path / str(free)
        folder.mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
            targets = make_targets(
                step_for(config, [colour_teacher(store)], folder, dataset=dataset)
            )
        assert len(targets.pictures) == kept


def test_a_disk_that_is_full_before_any_candidate_is_reported(
    tmp_path, store, dataset, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pupila_search.training_targets.write_rows", full)
    config = Search.model_validate(QUICK)
    step = step_for(config, [colour_teacher(store)], tmp_path, dataset=dataset)
    with pytest.raises(PupilaError, match=r"disk is full: .*the teachers' answers"):
        search(step)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"minutes": None}, "both null"),
        ({"objectives": ("speed",)}, "objectives"),
        ({"objectives": ("loss", "fidelity")}, "name the one to choose by"),
        ({"strategy": "random"}, "strategy"),
        ({"epochs": ()}, "epochs"),
    ],
)
def test_senseless_settings_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        Search.model_validate(settings)


def test_appending_has_the_settings_of_the_study_where_none_are_given():
    config = Search.model_validate({"strategy": "append", "children": 4})
    assert (config.population, config.children, config.epochs) == (5, 4, (5,))
    assert (config.alpha, config.temperature) == (0.5, 10)
    assert Search.model_validate_json(config.model_dump_json()) == config
