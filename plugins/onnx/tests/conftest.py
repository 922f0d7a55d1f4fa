"""Steps on a small classifier in Keras, TFLite and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import Artifact
from pupila.dataset import Dataset
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing import draw_images, keras_artifact, read_images, run_step

CALIBRATION = {"calibration_images": 16}


@dataclass(frozen=True)
class Steps:
    """Runs steps on a small classifier; each step is run once for the same inputs and settings."""

    folder: Path

    @cached_property
    def store(self) -> Store:
        return Store(self.folder / "store")

    @cached_property
    def dataset(self) -> Dataset:
        return read_images(draw_images(self.folder / "images", images=12), self.folder / "cache")

    @cached_property
    def keras(self) -> Artifact:
        return keras_artifact(self.store)

    @cached_property
    def tflite(self) -> Artifact:
        return self.run("export-tflite", self.keras)

    def quantized(self, name: str) -> Artifact:
        return self.run(name, self.tflite, **(CALIBRATION if name != "quantize-dynamic" else {}))

    def run(self, step: str, model: Artifact, **settings: Any) -> Artifact:
        plugin = installed().step(step)
        config = plugin.config.model_validate(settings)
        folder = self.folder / f"run-{len(list(self.folder.glob('run-*')))}"
        return run_step(
            plugin, config, [model], folder, store=self.store, dataset=self.dataset
        ).artifact

    def answers(self, artifact: Artifact) -> np.ndarray:
        predictions = Predictions(self.folder / "predictions")
        return predictions.of(artifact, self.dataset.select("test"), ignore_progress)


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="session")
def onnx_model(steps: Steps) -> Artifact:
    return steps.run("export-onnx", steps.keras)


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
