"""Real students from the float flatbuffer to TFLite Micro, and what is refused on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite_micro
from ai_edge_litert import schema_py_generated as schema

from pupila import Artifact, Dataset, PupilaError
from pupila.litert.interpreter import Interpreter
from pupila.litert.packing import repack
from pupila.plugin_registry import installed
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing import ExporterContract, StepRun, colour_dataset, keras_artifact, run_step
from pupila_micro.arena import check_arena, measure_arena
from pupila_micro.comparison import Comparison, compare
from pupila_micro.flatbuffer import Operator, read_operators
from pupila_micro.probes import draw_probes
from pupila_micro.refusals import check_operators
from pupila_micro.runner import MicroModel

Quantized = Callable[..., Artifact]
Exported = Callable[..., StepRun]


@pytest.mark.parametrize(
    ("name", "io_type", "io_operators", "activations"),
    [
        ("mobile-xs", "int8", 0, 49_152),
        ("mobile-xs", "float", 2, 61_440),
        pytest.param("mobile-s", "int8", 0, 122_880, marks=pytest.mark.long),
        pytest.param("conv-32-64-8", "int8", 0, 153_760, marks=pytest.mark.long),
    ],
)
def test_a_student_answers_as_in_litert(
    exported: Exported, name: str, io_type: str, io_operators: int, activations: int
):
    ran = exported(io_type, name)
    measured = ran.result.measured
    ends = ("QUANTIZE", "DEQUANTIZE")
    assert sum(measured["operators"].get(end, 0) for end in ends) == io_operators
    assert measured["operators"].get("SOFTMAX", 0) == (io_type == "float")
    assert ran.artifact.record.output.kind == {"float": "softmax", "int8": "logits"}[io_type]
    assert measured["activation_bytes"] == activations  # the two largest neighbours, 1 byte each
    assert measured["answer_span"] > 0.3
    assert measured["label_agreement"] >= 0.9
    assert measured["max_difference"] < 0.35  # XNNPACK rounds otherwise, and the weights are random
    assert measured["reference_difference"] < 0.01
    assert "warning" not in measured


def test_the_measurements_match_the_files(exported: Exported):
    artifact, measured = exported().artifact, exported().result.measured
    assert {file.name for file in artifact.files} == {"model.c", "model.h", "model.tflite"}
    content = artifact.file(".tflite").read_bytes()
    assert measured["flash_bytes"] == len(content) == artifact.size_bytes
    assert sum(measured["operators"].values()) == len(read_operators(content))
    assert measured["operators"]["DEPTHWISE_CONV_2D"] == 9


def test_the_model_runs_in_the_arena_that_was_measured_and_in_no_smaller_one(exported: Exported):
    model = exported().artifact.file(".tflite")
    arena = exported().result.measured["arena_bytes"]
    check_arena(model, arena)
    with pytest.raises(PupilaError, match=f"does not run the model in {arena - 16} bytes"):
        check_arena(model, arena - 16)


def test_the_arena_of_a_tiny_model_has_room_for_planning():
    model = Path(tflite_micro.__file__).parent / "python" / "tflite_micro" / "sine_float.tflite"
    arena = measure_arena(model)
    assert arena.total > arena.activations + arena.persistent + 16
    check_arena(model, arena.total)
    with pytest.raises(PupilaError, match=f"does not run the model in {arena.total - 16} bytes"):
        check_arena(model, arena.total - 16)


def test_an_arena_too_small_for_the_interpreter_itself_is_a_message_not_a_crash(exported: Exported):
    with pytest.raises(PupilaError, match="in 100 bytes: the interpreter ended with signal"):
        check_arena(exported().artifact.file(".tflite"), 100)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("", r"MUL \(operator 0\): it computes in float32\. Quantise .* `quantize-int8`"),
        ("quantize-dynamic", r"CONV_2D \(operator \d+\): it computes in float32 with integer"),
        ("quantize-float16", r"DEQUANTIZE \(operator \d+\): its weights are float16"),
        ("quantize-int4", r"TFLite Micro refuses FULLY_CONNECTED \(operator 23\): \(input->type"),
    ],
)
def test_other_forms_are_refused_by_the_operators_name(
    run: Callable[..., StepRun], quantized: Quantized, how: str, reason: str
):
    with pytest.raises(PupilaError, match=reason):
        run("export-tflite-micro", quantized(how))


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        (Operator(3, "CONV_2D", False, frozenset({"UINT8", "INT32"})), "quantised to uint8"),
        (Operator(3, "QUANTIZE", False, frozenset({"UINT8", "INT8"})), "quantised to uint8"),
        (Operator(3, "FlexErf", True, frozenset({"INT8"})), "custom operator"),
        (Operator(3, "CONV_2D", False, frozenset({"FLOAT32", "INT4"})), "which no kernel supports"),
        (Operator(3, "SOFTMAX", False, frozenset({"FLOAT32"})), "computes in float32"),
    ],
)
def test_what_the_interpreter_has_no_kernels_for_is_named(operator: Operator, reason: str):
    fine = Operator(0, "QUANTIZE", False, frozenset({"FLOAT32", "INT8"}))
    with pytest.raises(PupilaError, match=rf"{operator.name} \(operator 3\): .*{reason}"):
        check_operators([fine, operator, fine])


def test_a_softmax_in_float_may_end_a_model():
    fine = Operator(0, "QUANTIZE", False, frozenset({"FLOAT32", "INT8"}))
    check_operators([fine, Operator(1, "SOFTMAX", False, frozenset({"FLOAT32"}))])
    with pytest.raises(PupilaError, match="CONV_2D"):
        check_operators([fine, Operator(1, "CONV_2D", False, frozenset({"FLOAT32"}))])


def test_an_operator_that_the_interpreter_lacks_is_named(quantized: Quantized, tmp_path: Path):
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(_content(quantized())))
    for code in model.operatorCodes:  # as a net with another pooling would have it
        if code.builtinCode == schema.BuiltinOperator.MEAN:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.REDUCE_PROD
    (tmp_path / "model.tflite").write_bytes(_serialise(model))
    with pytest.raises(PupilaError, match="TFLite Micro has no operator REDUCE_PROD"):
        measure_arena(tmp_path / "model.tflite")


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path):
    (tmp_path / "model.tflite").write_bytes(b"\x00" * 64)
    with pytest.raises(PupilaError, match="TFLite Micro "):
        measure_arena(tmp_path / "model.tflite")


def _content(artifact: Artifact) -> bytes:
    return artifact.file(".tflite").read_bytes()


def _serialise(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _with_constants_behind(content: bytes) -> bytes:
    """Move weights behind the flatbuffer, as the quantiser does for larger models."""
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    filled = [buffer for buffer in model.buffers if buffer.data is not None]
    constants = {buffer: bytes(buffer.data) for buffer in filled if len(buffer.data) > 1000}
    for buffer in constants:
        buffer.data, buffer.offset, buffer.size = None, 2, 2
    offset = len(_serialise(model))
    for buffer, data in constants.items():
        buffer.offset, buffer.size = offset, len(data)
        offset += len(data)
    return _serialise(model) + b"".join(constants.values())


def test_weights_behind_the_flatbuffer_are_brought_inside(quantized: Quantized, tmp_path: Path):
    source, outside, inside = (tmp_path / name for name in ("source", "outside", "inside"))
    source.write_bytes(_content(quantized(io_type="int8")))
    outside.write_bytes(_with_constants_behind(source.read_bytes()))
    inside.write_bytes(repack(outside.read_bytes()))
    assert inside.read_bytes() == source.read_bytes()
    record = quantized(io_type="int8").record
    probes, output = draw_probes(record.input, seed=1), record.output
    behind, whole = (
        Interpreter(path, threads=1).predict(probes, ignore_progress) for path in (outside, source)
    )
    np.testing.assert_array_equal(behind, whole)
    assert measure_arena(outside).total > 2 * measure_arena(inside).total
    lost, kept = (
        compare(MicroModel(path, measure_arena(path).total), source, output, probes).measured
        for path in (outside, inside)
    )
    assert "warning" in lost  # the interpreter took the weights for empty
    assert "warning" not in kept


@pytest.mark.parametrize(
    ("micro", "reference", "warning"),
    [
        ([[0.2], [0.9]], [[0.2], [0.9]], None),
        ([[0.2], [0.9]], [[0.4], [0.9]], "answers up to 0.2 from what LiteRT's reference"),
        ([[0.4], [0.4]], [[0.4], [0.4]], "All 2 drawn images get one answer"),
        ([[np.nan], [0.9]], [[0.4], [0.9]], "answers up to nan"),
    ],
)
def test_a_suspicious_comparison_is_a_warning(
    micro: list[list[float]], reference: list[list[float]], warning: str | None
):
    ours, theirs = np.array(micro, np.float32), np.array(reference, np.float32)
    measured = Comparison(ours, theirs, theirs).measured.get("warning")
    assert measured is None if warning is None else warning in str(measured)


@pytest.mark.parametrize(
    ("shipped", "agreement"),
    [([[0.1, 0.9], [0.4, 0.6]], 1.0), ([[0.9, 0.1], [0.4, 0.6]], 0.5)],
)
def test_labels_are_compared_with_those_of_litert_with_default_kernels(
    shipped: list[list[float]], agreement: float
):
    answers = np.array(shipped, np.float32)
    micro = np.array([[0.2, 0.8], [0.3, 0.7]], np.float32)
    comparison = Comparison(micro, answers, answers)
    assert comparison.measured["label_agreement"] == agreement


def test_probes_depend_on_the_seed(quantized: Quantized):
    spec = quantized().record.input
    first, again, other = (draw_probes(spec, seed) for seed in (3, 3, 4))
    assert first.shape == (24, *spec.shape)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


class TestExportTfliteMicroKeepsTheContract(ExporterContract):
    plugin = "export-tflite-micro"
    tolerance = 0.02

    @classmethod
    def make_dataset(cls, folder: Path) -> Dataset:
        """Draw images of different colours, for which the tiny model gives different outputs."""
        return colour_dataset(folder)

    @classmethod
    def make_inputs(cls, store: Store, folder: Path) -> tuple[Artifact, ...]:
        """Quantise the tiny model that the other contracts use."""
        artifact = keras_artifact(store, classes=("blue", "red"))
        dataset = cls.make_dataset(folder)
        for name in ("export-tflite", "quantize-int8"):
            plugin = installed().step(name)
            config = plugin.config()
            ran = run_step(plugin, config, [artifact], folder / name, store=store, dataset=dataset)
            artifact = ran.artifact
        return (artifact,)
