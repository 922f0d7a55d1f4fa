"""Specifications of a model's input and output, which are the same in every runtime."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pupila.errors import list_names
from pupila.plugin import CLASSIFICATION

MOST_PIXELS = 4096
"""Most rows and columns of a model's input; a record of unknown origin may claim any size."""
MOST_VALUES = 1 << 20
"""Most numbers that a model may give for one image."""

OutputKind = Literal["softmax", "logits", "sigmoid"]
"""Kinds of output of a classifier."""
Fit = Literal["stretch", "surround"]
"""How an image is brought to a model's input size: see `InputSpec`."""


class InputSpec(BaseModel):
    """A model's input: one RGB image, 0..255, resized with Pillow's antialiased `BILINEAR` filter.

    With the fit `stretch`, the image is resized to the height and width, whatever its aspect. With
    `surround`, the image keeps its aspect: if it is larger, it is reduced to fit, and if it is
    smaller, it keeps its own pixels. It then lies at the top left, and the rest has a marker colour
    (`pupila.images.MARKER`), so that a model can tell which part is the image.

    Everything after the resize (scaling, mean subtraction) is part of the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0, le=MOST_PIXELS, description="Rows of the input image, in pixels.")
    width: int = Field(gt=0, le=MOST_PIXELS, description="Columns of the input image, in pixels.")
    fit: Fit = Field(
        default="stretch",
        description="`stretch`: the image fills the input. `surround`: it keeps its aspect, and a "
        "marker colour surrounds it.",
    )

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the usual fit: records and cached pixels keep their digests."""
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if value != "stretch"}

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, 3)


class OutputSpec(BaseModel):
    """A model's output: the task that gives it a meaning, its kind, and the names it is about.

    For a classifier, `classes` are the classes of its columns in order. What other tasks name, and
    which kinds of output they have, is said by their `pupila.task.TaskMethods`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = Field(default=CLASSIFICATION, description="What the model has learned.")
    kind: str = Field(
        description="Of a classifier: softmax, logits, or one sigmoid for the second class."
    )
    classes: tuple[str, ...] = Field(
        min_length=1, description="Class names in column order; in other tasks, what is named."
    )
    size: tuple[int, ...] | None = Field(
        default=None,
        description="Shape of the raw output for one image, such as (24, 32, 3) of a heat map; "
        "None if it has one number for each class.",
    )

    @model_validator(mode="after")
    def _names_no_class_twice(self) -> OutputSpec:
        twice = [name for name, count in Counter(self.classes).items() if count > 1]
        if twice:
            raise ValueError(f"class {twice[0]!r} is named twice")
        if self.task == CLASSIFICATION:
            self._check_classifier()
        if self.size is not None and not (
            min(self.size, default=0) > 0 and math.prod(self.size) <= MOST_VALUES
        ):
            raise ValueError(
                f"size is {self.size}, expected positive numbers with a product of at most "
                f"{MOST_VALUES:,}"
            )
        return self

    def _check_classifier(self) -> None:
        if self.kind not in ("softmax", "logits", "sigmoid"):
            raise ValueError(f"kind is {self.kind!r}, expected softmax, logits or sigmoid")
        if len(self.classes) < 2:
            raise ValueError(
                f"a classifier tells at least two classes apart, but {list_names(self.classes)} is "
                f"the only one"
            )
        if self.kind == "sigmoid" and len(self.classes) != 2:
            raise ValueError(
                f"a sigmoid tells two classes apart, not {len(self.classes)}: "
                f"{list_names(self.classes)}"
            )
        if self.size is not None:
            raise ValueError("a classifier has one number for each class: leave `size` out")

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the task and size of a classifier: its records keep their digests."""
        values: dict[str, Any] = handler(self)
        absent = {"task": CLASSIFICATION, "size": None}
        return {name: value for name, value in values.items() if value != absent.get(name, ...)}

    @property
    def activation(self) -> str | None:
        """Last activation of a classifier of probabilities, softmax or sigmoid; otherwise None."""
        return self.kind if self.task == CLASSIFICATION and self.kind != "logits" else None

    @property
    def in_training(self) -> OutputSpec:
        """The output of the model while it is trained: a classifier gives a logit per class."""
        return self.model_copy(update={"kind": "logits"}) if self.activation else self

    @property
    def columns(self) -> int:
        """Number of values of the raw output for one image, such as one per class."""
        if self.size is not None:
            return math.prod(self.size)
        return 1 if self.kind == "sigmoid" else len(self.classes)
