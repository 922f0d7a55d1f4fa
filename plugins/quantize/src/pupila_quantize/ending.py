"""The softmax or sigmoid that ends a model, for which eight bits are not enough.

In int8 its scale is 1/256, so every image of a probability above 255.5/256 is given 255/256. What
a confident model tells apart becomes equal: a student that was trained without a teacher gave one
probability to 38 of ACRIMA's 107 test images. Its *logits* have a scale of their own and lose
little. So the last activation is computed in float; where a file may hold no float at all, it ends
in its logits, and whoever asks it computes the softmax, as its contract says.

Tried and left out (figures in `docs/results/quantisation.md`): the last layer with weights in float
as well, which is larger and no better; a softmax from int8 to int16, whose scale is 1/65536, which
LiteRT and TFLite Micro have a kernel for, accelerators as a rule not, and nobody of a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pupila import OutputSpec
from pupila.litert.flatbuffer import Operator, import_schema, map_model, operators
from pupila.spec import OutputKind
from pupila_quantize.config import IoType
from pupila_quantize.edge_quantizer import convert_object_to_bytearray, read_model
from pupila_quantize.graph import scope_of

_ACTIVATIONS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
"""Operators that end a model, and the kind of output that they make."""


@dataclass(frozen=True)
class Ending:
    """What a calibrated form of a float flatbuffer does with the last activation."""

    in_float: tuple[str, ...]
    """Scope of the operator that stays in float, if one does."""
    cut: bool
    """Whether the last operator is left out, so that the form ends in its logits."""
    output: OutputSpec
    """Of the form."""

    @classmethod
    def of(cls, source: Path, output: OutputSpec, io_type: IoType) -> Ending:
        """Look at the end of a float flatbuffer whose output is of that contract.

        A lone sigmoid stays in int8 where input and output are: no contract has a single logit.
        """
        model = map_model(source)
        graph = model.Subgraphs(0)
        last = list(operators(model, graph))[-1]
        if _ACTIVATIONS.get(last.name) != output.kind or not _gives_the_output(graph, last):
            return cls((), False, output)
        if io_type == "float":
            return cls((scope_of(graph, last),), False, output)
        if output.kind == "softmax" and _beta(graph, last) == 1:
            return cls((), True, output.model_copy(update={"kind": "logits"}))
        return cls((), False, output)

    def read(self, source: Path) -> str | bytearray:
        """Return what is quantised: the name of the file, or its content without its softmax."""
        return _without_last_operator(source) if self.cut else str(source)


def with_activation(flatbuffer: bytes, kind: OutputKind) -> bytes:
    """Return a model of float output, ended by a softmax or sigmoid in float."""
    schema: Any = import_schema()
    model: Any = read_model(flatbuffer)
    graph = model.subgraphs[0]
    (given,) = graph.outputs
    code, operator, answer = schema.OperatorCodeT(), schema.OperatorT(), schema.TensorT()
    name = next(name for name, known in _ACTIVATIONS.items() if known == kind)
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    answer.shape, answer.name = graph.tensors[given].shape, b"probabilities"
    operator.opcodeIndex, operator.inputs = len(model.operatorCodes), [given]
    operator.outputs = [len(graph.tensors)]
    if name == "SOFTMAX":
        operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        operator.builtinOptions = schema.SoftmaxOptionsT()
        operator.builtinOptions.beta = 1.0
    model.operatorCodes.append(code)
    graph.tensors.append(answer)
    graph.operators.append(operator)
    _end_in(model, operator.outputs[0])
    return bytes(convert_object_to_bytearray(model))


def _without_last_operator(source: Path) -> bytearray:
    model: Any = read_model(source)
    last = model.subgraphs[0].operators.pop()
    _end_in(model, last.inputs[0])
    return convert_object_to_bytearray(model)


def _end_in(model: Any, tensor: int) -> None:
    """Make one tensor the output of a model, and of the signature by which it is called."""
    model.subgraphs[0].outputs = [tensor]
    signatures: list[Any] = model.signatureDefs or []
    for signature in signatures:
        signature.outputs[0].tensorIndex = tensor


def _gives_the_output(graph: Any, operator: Operator) -> bool:
    return graph.OutputsLength() == 1 and operator.outputs == (graph.Outputs(0),)


def _beta(graph: Any, softmax: Operator) -> float:
    """Return what a softmax multiplies its logits by."""
    table = graph.Operators(softmax.number).BuiltinOptions()
    options = import_schema().SoftmaxOptions()
    options.Init(table.Bytes, table.Pos)
    return options.Beta()
