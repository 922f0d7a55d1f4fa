"""Handles the final softmax or sigmoid of a classifier, for which eight bits are not enough.

In int8 the scale of probabilities is 1/256. All probabilities above 255.5/256 become 255/256, and a
confident model no longer ranks images: a student trained without a teacher gave the same
probability to 38 of ACRIMA's 107 test images. *Logits* have their own scale and lose little. So the
last activation is computed in float. With `io_type: int8` a softmax is left out instead: the file
ends in its logits, its output spec says so, and the caller computes the softmax.

Alternatives are compared in `docs/results/quantisation.md`. A last layer with float weights is
larger and not better. Most accelerators do not support a softmax from int8 to int16, and none
supports a sigmoid from int8 to int16.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pupila import OutputSpec
from pupila.litert.flatbuffer import Operator, import_schema, map_model, operators
from pupila_quantize.config import IoType
from pupila_quantize.edge_quantizer import convert_object_to_bytearray, read_model
from pupila_quantize.graph import scope_of

_ACTIVATIONS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
"""Kind of output that each final operator computes, by the operator's name."""


@dataclass(frozen=True)
class Ending:
    """How a quantised flatbuffer handles the last activation."""

    in_float: tuple[str, ...]
    """Scope of the last operator (see `pupila_quantize.graph.Layer`) if it stays in float, or
    empty."""
    cut: bool
    """Whether the last operator is left out, so that the file ends in its logits."""
    output: OutputSpec
    """Output spec of the quantised file."""

    @classmethod
    def of(cls, source: Path, output: OutputSpec, io_type: IoType) -> Ending:
        """Return how the quantised form of a float flatbuffer must end.

        `source` is the float flatbuffer, and `output` is its output spec. With `io_type: int8` a
        final sigmoid stays and is computed in int8, since an output spec cannot declare a single
        logit.
        """
        model = map_model(source)
        graph = model.Subgraphs(0)
        last = list(operators(model, graph))[-1]
        activation = _ACTIVATIONS.get(last.name)
        if activation is None or activation != output.activation:
            return cls((), False, output)
        if not _computes_the_output(graph, last):
            return cls((), False, output)
        if io_type == "float":
            return cls((scope_of(graph, last),), False, output)
        if activation == "softmax" and _beta(graph, last) == 1:
            return cls((), True, output.in_training)
        return cls((), False, output)

    def read(self, source: Path) -> str | bytearray:
        """Return the input of the quantiser, for the float flatbuffer at `source`.

        The input is the path `source` or, if `cut` is true, the content of the file without its
        final softmax.
        """
        return _without_last_operator(source) if self.cut else str(source)


def append_activation(flatbuffer: bytes, kind: str) -> bytes:
    """Append a softmax or sigmoid in float to a flatbuffer with float output, and return it."""
    schema: Any = import_schema()
    model: Any = read_model(flatbuffer)
    graph = model.subgraphs[0]
    (logits,) = graph.outputs
    code, operator, answer = schema.OperatorCodeT(), schema.OperatorT(), schema.TensorT()
    name = next(name for name, known in _ACTIVATIONS.items() if known == kind)
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    answer.shape, answer.name = graph.tensors[logits].shape, b"probabilities"
    operator.opcodeIndex, operator.inputs = len(model.operatorCodes), [logits]
    operator.outputs = [len(graph.tensors)]
    if name == "SOFTMAX":
        operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        operator.builtinOptions = schema.SoftmaxOptionsT()
        operator.builtinOptions.beta = 1.0
    model.operatorCodes.append(code)
    graph.tensors.append(answer)
    graph.operators.append(operator)
    _set_output(model, operator.outputs[0])
    return bytes(convert_object_to_bytearray(model))


def _without_last_operator(source: Path) -> bytearray:
    model: Any = read_model(source)
    last = model.subgraphs[0].operators.pop()
    _set_output(model, last.inputs[0])
    return convert_object_to_bytearray(model)


def _set_output(model: Any, tensor: int) -> None:
    """Make a tensor the output of a model and of its signatures."""
    model.subgraphs[0].outputs = [tensor]
    signatures: list[Any] = model.signatureDefs or []
    for signature in signatures:
        signature.outputs[0].tensorIndex = tensor


def _computes_the_output(graph: Any, operator: Operator) -> bool:
    return graph.OutputsLength() == 1 and operator.outputs == (graph.Outputs(0),)


def _beta(graph: Any, softmax: Operator) -> float:
    """Return the factor by which a softmax multiplies its logits."""
    table = graph.Operators(softmax.number).BuiltinOptions()
    options = import_schema().SoftmaxOptions()
    options.Init(table.Bytes, table.Pos)
    return options.Beta()
