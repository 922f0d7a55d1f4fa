"""Checks that a model takes one image, and gives the declared output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import InputSpec, OutputSpec, PupilaError
from pupila.errors import list_names
from pupila.plugin import CLASSIFICATION
from pupila.spec import MOST_PIXELS
from pupila.task import methods_of

_EXPECTED = "expected one RGB image (batch, height, width, 3) of fixed size"
_SUM_TOLERANCE = 1e-3


def input_spec(shapes: Sequence[Sequence[int | None]]) -> InputSpec:
    """Return the input spec of a model whose inputs have these shapes.

    Raises:
        PupilaError: the model does not take exactly one RGB image of fixed size.
    """
    if len(shapes) != 1:
        raise PupilaError(f"The model takes {len(shapes)} inputs: {_EXPECTED}.")
    shape = tuple(shapes[0])
    if len(shape) != 4:
        raise PupilaError(f"The model takes {shape}: {_EXPECTED}.")
    _, height, width, channels = shape
    if channels != 3:
        order = " It is channels-first: save it channels-last." if height == 3 else ""
        raise PupilaError(f"The model takes {shape}: {_EXPECTED}.{order}")
    if height is None or width is None:
        raise PupilaError(
            f"The model takes {shape}, any size: {_EXPECTED}. "
            "Rebuild it with the size it was trained at."
        )
    if not 0 < min(height, width) <= max(height, width) <= MOST_PIXELS:
        raise PupilaError(f"The model takes {shape}: {_EXPECTED}, at most {MOST_PIXELS} a side.")
    return InputSpec(height=height, width=width)


def check_columns(shapes: Sequence[Sequence[int | None]], output: OutputSpec) -> OutputSpec:
    """Check that a model whose outputs have these shapes returns the declared values.

    Return the specification of its output; in some tasks it also has the shape.

    Raises:
        PupilaError: the model returns more values, fewer values, or something else.
    """
    if len(shapes) != 1:
        raise PupilaError(f"The model has {len(shapes)} outputs: expected one.")
    shape = tuple(shapes[0])
    if output.task == CLASSIFICATION:
        _check_classes(shape, output)
        return output
    fixed = [size for size in shape[1:] if size is not None]
    if not shape or len(fixed) != len(shape) - 1:
        raise PupilaError(
            f"The model gives {shape} for each batch: expected a fixed size. Save it with an input "
            f"of a fixed size."
        )
    return methods_of(output.task).declared(output, tuple(fixed))


def _check_classes(shape: tuple[int | None, ...], output: OutputSpec) -> None:
    """Check that a classifier returns one value per declared column."""
    if len(shape) != 2:
        raise PupilaError(
            f"The model gives {shape} for each batch: expected (batch, {output.columns}). "
            "It has no classification head."
        )
    if shape[1] == output.columns:
        return
    if output.kind == "sigmoid":
        raise PupilaError(
            f"The model gives {shape[1]} values per image, but a sigmoid output is one value, the "
            f"probability of {output.classes[-1]!r}: set `output: softmax` or `output: logits`."
        )
    hint = " Set `output: sigmoid` if it is the second one's probability." if shape[1] == 1 else ""
    raise PupilaError(
        f"The model gives {shape[1]} value{'s' if shape[1] != 1 else ''} per image, but `classes` "
        f"names {len(output.classes)}: {list_names(output.classes)}.{hint}"
    )


def check_kind(outputs: NDArray[np.float32], output: OutputSpec) -> None:
    """Check that raw outputs `(images, …)` are of the declared kind.

    Kinds of a classifier are softmax, sigmoid and logits.

    Raises:
        PupilaError: the outputs are not finite, or look like another kind.
    """
    if not np.isfinite(outputs).all():
        raise PupilaError("The model answers with numbers that are not finite: it is damaged.")
    if output.task != CLASSIFICATION:
        flat = outputs.reshape(len(outputs), -1)
        misfit = methods_of(output.task).misfit(output, flat, len(outputs))
        if misfit:
            raise PupilaError(f"The model answers with {misfit}: correct `output` of the teacher.")
        return
    fractions = bool(((outputs >= 0) & (outputs <= 1)).all())
    sums = np.abs(outputs.sum(axis=1) - 1).max() <= _SUM_TOLERANCE
    range_seen = f"{outputs.min():.3g} to {outputs.max():.3g}"
    if output.kind == "softmax" and not fractions:
        raise PupilaError(
            f"The output is declared softmax, but lies between {range_seen}: "
            "it looks like logits. Set `output: logits`."
        )
    if output.kind == "softmax" and not sums:
        raise PupilaError(
            "The output is declared softmax, but an image's values do not sum to one: each looks "
            "like a sigmoid of its own. Only one class per image is supported."
        )
    if output.kind == "sigmoid" and not fractions:
        raise PupilaError(
            f"The output is declared sigmoid, but lies between {range_seen}: "
            "it looks like a logit. End the model with a sigmoid and save it again."
        )
    if output.kind == "logits" and fractions and sums:
        raise PupilaError(
            "The output is declared logits, but an image's values sum to one: "
            "it looks like softmax. Set `output: softmax`."
        )


def shapes_of(model: Any, ends: str) -> list[tuple[int | None, ...]]:
    """Return the shapes of a Keras 2 or 3 model's inputs or outputs.

    `ends` is `"inputs"` or `"outputs"`.

    Raises:
        PupilaError: the model has no shapes, as it was saved before it was built.
    """
    tensors = getattr(model, ends, None)
    if not tensors:
        raise PupilaError(f"The model was never built, so its input size is open: {_EXPECTED}.")
    return [tuple(tensor.shape) for tensor in tensors]
