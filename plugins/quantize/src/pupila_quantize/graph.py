"""Reads what types a flatbuffer computes in. Works on the file mapped into memory."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from pupila import PupilaError

_TYPE_NAMES = {value: name.lower() for name, value in vars(schema.TensorType).items()}
_OPERATOR_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items()}
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


def refuse_quantized(path: Path, technique: str) -> None:
    """Let only a float32 flatbuffer pass.

    Raises:
        PupilaError: it holds float16 or quantised tensors; the message names their types.
    """
    found = sorted({_type(tensor) for tensor in _tensors(_main(path)) if _is_quantized(tensor)})
    if found:
        raise PupilaError(
            f"{technique} needs a float32 flatbuffer, but the one it is given already holds "
            f"{' and '.join(found)} tensors: give the step what export-tflite made."
        )


def float_operators(path: Path) -> dict[str, int]:
    """Count by name the operators that compute in float32, conversions at the ends left out."""
    model = _model(path)
    counts: Counter[str] = Counter()
    for name, tensors in _operators(model):
        if name not in _CONVERSIONS and any(_type(tensor) == "float32" for tensor in tensors):
            counts[name] += 1
    return dict(sorted(counts.items()))


def _model(path: Path) -> Any:
    with path.open("rb") as stream:
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return schema.Model.GetRootAs(content)


def _main(path: Path) -> Any:
    return _model(path).Subgraphs(0)


def _tensors(graph: Any) -> Iterator[Any]:
    return map(graph.Tensors, range(graph.TensorsLength()))


def _operators(model: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield each operator's name and the tensors that it writes."""
    graph = model.Subgraphs(0)
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = model.OperatorCodes(operator.OpcodeIndex())
        # files of before 2020 state the code in the narrower field alone
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        written = map(operator.Outputs, range(operator.OutputsLength()))
        yield _OPERATOR_NAMES[number], [graph.Tensors(index) for index in written]


def _type(tensor: Any) -> str:
    return _TYPE_NAMES[tensor.Type()]


def _is_quantized(tensor: Any) -> bool:
    """Whether it is float16, or integers that stand for real numbers."""
    quantization = tensor.Quantization()
    return _type(tensor) == "float16" or bool(quantization and quantization.ScaleLength())
