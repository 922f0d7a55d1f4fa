"""Steps on a small classifier in Keras, TFLite and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pytest

from pupila import Artifact
from pupila.testing import ClassifierSteps

CALIBRATION = {"calibration_images": 16}


class Steps(ClassifierSteps):
    """Steps on a small classifier in Keras and TFLite."""

    @cached_property
    def tflite(self) -> Artifact:
        return self.make("export-tflite")

    def quantized(self, name: str) -> Artifact:
        settings = CALIBRATION if name != "quantize-dynamic" else {}
        return self.make(name, self.tflite, **settings)


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="session")
def onnx_model(steps: Steps) -> Artifact:
    return steps.make("export-onnx", steps.student)


@pytest.fixture
def images() -> np.ndarray:
    """Return uint8 images that fit the model."""
    return np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), np.uint8)


@pytest.fixture
def run_alone() -> Callable[..., str]:
    """Run a program in a process of its own and return what it prints."""
    import subprocess
    import sys

    def run(program: str, *arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run
