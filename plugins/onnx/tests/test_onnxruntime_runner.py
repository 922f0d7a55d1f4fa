"""ONNX Runtime runs an artifact in batches, and times it one image at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version

import numpy as np
import onnx
import pytest

from pupila import PupilaError
from pupila.predictions import open_model
from pupila.probes import draw_probes
from pupila.testing import DiscSteps, RunnerContract, ignore_progress
from pupila_onnx.own_constants import separate_constants
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


_OLD_CPU = ("qemu-x86_64", "-cpu", "Haswell")
"""Emulates an x86 CPU with AVX2 and without VNNI."""
_ANSWER_ALONE = """
import sys
from pathlib import Path
import numpy as np
from pupila_onnx.runner import OnnxModel
images = np.load(sys.argv[2])
np.save(sys.argv[3], OnnxModel(Path(sys.argv[1]), 1).predict(images, lambda *call: None))
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which(_OLD_CPU[0]), reason="needs qemu-user, to emulate an old CPU")
def test_int8_sums_do_not_overflow_on_a_cpu_without_vnni(tmp_path):
    discs = DiscSteps(tmp_path)
    flatbuffer = discs.make("export-tflite")
    int8 = discs.make("quantize-int8", flatbuffer, calibration_images=12)
    exported = discs.make("export-onnx", int8)
    drawn, answers = tmp_path / "images.npy", tmp_path / "answers.npy"
    np.save(drawn, draw_probes(exported.record.input, 0))
    program = (sys.executable, "-c", _ANSWER_ALONE, exported.file(".onnx"), drawn, answers)
    subprocess.run([*_OLD_CPU, *program], check=True, capture_output=True)
    with closing(open_model(int8)) as model:
        expected = model.predict(np.load(drawn), ignore_progress)
    step = np.diff(np.unique(expected[..., 0])).min()
    np.testing.assert_allclose(np.load(answers), expected, atol=1.5 * step)


def test_a_zero_point_that_operators_share_is_given_to_each(steps, tmp_path):
    exported = steps.make("export-onnx", steps.quantized("quantize-int8"))
    model = onnx.load(exported.file(".onnx"))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    ]
    assert len({node.input[2] for node in weights}) == len(weights)
    first_alike: dict[tuple[int, bytes], str] = {}
    for node in weights:
        zero_point = constants[node.input[2]]
        alike = zero_point.data_type, onnx.numpy_helper.to_array(zero_point).tobytes()
        node.input[2] = first_alike.setdefault(alike, zero_point.name)
    assert len(first_alike) < len(weights)
    separate_constants(model)
    assert len({node.input[2] for node in weights}) == len(weights)
    onnx.save(model, tmp_path / "model.onnx")
    images = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(
        OnnxModel(tmp_path / "model.onnx", 1).predict(images, ignore_progress),
        open_model(exported).predict(images, ignore_progress),
    )
