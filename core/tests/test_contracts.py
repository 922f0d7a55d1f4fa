"""The contracts must fail for each way of breaking a promise, and for nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from pupila.testing import write_distribution

PLUGINS = """
import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from pupila import Config, Exporter, StepResult, Runner, Technique, hookimpl
from pupila.measured import Measured, PluginWarning

COUNTER = itertools.count()


class Described(Config):
    scale: float = Field(default=1.0, description="Factor of all weights.")


class Bare(BaseModel):
    scale: float = 1.0


def declare(kind, name, implementation, config=Described, produces="colour", **changes):
    return kind(
        name=name,
        config=config,
        accepts=frozenset({"colour"}),
        produces=produces,
        implementation=f"{__name__}:{implementation}",
        **{"summary": "Scale the weights of a colour model", **changes},
    )


@hookimpl
def pupila_techniques():
    yield declare(Technique, "good", "scale")
    yield declare(Technique, "Bad_Name", "scale")
    yield declare(Technique, "long-winded", "scale", summary="Two\\nlines, of a summary")
    yield declare(Technique, "bare-settings", "scale", config=Bare)
    yield declare(Technique, "lost-code", "no_such_function")
    yield declare(Technique, "litterer", "litter")
    yield declare(Technique, "vandal", "alter_the_input")
    yield declare(Technique, "fitter", "look_at_validation", needs_data=True)
    yield declare(Technique, "peeker", "look_at_test", needs_data=True)
    yield declare(Technique, "gambler", "scale_at_random")
    yield declare(Technique, "liar", "scale", produces="beads")
    yield declare(Technique, "changer", "change_format", produces="")
    yield declare(Technique, "odd-progress", "overshoot")
    yield declare(Technique, "blank", "answer_nothing")
    yield declare(Technique, "misnamer", "note_another_curve")
    yield declare(Technique, "clock-watcher", "note_the_time")
    yield declare(Technique, "timer", "tell_the_time")


@hookimpl
def pupila_exporters():
    yield declare(Exporter, "good-export", "scale")
    yield declare(Exporter, "changes-answers", "double")
    yield declare(Exporter, "changes-classes", "rename")


@hookimpl
def pupila_runners():
    yield Runner(
        name="colour", summary="By colour", implementation=f"{__name__}:Opened", format="colour"
    )


def write(step, factor=1.0, **changes):
    weights = np.load(step.inputs[0].path / "model.npy")
    np.save(step.output / "model.npy", weights * factor)
    return StepResult.like(step.inputs[0], format="colour", **changes)


def scale(step):
    step.progress(1, 1, "models")
    warning = PluginWarning(warning="Colours only.")
    return write(step, step.config.scale, measured=Measured(warning, {"factor": 1}))


def note_another_curve(step):
    return write(step, measured=Measured({"curve": "steep"}))


def note_the_time(step):
    return write(step, measured=Measured({"tuning_seconds": time.monotonic()}))


def tell_the_time(step):
    return write(step, measured=Measured(clock={"tuning_seconds": time.monotonic()}))


def change_format(step):
    return dataclasses.replace(write(step), format="beads")


def double(step):
    return write(step, 2.0)


def rename(step):
    output = step.inputs[0].record.output
    return write(step, output=output.model_copy(update={"classes": output.classes[::-1]}))


def scale_at_random(step):
    return write(step, 1.0 + next(COUNTER))


def litter(step):
    Path("log.txt").write_text("I was here")
    return write(step)


def alter_the_input(step):
    np.save(step.inputs[0].path / "model.npy", np.zeros((3, 2)))
    return write(step)


def look_at_validation(step):
    return write(step, step.dataset.select("validation").labels.mean())


def look_at_test(step):
    return write(step, step.dataset.select("test").labels.mean())


def overshoot(step):
    step.progress(5, 4, "models")
    return write(step)


def answer_nothing(step):
    return write(step, np.nan)


class Opened:
    runtime = "numpy"

    def __init__(self, artifact, threads):
        self.weights = np.load(artifact.path / "model.npy")

    def predict(self, images, progress):
        odds = np.exp((images.mean(axis=(1, 2)) - 100) @ self.weights)
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)

    def close(self):
        pass
"""

HEAVY = """
import jax  # the quickest of the frameworks to import
from colour_plugins import Technique, declare, hookimpl


@hookimpl
def pupila_techniques():
    yield declare(Technique, "heavy", "scale")
"""

CONTRACTS = """
import numpy as np

from pupila import InputSpec, OutputSpec
from pupila.artifact import Origin
from pupila.testing import ExporterContract, TechniqueContract


def colour_model(store):
    with store.draft() as folder:
        np.save(folder / "model.npy", np.random.default_rng(0).normal(0, 0.05, (3, 2)))
        return store.add(
            folder,
            format="colour",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=("square", "triangle")),
            origin=Origin(plugin="colour", distribution="colour", version="1"),
        )


class Technique(TechniqueContract):
    @classmethod
    def make_inputs(cls, store, folder):
        return (colour_model(store),)


class Exporter(ExporterContract):
    make_inputs = Technique.make_inputs


class TestGood(Technique):
    plugin = "good"
    config = {"scale": 0.5}


class TestBadName(Technique):
    plugin = "Bad_Name"


class TestLongWinded(Technique):
    plugin = "long-winded"


class TestBareSettings(Technique):
    plugin = "bare-settings"


class TestLostCode(Technique):
    plugin = "lost-code"


class TestLitterer(Technique):
    plugin = "litterer"


class TestVandal(Technique):
    plugin = "vandal"


class TestFitter(Technique):
    plugin = "fitter"


class TestPeeker(Technique):
    plugin = "peeker"


class TestGambler(Technique):
    plugin = "gambler"


class TestLiar(Technique):
    plugin = "liar"


class TestChanger(Technique):
    plugin = "changer"


class TestOddProgress(Technique):
    plugin = "odd-progress"


class TestBlank(Technique):
    plugin = "blank"


class TestMisnamer(Technique):
    plugin = "misnamer"


class TestClockWatcher(Technique):
    plugin = "clock-watcher"


class TestTimer(Technique):
    plugin = "timer"


class TestHeavy(Technique):
    plugin = "heavy"


class TestGoodExport(Exporter):
    plugin = "good-export"


class TestChangesAnswers(Exporter):
    plugin = "changes-answers"


class TestChangesClasses(Exporter):
    plugin = "changes-classes"


class TestExporterAsTechnique(Technique):
    plugin = "good-export"
"""


SUMMARY = "its_summary_is_of_10_to_100_characters"


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Run every contract above in one pytest: what failed, by class."""
    folder = tmp_path_factory.mktemp("contracts")
    write_distribution(folder / "path", "colour-dist", "colour_plugins", PLUGINS)
    write_distribution(folder / "path", "heavy-dist", "heavy_plugins", HEAVY)
    (folder / "test_colour.py").write_text(CONTRACTS)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(folder)],
        env={**os.environ, "PYTHONPATH": str(folder / "path")},
        capture_output=True,
        text=True,
    )
    failed: dict[str, set[str]] = {}
    tests = re.finditer(r"^(\w+) \S*::Test(\w+)::(\w+)(?:\[(\w+)\])?", ended.stdout, re.MULTILINE)
    for line in tests:
        outcome, contract, test, check = line.groups()
        failed.setdefault(contract, set())
        if outcome not in ("PASSED", "SKIPPED"):
            failed[contract].add(check or test)
    assert failed, ended.stdout + ended.stderr
    return failed


@pytest.mark.parametrize("contract", ["Good", "Fitter", "Timer", "GoodExport"])
def test_a_plugin_that_keeps_its_promises_passes(failures: dict[str, set[str]], contract: str):
    assert failures[contract] == set()


@pytest.mark.parametrize(
    ("contract", "broken"),
    [
        ("BadName", {"its_name_is_words_in_lower_case"}),
        ("Litterer", {"test_it_writes_only_to_its_output_and_scratch"}),
        ("Gambler", {"test_one_seed_gives_one_answer", "test_one_seed_gives_one_artifact"}),
        ("Liar", {"test_it_makes_the_format_that_it_declares"}),
        ("Changer", {"test_it_makes_the_format_that_it_declares"}),
        ("OddProgress", {"test_its_progress_makes_sense"}),
        (
            "Blank",
            {
                "test_its_answers_are_probabilities_of_the_classes",
                "test_one_seed_gives_one_answer",
            },
        ),
        ("Misnamer", {"test_what_it_measured_has_the_form_that_its_names_promise"}),
        ("ClockWatcher", {"test_one_seed_gives_one_artifact"}),
        ("Heavy", {"it_is_listed_without_importing_a_framework"}),
        ("ChangesAnswers", {"test_it_answers_as_its_input_does"}),
        (
            "ChangesClasses",
            {"test_it_keeps_what_the_model_takes_and_gives", "test_it_answers_as_its_input_does"},
        ),
    ],
)
def test_each_broken_promise_fails_its_own_test(
    failures: dict[str, set[str]], contract: str, broken: set[str]
):
    assert failures[contract] == broken


@pytest.mark.parametrize("contract", ["LongWinded", "BareSettings"])
def test_a_descriptor_that_is_refused_fails_every_test(
    failures: dict[str, set[str]], contract: str
):
    assert failures[contract] > {SUMMARY, "every_setting_is_described"}


def test_an_exporter_does_not_keep_the_contract_of_techniques(failures: dict[str, set[str]]):
    assert failures["ExporterAsTechnique"] >= {SUMMARY, "its_implementation_can_be_imported"}


@pytest.mark.parametrize("contract", ["LostCode", "Vandal", "Peeker"])
def test_what_cannot_run_alters_its_input_or_asks_for_test_images_fails_all_that_runs_it(
    failures: dict[str, set[str]], contract: str
):
    assert "test_it_makes_the_format_that_it_declares" in failures[contract]
    assert SUMMARY not in failures[contract]
    assert ("its_implementation_can_be_imported" in failures[contract]) == (contract == "LostCode")
