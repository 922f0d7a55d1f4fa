"""Checks of a model file that a user brings: what it takes, what it gives, and what it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError, list_names
from pupila.plugin import CLASSIFICATION
from pupila.spec import MOST_PIXELS, InputSpec, OutputSpec
from pupila.task import methods_of

_ONE_IMAGE = (1, -1)
_SUM_ERROR = 0.02
"""Largest difference of a softmax's sum from 1, in addition to rounding of quantised columns."""

Shape = tuple[int, ...]
"""Shape of an input or output; -1 for an axis whose length the file leaves open."""


def input_spec(source: Path, shape: Shape) -> InputSpec:
    """Return the input spec of a model whose input has this shape.

    Raises:
        PupilaError: the input is not one RGB image of a fixed size.
    """
    match shape:
        case (batch, height, width, 3) if (
            batch in _ONE_IMAGE and 0 < min(height, width) <= max(height, width) <= MOST_PIXELS
        ):
            return InputSpec(height=height, width=width)
        case _:
            raise PupilaError(
                f"{str(source)!r} takes {shape}. Expected (1, height, width, 3), one RGB image of "
                f"a fixed size, at most {MOST_PIXELS} a side: export the model with that input."
            )


def check_columns(source: Path, shape: Shape, output: OutputSpec) -> OutputSpec:
    """Check that a model whose output has this shape gives the declared values.

    Return the specification of its output; in some tasks it also has the shape.

    Raises:
        PupilaError: the model gives another number of values, or a shape that is not fixed.
    """
    if output.task != CLASSIFICATION:
        return _declared(source, shape, output)
    values = int(np.prod(shape[1:]))
    if not shape or shape[0] not in _ONE_IMAGE or values != output.columns:
        raise PupilaError(
            f"{str(source)!r} gives {shape}, but {output.kind} over {list_names(output.classes)} "
            f"is (1, {output.columns}): correct `classes` or `output` of the teacher."
        )
    return output


def _declared(source: Path, shape: Shape, output: OutputSpec) -> OutputSpec:
    """Let the task, which is not classification, say what an output of this shape is."""
    if not shape or shape[0] not in _ONE_IMAGE or min(shape[1:], default=1) < 1:
        raise PupilaError(
            f"{str(source)!r} gives {shape}. Expected (1, …), the output for one image, of a fixed "
            f"size: export the model with that output."
        )
    return methods_of(output.task).declared(output, shape[1:])


def check_kind(
    source: Path, outputs: NDArray[np.float32], output: OutputSpec, step: float = 0
) -> None:
    """Refuse a model whose `outputs` `(images, columns)` cannot be of the declared kind.

    `step` is the difference of neighbouring values of an output that is quantised.

    Raises:
        PupilaError: the outputs are not of the declared kind.
    """
    if output.task != CLASSIFICATION:
        misfit = methods_of(output.task).misfit(output, outputs, len(outputs))
        if misfit:
            raise PupilaError(
                f"{str(source)!r} answers with {misfit}: correct `output` of the teacher."
            )
        return
    fractions = outputs.min() >= -_SUM_ERROR and outputs.max() <= 1 + _SUM_ERROR
    sums = outputs.sum(axis=1)
    sum_to_one = np.abs(sums - 1).max() <= _SUM_ERROR + output.columns * step / 2
    if output.kind == "logits" and fractions and sum_to_one:
        raise PupilaError(
            f"{str(source)!r} answers with fractions that sum to one, but its output is declared "
            f"logits: it looks like a softmax: set `output: softmax`."
        )
    problem = None
    if not np.isfinite(outputs).all():
        problem = "numbers that are not finite"
    elif output.kind != "logits" and not fractions:
        problem = f"numbers from {outputs.min():.3g} to {outputs.max():.3g}"
    elif output.kind == "softmax" and not sum_to_one:
        problem = f"columns that sum to {sums[0]:.3g}"
    if problem:
        raise PupilaError(
            f"{str(source)!r} answers with {problem}, which is not a {output.kind} output: correct "
            f"`output` of the teacher (softmax, logits or sigmoid)."
        )
