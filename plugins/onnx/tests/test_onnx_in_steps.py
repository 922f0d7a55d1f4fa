"""What holds for other formats holds for ONNX: it teaches, gets a threshold, is evaluated."""

from __future__ import annotations

import pytest

from pupila.evaluator import evaluate
from pupila.predictions import Predictions
from pupila.runtime import ignore_progress

TRAINING = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 1,
    "batch_size": 8,
    "augmentation": {"views": 1},
}


def test_a_model_in_onnx_teaches_a_student(steps, onnx_model):
    student = steps.make("distill", onnx_model, **TRAINING)
    assert student.format == "keras"
    assert student.record.output.classes == onnx_model.record.output.classes
    assert student.record.origin.inputs == (onnx_model.digest,)


def test_a_threshold_ships_with_the_same_file(steps, onnx_model):
    shipped = steps.make("threshold", onnx_model, positive="square")
    assert shipped.format == "onnx"
    assert shipped.record.files == onnx_model.record.files
    assert shipped.record.threshold is not None


@pytest.mark.parametrize("source", ["keras", "quantized"])
def test_it_is_evaluated_in_onnx_runtime_beside_its_source(source, steps):
    model = steps.student if source == "keras" else steps.quantized("quantize-int8")
    evaluation = evaluate(
        steps.make("export-onnx", model),
        steps.dataset,
        positive="square",
        specificity=0.85,
        predictions=Predictions(steps.folder / "evaluations"),
        progress=ignore_progress,
        reference=("source", model),
        latency_repeats=5,
    )
    assert evaluation.runtime.startswith("ONNX Runtime")
    assert evaluation.agreement is not None
    assert evaluation.agreement.labels.value == 1
    assert evaluation.cost.latency.median_ms > 0
    assert evaluation.cost.peak_memory_bytes is not None
