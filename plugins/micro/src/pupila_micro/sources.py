"""Writes a model as C sources: `model.c` with the flatbuffer, and `model.h` to use the model.

Both files are valid C11 and C++17. The header ends with a C++ template that registers exactly the
model's operators in a `tflite::MicroMutableOpResolver`. The header does not include TFLite Micro.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pupila import InputSpec, OutputSpec
from pupila.litert.tensor_io import TensorIO

HEADER, SOURCE = "model.h", "model.c"
_VALUES_PER_LINE = 24
_METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}
"""Methods of `micro_mutable_op_resolver.h` whose names break the rule in `resolver_method`."""


@dataclass(frozen=True)
class ModelDescription:
    """What the header `model.h` says about a model."""

    source: str
    """From which artifact the sources were made, and by which program."""
    arena_bytes: int
    """Size of the smallest arena in which the model ran."""
    input: InputSpec
    output: OutputSpec
    input_tensor: TensorIO
    output_tensor: TensorIO
    operators: tuple[str, ...]


def write_sources(folder: Path, content: bytes, description: ModelDescription) -> None:
    """Write `model.h` and `model.c` into `folder`, for a flatbuffer with the given content."""
    header = _header(len(content), description)
    definitions = _definitions(content, description.output.classes)
    (folder / HEADER).write_text(header, encoding="utf-8")
    (folder / SOURCE).write_text(definitions, encoding="utf-8")


def resolver_method(operator: str) -> str:
    """Return the method of `MicroMutableOpResolver` that registers a built-in operator."""
    words = (word if word.endswith("2D") else word.capitalize() for word in operator.split("_"))
    return _METHODS.get(operator) or f"Add{''.join(words)}"


def _header(length: int, description: ModelDescription) -> str:
    calls = " &&\n         ".join(
        f"resolver.{resolver_method(operator)}() == 0" for operator in sorted(description.operators)
    )
    return f"""\
/* {description.source} */
#ifndef PUPILA_MODEL_H
#define PUPILA_MODEL_H

#include <stdint.h>

#define PUPILA_MODEL_BYTES {length}

/* The least arena that TFLite Micro ran it in, on a 64-bit computer with the reference kernels.
   Pointers of 32 bits need less; kernels made for a processor may ask for more. */
#define PUPILA_ARENA_BYTES {description.arena_bytes}

/* One RGB image, 0 to 255, row by row. */
#define PUPILA_INPUT_HEIGHT {description.input.height}
#define PUPILA_INPUT_WIDTH {description.input.width}
{_type_and_scale("INPUT", description.input_tensor)}

/* {description.output.kind}, {_column_meaning(description.output)}. */
#define PUPILA_OUTPUT_COLUMNS {description.output.columns}
{_type_and_scale("OUTPUT", description.output_tensor)}

#define PUPILA_CLASSES {len(description.output.classes)}
#define PUPILA_OPERATORS {len(description.operators)}

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


def _column_meaning(output: OutputSpec) -> str:
    if output.size is not None:
        return f"numbers of shape {output.size}, the last axis fastest"
    if output.activation == "sigmoid":
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
    for start in range(0, len(content), _VALUES_PER_LINE):
        yield "".join(f"{value}," for value in content[start : start + _VALUES_PER_LINE])
