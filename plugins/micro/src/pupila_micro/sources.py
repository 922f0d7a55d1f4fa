"""Writes a model as C: `model.c` with the flatbuffer, `model.h` with all that a program must know.

Both are C11 and C++17. The header ends in a C++ template that registers exactly the operators of
the model in a `tflite::MicroMutableOpResolver`; it includes nothing of TFLite Micro itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pupila import InputSpec, OutputSpec
from pupila.litert.tensor_io import TensorIO

HEADER, SOURCE = "model.h", "model.c"
_VALUES_OF_A_LINE = 24
_METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}
"""Where `micro_mutable_op_resolver.h` spells a name otherwise than the rule of `method`."""


@dataclass(frozen=True)
class Facts:
    """What the header says of a model."""

    source: str
    """Which artifact it was made of, and by what."""
    arena_bytes: int
    input: InputSpec
    output: OutputSpec
    first: TensorIO
    """The input tensor."""
    last: TensorIO
    """The output tensor."""
    operators: tuple[str, ...]


def write_sources(folder: Path, content: bytes, facts: Facts) -> None:
    """Write `model.h` and `model.c` for a flatbuffer."""
    (folder / HEADER).write_text(_header(len(content), facts), encoding="utf-8")
    (folder / SOURCE).write_text(_definitions(content, facts.output.classes), encoding="utf-8")


def method(operator: str) -> str:
    """Return what `MicroMutableOpResolver` calls the registration of a built-in operator."""
    words = (word if word.endswith("2D") else word.capitalize() for word in operator.split("_"))
    return _METHODS.get(operator) or f"Add{''.join(words)}"


def _header(length: int, facts: Facts) -> str:
    calls = " &&\n         ".join(
        f"resolver.{method(operator)}() == 0" for operator in sorted(facts.operators)
    )
    return f"""\
/* {facts.source} */
#ifndef PUPILA_MODEL_H
#define PUPILA_MODEL_H

#include <stdint.h>

#define PUPILA_MODEL_BYTES {length}

/* The least arena that TFLite Micro ran it in, on a 64-bit computer with the reference kernels.
   Pointers of 32 bits need less; kernels made for a processor may ask for more. */
#define PUPILA_ARENA_BYTES {facts.arena_bytes}

/* One RGB image, 0 to 255, row by row. */
#define PUPILA_INPUT_HEIGHT {facts.input.height}
#define PUPILA_INPUT_WIDTH {facts.input.width}
{_type_and_scale("INPUT", facts.first)}

/* {facts.output.kind}, {_meaning(facts.output)}. */
#define PUPILA_OUTPUT_COLUMNS {facts.output.columns}
{_type_and_scale("OUTPUT", facts.last)}

#define PUPILA_CLASSES {len(facts.output.classes)}
#define PUPILA_OPERATORS {len(facts.operators)}

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char pupila_model[PUPILA_MODEL_BYTES];
extern const char *const pupila_classes[PUPILA_CLASSES];

#ifdef __cplusplus
}}

/* Registers all operators in a tflite::MicroMutableOpResolver<PUPILA_OPERATORS>. */
template <typename Resolver>
bool pupila_add_operators(Resolver &resolver) {{
  return {calls};
}}
#endif

#endif
"""


def _type_and_scale(end: str, tensor: TensorIO) -> str:
    if not tensor.scale:
        return f"#define PUPILA_{end}_TYPE float"
    return f"""\
/* real = scale * (stored - zero point) */
#define PUPILA_{end}_TYPE {tensor.dtype.name}_t
#define PUPILA_{end}_SCALE {tensor.scale!r}f
#define PUPILA_{end}_ZERO_POINT ({tensor.zero_point})"""


def _meaning(output: OutputSpec) -> str:
    if output.kind == "sigmoid":
        return "the probability of the second class"
    if output.kind == "logits":
        return "a column for each class; probabilities are their softmax, exp(x) / sum of exp(x)"
    return "a column for each class"


def _definitions(content: bytes, classes: Iterable[str]) -> str:
    names = ",\n    ".join(json.dumps(name, ensure_ascii=False) for name in classes)
    lines = "\n".join(_lines(content))
    return f"""\
#include "model.h"

#include <stdalign.h>

alignas(16) const unsigned char pupila_model[PUPILA_MODEL_BYTES] = {{
{lines}
}};

const char *const pupila_classes[PUPILA_CLASSES] = {{
    {names},
}};
"""


def _lines(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), _VALUES_OF_A_LINE):
        yield "".join(f"{value}," for value in content[start : start + _VALUES_OF_A_LINE])
