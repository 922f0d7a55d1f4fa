"""How the answers of a task are shown to readers: in words, and as marks on an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Threshold

Answers = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place in an image: an ellipse, or a point without half sizes.

    `x` and `half_width` are fractions of the image's width, `y` and `half_height` of its height.
    """

    x: float
    y: float
    half_width: float = 0.0
    half_height: float = 0.0


class TaskWords(ABC):
    """What the methods of a task say of its answers; see `pupila.task.TaskMethods`.

    Arrays have one row for each image. A title begins with a small letter, for use in sentences.
    """

    has_classes: ClassVar[bool] = False
    """Whether answers are probabilities of classes: tables then show AUC, thresholds, calibration;
    otherwise they show `Metrics.figures`."""
    right_title: ClassVar[str]
    """Name of the fraction of images answered right: a noun, such as `accuracy`."""
    right_meaning: ClassVar[str]
    """What it means that an image is answered right, as half a sentence."""
    same_title: ClassVar[str] = "same answer"
    """What two models give an image that they answer alike, such as `same class`."""
    same_meaning: ClassVar[str] = "says how often two models answer an image alike"
    """What the fraction of images with the `same_title` means, as half a sentence after it."""
    compared_title: ClassVar[str] = "answer"
    """Name of one number of `TaskMethods.comparable`, such as `logit`; the plural adds an s."""

    @abstractmethod
    def answer_columns(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the names of an answer's columns, given what is named."""

    def decided(
        self, answers: Answers, classes: Sequence[str], threshold: Threshold | None
    ) -> Answers:
        """Return answers in which the threshold that ships with a model has decided.

        `TaskMethods.same` and `describe` then say what the model as it ships says. By default a
        threshold decides nothing.
        """
        return answers

    @abstractmethod
    def describe(self, answer: Answers, classes: Sequence[str]) -> str:
        """Return one answer `(columns,)` in a few words."""

    @abstractmethod
    def describe_truth(self, truth: NDArray[Any], classes: Sequence[str]) -> str:
        """Return what one image's label says in a few words."""

    def marks(self, answer: NDArray[Any], classes: Sequence[str]) -> Sequence[Mark]:
        """Return what to draw over an image for one answer, or for what its label says.

        By default nothing is drawn.
        """
        return ()
