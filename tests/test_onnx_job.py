"""ONNX and OpenVINO from end to end: a user's teacher, pupils, a threshold, gate, publication."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clinic import pupila, write_pictures

from pupila_flows.results import RunResult

onnx: Any = import_module("onnx")  # has no complete annotations
pytestmark = pytest.mark.long

RECIPE = """\
name: clinic
data:
  path: images
  positive: red
teachers:
  given: {path: teacher.onnx, classes: [green, red]}
steps:
  pupil:
    use: distill
    from: given
    control: false
    with: {student: conv-32-64-8, size: 32, epochs: 12, augmentation: {views: 1}}
  onnx: {use: export-onnx, from: pupil}
  tflite: {use: export-tflite, from: pupil}
  int8: {use: quantize-int8, from: tflite, with: {calibration_images: 24}}
  onnx-int8: {use: export-onnx, from: int8}
  openvino-int8: {use: export-openvino, from: onnx-int8}
  shipped: {use: threshold, from: onnx-int8, with: {positive: red}}
evaluate:
  runtimes: [onnxruntime, openvino]
gate:
  steps: [onnx, onnx-int8, openvino-int8, shipped]
  margins: {accuracy: 0.1}
  fidelity: null  # twelve epochs on two plain colours: what is tested are the formats
publish:
  to: registry
  intended_use: To tell red pictures from green ones.
"""
RUNTIMES = {
    "given": "ONNX Runtime",
    "onnx": "ONNX Runtime",
    "onnx-int8": "ONNX Runtime",
    "shipped": "ONNX Runtime",
    "openvino-int8": "OpenVINO",
}


def write_teacher(path: Path) -> None:
    """Write a model as PyTorch exports them, channels first, that compares red with green."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    weights = np.array([[-1, 1], [1, -1], [0, 0]], np.float32) * 0.05
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("x", number, ("N", 3, 32, 32))],
        [helper.make_tensor_value_info("y", number, ("N", 2))],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the recipe has run once."""
    folder = tmp_path_factory.mktemp("onnx-job")
    write_pictures(folder / "images")
    write_teacher(folder / "teacher.onnx")
    (folder / "recipe.yaml").write_text(RECIPE)
    pupila(folder, "run", "recipe.yaml")
    return folder


@pytest.fixture
def result(clinic: Path) -> RunResult:
    latest = clinic / ".pupila" / "runs" / "clinic" / "latest"
    return RunResult.model_validate_json((latest / "result.json").read_text())


def test_every_artifact_is_evaluated_in_its_own_runtime(result: RunResult):
    evaluations: dict[str, Any] = {entry.name: entry.evaluation for entry in result.entries}
    for name, runtime in RUNTIMES.items():
        assert evaluations[name].runtime.startswith(runtime), name
        assert evaluations[name].metrics.accuracy.value > 0.9
        assert evaluations[name].cost.latency.median_ms > 0


def test_the_int8_forms_answer_as_the_flatbuffer_does(result: RunResult):
    accuracies = {
        entry.name: entry.evaluation.metrics.accuracy.value
        for entry in result.entries
        if entry.evaluation
    }
    assert accuracies["onnx-int8"] == accuracies["openvino-int8"] == accuracies["int8"]


def test_they_pass_the_gate_and_are_published(clinic: Path):
    version = clinic / "registry" / "clinic" / "versions" / "000001"
    names = {path.name for path in version.rglob("*")}
    assert {"model.onnx", "model.xml", "model.bin"} <= names
    listed = pupila(clinic, "history", "clinic", "--registry", "registry").stdout
    assert "Current: version 1" in listed
