"""The interpreter as a runtime, and the package that it comes in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pupila import Artifact, PupilaError
from pupila.litert.interpreter import Interpreter
from pupila.measured import Measured
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing import ClassifierSteps, RunnerContract, StepRun
from pupila_micro.probes import draw_probes
from pupila_micro.runner import open_artifact

Exported = Callable[..., StepRun]


class TestTfliteMicroKeepsTheContract(RunnerContract):
    plugin = "tflite-micro"

    @classmethod
    def make_artifact(cls, store: Store, folder: Path):
        steps = ClassifierSteps(folder)
        tflite = steps.make("export-tflite")
        return steps.make(
            "export-tflite-micro", steps.make("quantize-int8", tflite, calibration_images=16)
        )


def _report(reports: list[tuple[int, int, str]], done: int, total: int, what: str) -> None:
    reports.append((done, total, what))


@pytest.mark.parametrize("io_type", ["int8", "float"])
def test_answers_are_those_of_litert(
    exported: Exported, quantized: Callable[..., Artifact], io_type: str
):
    images = draw_probes(exported(io_type).artifact.record.input, seed=2)
    reports: list[tuple[int, int, str]] = []
    with closing(open_model(exported(io_type).artifact)) as model:
        answers = model.predict(images, partial(_report, reports))
    source = quantized(io_type=io_type).file(".tflite")
    reference = Interpreter(source, threads=1, reference_kernels=True)
    expected = reference.predict(images, ignore_progress)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, atol=0.01)
    if io_type == "float":
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=0.02)
    assert reports[-1] == (24, 24, "images")


def test_one_image_after_another_does_not_disturb_the_next(exported: Exported):
    images = draw_probes(exported().artifact.record.input, seed=2)
    with closing(open_model(exported().artifact)) as model:
        forwards = model.predict(images, ignore_progress)
        model.latency_ms(images[0], 2)
        backwards = model.predict(images[::-1], ignore_progress)
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_the_runtime_says_that_it_runs_on_the_host(exported: Exported):
    with closing(open_model(exported().artifact, threads=4)) as model:
        assert model.runtime.startswith("TFLite Micro 0.dev2")
        assert model.runtime.endswith("reference kernels, on the host")
        assert model.threads == 1
        times = model.latency_ms(np.zeros((64, 64, 3), np.uint8), repeats=3)
        assert len(times) == 3
        assert min(times) > 0
        assert (model.peak_memory_bytes() or 0) > 2**20


def test_an_artifact_that_no_longer_fits_its_arena_is_refused(exported: Exported):
    artifact = exported().artifact
    smaller = Measured(artifact.record.measured, {"arena_bytes": 40_000})
    record = artifact.record.model_copy(update={"measured": smaller})
    with pytest.raises(PupilaError, match="does not run the model in 40000 bytes"):
        open_artifact(Artifact(artifact.path, artifact.digest, record), threads=1)


def test_an_artifact_without_a_measured_arena_is_refused(exported: Exported):
    artifact = exported().artifact
    record = artifact.record.model_copy(update={"measured": Measured({"arena_bytes": "small"})})
    with pytest.raises(PupilaError, match="does not say what arena it needs: make it again"):
        open_artifact(Artifact(artifact.path, artifact.digest, record), threads=1)


def test_where_the_interpreter_is_not_installed_that_is_said():
    program = (
        "import sys; sys.modules['tflite_micro'] = None\n"
        "from pupila import PupilaError\n"
        "try: import pupila_micro.runner\n"
        "except PupilaError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "wheels for Linux on x86_64 alone" in ended.stdout
