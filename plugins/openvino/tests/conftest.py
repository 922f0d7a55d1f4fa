"""Steps on a small classifier, up to its OpenVINO form."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pytest

from pupila import Artifact
from pupila.testing import ClassifierSteps


class Steps(ClassifierSteps):
    """Steps on a small classifier in ONNX."""

    @cached_property
    def onnx(self) -> Artifact:
        return self.make("export-onnx")

    @cached_property
    def int8_onnx(self) -> Artifact:
        flatbuffer = self.make("export-tflite")
        int8 = self.make("quantize-int8", flatbuffer, calibration_images=16)
        return self.make("export-onnx", int8)


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(tmp_path_factory.mktemp("openvino"))


@pytest.fixture(scope="session")
def openvino_model(steps: Steps) -> Artifact:
    return steps.make("export-openvino", steps.onnx)


@pytest.fixture
def images() -> np.ndarray:
    """Return uint8 images that fit the model."""
    return np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), np.uint8)
