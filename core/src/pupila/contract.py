"""What a model takes and gives: the part of an artifact that every runtime must honour."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

OutputKind = Literal["softmax", "logits", "sigmoid"]


class InputContract(BaseModel):
    """One RGB image, 0..255, resized with an antialiased bilinear filter (Pillow's `BILINEAR`).

    Everything after the resize (scaling, mean subtraction) lies inside the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0, description="Rows of the input image, in pixels.")
    width: int = Field(gt=0, description="Columns of the input image, in pixels.")

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, 3)


class OutputContract(BaseModel):
    """What the model's output means: its kind, and the class of each column in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: OutputKind = Field(description="softmax, logits, or one sigmoid for the second class.")
    classes: tuple[str, ...] = Field(min_length=2, description="Class names in column order.")

    @model_validator(mode="after")
    def _tells_classes_apart(self) -> OutputContract:
        if self.kind == "sigmoid" and len(self.classes) != 2:
            raise ValueError(
                f"a sigmoid tells two classes apart, not {len(self.classes)}: {list(self.classes)}"
            )
        twice = [name for name in self.classes if self.classes.count(name) > 1]
        if twice:
            raise ValueError(f"class {twice[0]!r} is named twice")
        return self

    @property
    def columns(self) -> int:
        """Width of the raw output: one for a sigmoid, else one per class."""
        return 1 if self.kind == "sigmoid" else len(self.classes)

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn raw outputs `(n, columns)` into probabilities `(n, classes)`.

        They sum to one, as closely as the model's own softmax does.
        """
        if self.kind == "sigmoid":
            return np.concatenate([1 - outputs, outputs], axis=1)
        if self.kind == "logits":
            shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        return outputs
