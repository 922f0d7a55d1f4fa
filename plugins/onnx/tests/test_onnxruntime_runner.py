"""ONNX Runtime runs an artifact in batches, and times it one image at a time."""

from __future__ import annotations

from contextlib import closing
from importlib.metadata import version

import numpy as np
import pytest

from pupila import PupilaError
from pupila.predictions import open_model
from pupila.testing import RunnerContract, ignore_progress
from pupila_onnx.runner import OnnxModel


class TestOnnxRuntimeKeepsTheContract(RunnerContract):
    plugin = "onnxruntime"


def test_batches_give_the_answers_of_single_images(onnx_model, images):
    with closing(open_model(onnx_model)) as model:
        together = model.predict(images, ignore_progress)
        alone = np.concatenate([model.predict(image[None], ignore_progress) for image in images])
    assert together.shape == (40, 2)
    assert np.ptp(together) > 0.05
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_progress_counts_the_images_of_each_batch(onnx_model, images):
    reports: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str):
        reports.append((done, total, what))

    open_model(onnx_model).predict(images, listen)
    assert reports == [(32, 40, "images"), (40, 40, "images")]


def test_a_file_of_one_image_is_run_image_by_image(steps, images):
    exported = steps.make("export-onnx", steps.tflite)
    one_by_one = open_model(exported).predict(images, ignore_progress)
    expected = open_model(steps.tflite).predict(images, ignore_progress)
    np.testing.assert_allclose(one_by_one, expected, atol=1e-5)


def test_the_runtime_is_named_with_its_version(onnx_model):
    assert open_model(onnx_model).runtime == f"ONNX Runtime {version('onnxruntime')}, CPU"


_OPEN_ALONE = """
import sys
from pathlib import Path
import numpy as np
from pupila_onnx.runner import OnnxModel
model = OnnxModel(Path(sys.argv[1]), 1)
model.predict(np.zeros((1, 32, 32, 3), np.uint8), lambda *call: None)
print([name for name in ("tensorflow", "keras", "onnx") if name in sys.modules])
print(model.peak_memory_bytes())
"""


def test_running_a_file_imports_no_framework_and_has_a_memory_of_its_own(onnx_model, run_alone):
    imported, memory = run_alone(_OPEN_ALONE, str(onnx_model.file(".onnx"))).splitlines()
    assert imported == "[]"
    assert 20e6 < int(memory) < 250e6  # this process, with TensorFlow, has far more


def test_a_file_that_onnx_runtime_cannot_run_is_refused_with_its_reason(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08\x3a\x02nothing")
    with pytest.raises(PupilaError, match=r"ONNX Runtime .* cannot run .*model\.onnx") as refused:
        OnnxModel(path, threads=1)
    assert "\n" not in str(refused.value)
