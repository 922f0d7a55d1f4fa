"""How models learn a task: its targets, losses, and the ends of its students.

Targets are rows of numbers: first the label's (`label_columns` of them), then the teacher's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pupila.dataset import Dataset
from pupila.measured import Measured
from pupila.plugin import import_object
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila.step import Step
from pupila.views import Augmentation

if TYPE_CHECKING:
    from pupila.training.loss import Loss


@dataclass(frozen=True)
class TeacherTargets:
    """What teachers answer, as columns of targets."""

    views: Sequence[NDArray[np.float32]]
    """Targets `(images, columns)` of each augmented view."""
    validation: NDArray[np.float32]
    """Targets `(images, columns)` of the validation images."""
    measured: Measured = field(default_factory=Measured)
    """What the artifact's record reports about the teachers."""


class TaskTraining(ABC):
    """How models learn one task, on data with these classes (or other names)."""

    keeps_last_layers: bool = False
    """Whether a student that is a small architecture ends as it does for a classifier, in a number
    for each name. If not, its last layers are replaced by `head`."""
    largest_stride: int | None = None
    """Most image pixels per position of the feature map on which a student's head is built, on each
    side; None for any number."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)

    @classmethod
    def of(cls, images: Dataset) -> Self:
        """Return how the task is learned on these images."""
        return cls(images.classes)

    @property
    @abstractmethod
    def label_columns(self) -> int:
        """Number of columns of the targets that hold the label; these columns come first."""

    @abstractmethod
    def labels(self, images: Dataset) -> NDArray[np.float32]:
        """Return the label columns of the unaltered images, `(images, label columns)`."""

    @abstractmethod
    def labels_of_views(
        self, images: Dataset, augmentation: Augmentation
    ) -> Sequence[NDArray[np.float32]]:
        """Return the label columns of each augmented view, changed as its pictures are."""

    @abstractmethod
    def teach(
        self,
        step: Step[Any],
        images: Dataset,
        validation: Dataset,
        *,
        weights: Sequence[float],
        temperature: float,
        mean_over_views: bool = False,
    ) -> TeacherTargets:
        """Run a step's teachers on the views of images, and on validation images.

        `weights` are those of the teachers. With `mean_over_views`, the target of each view is the
        mean over all views of the image.

        Raises:
            PupilaError: a teacher is not better than chance, or its answers are not finite.
        """

    @abstractmethod
    def label_loss(self) -> Loss:
        """Return the loss on labels alone."""

    @abstractmethod
    def distillation_loss(
        self, teachers: Sequence[OutputSpec], alpha: float, temperature: float
    ) -> Loss:
        """Return the loss on labels (weight `alpha`) and on the targets of `teach`.

        `teachers` are the output specifications of the teachers of these targets.
        """

    @abstractmethod
    def right(self) -> Loss:
        """Return a metric that is 1 for each image that is answered right, else 0."""

    @abstractmethod
    def head(self, features: Any, width: int, names: Any) -> Any:
        """Build a student's last layers on a feature map, and return its raw output.

        `width` is the number of channels of the head. `names` gives a layer name that is still
        free for the name that it is called with.
        """

    @abstractmethod
    def head_kernels(self, channels: int, width: int) -> list[tuple[int, int]]:
        """Return weights and output channels of each kernel of a head on so many channels."""

    @abstractmethod
    def head_layers(self, width: int) -> int:
        """Return how many layers of a head have weights."""

    @abstractmethod
    def finish(self, student: Any) -> tuple[Any, OutputSpec]:
        """Return a trained student as it is saved, and its output specification."""

    @abstractmethod
    def output_in_training(self, student: Any) -> OutputSpec:
        """Return the output specification of a student as it is trained."""


def training_of(images: Dataset) -> TaskTraining:
    """Return how the task of these images is learned."""
    task = installed().task(images.task)
    with installed().calling(task):
        training: Any = import_object(task.training)
        return training.of(images)


def free_name(taken: set[str]) -> Any:
    """Return a function that gives a layer name which is not in `taken`."""
    return partial(_free, taken)


def _free(taken: set[str], wanted: str) -> str:
    while wanted in taken:
        wanted += "_again"
    return wanted
