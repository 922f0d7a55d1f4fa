"""Specifications of a model's input and output, which are the same in every runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pupila.errors import list_names

MOST_PIXELS = 4096
"""Most rows and columns of a model's input: a limit for records of unknown origin."""

OutputKind = Literal["softmax", "logits", "sigmoid"]

_STEP = 1 / 256
"""Tolerance of one probability: the step of an 8-bit softmax or sigmoid. Such an output is accurate
to about one step, and its maximum is 255/256; half precision is more accurate. Each column is
rounded separately, so the sum of a row may differ from 1 by this tolerance times the number of
columns: 0.008 with two classes. A tolerance of 1e-3, enough for float32, would refuse int8 models.
"""

_SHOWN = 8
"""Number of columns of an answer that a message shows."""


class InputSpec(BaseModel):
    """A model's input: one RGB image, 0..255, resized with Pillow's antialiased `BILINEAR` filter.

    Everything after the resize (scaling, mean subtraction) is part of the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0, le=MOST_PIXELS, description="Rows of the input image, in pixels.")
    width: int = Field(gt=0, le=MOST_PIXELS, description="Columns of the input image, in pixels.")

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, 3)


class OutputSpec(BaseModel):
    """A model's output: its kind, and the classes of its columns in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: OutputKind = Field(description="softmax, logits, or one sigmoid for the second class.")
    classes: tuple[str, ...] = Field(min_length=2, description="Class names in column order.")

    @model_validator(mode="after")
    def _tells_classes_apart(self) -> OutputSpec:
        if self.kind == "sigmoid" and len(self.classes) != 2:
            raise ValueError(
                f"a sigmoid tells two classes apart, not {len(self.classes)}: "
                f"{list_names(self.classes)}"
            )
        twice = [name for name, count in Counter(self.classes).items() if count > 1]
        if twice:
            raise ValueError(f"class {twice[0]!r} is named twice")
        return self

    @property
    def columns(self) -> int:
        """Number of columns of the raw output: one for a sigmoid, otherwise one per class."""
        return 1 if self.kind == "sigmoid" else len(self.classes)

    def misfit(self, outputs: NDArray[np.float32], images: int) -> str | None:
        """Return how raw outputs violate this spec, as the end of a sentence; None if they fit.

        `outputs` should be `(images, columns)`; `images` is the expected number of images.
        """
        expected = f"expected {self._expectation}"
        if outputs.shape != (images, self.columns):
            return f"an array of shape {outputs.shape} to {images} images: {expected}"
        for rows, what in self._unfit_rows(outputs):
            if rows.any():
                first = outputs[int(rows.argmax())].tolist()
                shown = ", ".join(f"{value:.6g}" for value in first[:_SHOWN])
                more = ", …" if self.columns > _SHOWN else ""
                return (
                    f"{what} to {int(rows.sum())} of {images} images, such as [{shown}{more}]: "
                    f"{expected}"
                )
        return None

    @property
    def _expectation(self) -> str:
        """What the outputs must be, in words."""
        columns = f"one column for each of {list_names(self.classes)}"
        return {
            "softmax": f"{columns}, each in 0..1, and rows that sum to 1",
            "sigmoid": f"one column in 0..1, the probability of {self.classes[-1]!r}",
            "logits": f"{columns}, finite",
        }[self.kind]

    def _unfit_rows(self, outputs: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.bool_], str]]:
        """Yield, for each possible fault, a mask of the rows that have it and its description."""
        yield ~np.isfinite(outputs).all(axis=1), "numbers that are NaN or infinite"
        if self.kind == "logits":
            return
        outside = (outputs < -_STEP) | (outputs > 1 + _STEP)
        yield outside.any(axis=1), "numbers outside of 0..1"
        if self.kind == "softmax":
            off = np.abs(outputs.sum(axis=1, dtype=np.float64) - 1)
            yield off > self.columns * _STEP, "rows that do not sum to 1"

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn raw outputs `(n, columns)` into probabilities `(n, classes)`.

        For `softmax`, the probabilities are the raw outputs unchanged, so a row may sum to slightly
        more or less than 1.
        """
        if self.kind == "sigmoid":
            return np.concatenate([1 - outputs, outputs], axis=1)
        if self.kind == "logits":
            shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        return outputs
