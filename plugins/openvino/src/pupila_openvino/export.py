"""The exporter `export-openvino`: ONNX file → graph and weights of OpenVINO.

The model takes float32 `(1, height, width, 3)`, raw RGB 0..255, and preprocessing is part of it.
Scales and zero points of an int8 file are kept, and OpenVINO computes in int8 with them.
"""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila import Artifact, Config, Step, StepResult
from pupila.measured import Measured
from pupila.predictions import open_model
from pupila.probes import compare_outputs, draw_probes
from pupila.runtime import ignore_progress
from pupila.threads import model_threads
from pupila_openvino.files import GRAPH_NAME, openvino
from pupila_openvino.runner import OpenVinoModel

_STAGES = 3
_TOLERANCE, _QUANTIZED_TOLERANCE = 1e-4, 0.05
"""Largest allowed difference of outputs: see `compare_outputs`.

Kernels of two runtimes may round to neighbouring integers.
"""


def export(step: Step[Config]) -> StepResult:
    """Write a model as `model.xml` and `model.bin`, and check that OpenVINO gives the same outputs.

    Raises:
        PupilaError: OpenVINO lacks an operator, or its outputs differ from the model's.
    """
    (artifact,) = step.inputs
    probes = draw_probes(artifact.record.input, step.seed)
    with closing(open_model(artifact)) as model:
        expected = model.predict(probes, ignore_progress)
    step.progress(1, _STAGES, "stages")
    target = step.output / GRAPH_NAME
    is_quantized = _write(artifact, target)
    step.progress(2, _STAGES, "stages")
    with closing(OpenVinoModel(target, model_threads())) as opened:
        comparison = compare_outputs(
            opened.predict(probes, ignore_progress),
            expected,
            _QUANTIZED_TOLERANCE if is_quantized else _TOLERANCE,
            what="OpenVINO model",
            advice="Report the model's layers.",
        )
    step.progress(3, _STAGES, "stages")
    return StepResult.like(artifact, format="openvino", measured=Measured(comparison))


def _write(artifact: Artifact, target: Path) -> bool:
    """Write the files of a model; return whether it is quantised."""
    model: Any = openvino.Core().read_model(str(artifact.file(".onnx")))
    model.reshape([1, *artifact.record.input.shape])  # a fixed size is faster than an open one
    _simplify(model)
    _rename(model)
    openvino.save_model(model, str(target), compress_to_fp16=False)
    return any(operator.get_type_name() == "FakeQuantize" for operator in model.get_ops())


def _simplify(model: Any) -> None:
    """Compute what is constant, such as shapes; it makes the graph half as large."""
    transformations = import_module("openvino._offline_transformations")
    transformations.apply_moc_transformations(model, cf=True, smart_reshape=False)


def _rename(model: Any) -> None:
    """Number the operators: their names have a counter of the process, which changes the digest."""
    for number, operator in enumerate(model.get_ordered_ops()):
        operator.set_friendly_name(str(number))
    for tensor, name in ((model.input(), "image"), (model.output(), "output")):
        tensor.get_tensor().set_names({name})
    model.set_friendly_name("model")
