"""The contracts of runners and loaders fail for each way of breaking a promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from pupila.testing import write_distribution

PLUGINS = """
import numpy as np

from pupila import InProcessModel, InputSpec, Loader, PupilaError, Runner, StepResult, hookimpl
from pupila.imported import check_columns


def runner(name, **changes):
    code = f"{__name__}:{name.title().replace('-', '')}"
    return Runner(
        name=name, summary="A runner by colour", format=name, **{"implementation": code, **changes}
    )


@hookimpl
def pupila_runners():
    yield runner("good")
    yield runner("one-row")
    yield runner("forgetful")
    yield runner("threads-change-it")
    yield runner("no-times")
    yield runner("no-version")
    yield runner("trusting")


@hookimpl
def pupila_loaders():
    for name in ("good", "rough", "careless"):
        yield Loader(
            name=f"{name}-file",
            summary="A matrix of three colours",
            produces="good",
            recognises=lambda path, name=name: path.suffix == f".{name}",
            implementation=f"{__name__}:load_{name}",
        )


def load_good(source, output, folder, factor=1.0):
    try:
        weights = np.load(source)["weights"]
    except Exception as error:
        raise PupilaError(f"{source} is damaged: {error}. Copy it again.") from None
    np.savez(folder / "model.npz", weights=weights * factor)
    declared = check_columns(source, (1, weights.shape[1]), output)
    return StepResult(format="good", input=InputSpec(height=32, width=32), output=declared)


def load_rough(source, output, folder):
    return load_good(source, output, folder, factor=0.5)


def load_careless(source, output, folder):
    weights = np.load(source)["weights"]
    np.savez(folder / "model.npz", weights=weights)
    return StepResult(format="good", input=InputSpec(height=32, width=32), output=output)


def answers(images, weights):
    odds = np.exp((images.mean(axis=(1, 2)) - 100) @ weights)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


class Good(InProcessModel):
    runtime = "NumPy 2"

    def __init__(self, artifact, threads):
        self.threads = threads
        try:
            self.weights = np.load(artifact.file(".npz"))["weights"]
        except Exception as error:
            raise PupilaError(f"The model is damaged: {error}. Export it again.") from None

    def set_image(self, image):
        self.image = image

    def invoke(self):
        self.outputs = answers(self.image[None], self.weights)[0]

    def values(self):
        return self.outputs

    def close(self):
        del self.weights


class OneRow(Good):
    def predict(self, images, progress):
        return super().predict(images, progress)[:1]


class Forgetful(Good):
    seen = 0

    def values(self):
        self.seen += 1
        return np.roll(self.outputs, self.seen)


class ThreadsChangeIt(Good):
    def values(self):
        return np.roll(self.outputs, self.threads)


class NoTimes(Good):
    def latency_ms(self, image, repeats):
        return [0.0]


class NoVersion(Good):
    runtime = "NumPy"


class Trusting(Good):
    def __init__(self, artifact, threads):
        self.threads, self.weights = threads, np.load(artifact.file(".npz"))["weights"]
"""

CONTRACTS = """
import numpy as np
from colour_plugins import answers

from pupila import InputSpec, OutputSpec
from pupila.artifact import Origin
from pupila.testing import LoaderContract, RunnerContract

WEIGHTS = np.random.default_rng(0).normal(0, 0.05, (3, 2))


class Runner(RunnerContract):
    @classmethod
    def make_artifact(cls, store, folder):
        with store.draft() as draft:
            np.savez(draft / "model.npz", weights=WEIGHTS)
            return store.add(
                draft,
                format=cls.plugin,
                input=InputSpec(height=8, width=8),
                output=OutputSpec(kind="softmax", classes=("square", "triangle")),
                origin=Origin(plugin="colour", distribution="colour", version="1"),
            )


class Loader(LoaderContract):
    @classmethod
    def make_file(cls, folder, images):
        path = folder / f"model.{cls.plugin.removesuffix('-file')}"
        with path.open("wb") as stream:
            np.savez(stream, weights=WEIGHTS)
        return path, answers(images, WEIGHTS)


class TestGood(Runner):
    plugin = "good"


class TestOneRow(Runner):
    plugin = "one-row"


class TestForgetful(Runner):
    plugin = "forgetful"


class TestThreadsChangeIt(Runner):
    plugin = "threads-change-it"


class TestNoTimes(Runner):
    plugin = "no-times"


class TestNoVersion(Runner):
    plugin = "no-version"


class TestTrusting(Runner):
    plugin = "trusting"


class TestGoodFile(Loader):
    plugin = "good-file"


class TestRoughFile(Loader):
    plugin = "rough-file"


class TestCarelessFile(Loader):
    plugin = "careless-file"
"""
BROKEN: Mapping[str, set[str]] = {
    "Good": set(),
    "GoodFile": set(),
    "OneRow": {
        "test_it_gives_a_row_for_each_image_of_the_declared_kind",
        "test_an_image_is_answered_alike_alone_and_again",
    },
    "Forgetful": {"test_an_image_is_answered_alike_alone_and_again"},
    "ThreadsChangeIt": {"test_the_number_of_threads_does_not_change_an_answer"},
    "NoTimes": {"test_it_times_each_repeat"},
    "NoVersion": {"test_its_runtime_has_a_version"},
    "Trusting": {"test_a_model_that_is_cut_short_is_refused"},
    "RoughFile": {"test_the_model_answers_as_it_did_before"},
    "CarelessFile": {
        "test_a_model_of_another_number_of_classes_is_refused",
        "test_a_file_that_is_cut_short_is_refused",
    },
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Run every contract above in one pytest: what failed, by class."""
    folder = tmp_path_factory.mktemp("contracts")
    write_distribution(folder / "path", "colour-dist", "colour_plugins", PLUGINS)
    (folder / "test_colour.py").write_text(CONTRACTS)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(folder)],
        env={**os.environ, "PYTHONPATH": str(folder / "path")},
        capture_output=True,
        text=True,
    )
    failed: dict[str, set[str]] = {}
    for line in re.finditer(r"^(\w+) \S*::Test(\w+)::(\w+)", ended.stdout, re.MULTILINE):
        outcome, contract, test = line.groups()
        failed.setdefault(contract, set())
        if outcome not in ("PASSED", "SKIPPED"):
            failed[contract].add(test)
    assert failed, ended.stdout + ended.stderr
    return failed


@pytest.mark.parametrize("contract", BROKEN)
def test_each_broken_promise_fails_its_own_tests(failures: dict[str, set[str]], contract: str):
    assert failures[contract] == BROKEN[contract]
