"""What a task says of its labels and answers; see `pupila.plugin.Task` for its descriptor.

Everything that depends on what models learn asks the methods of their task: training, evaluation,
the gate, the report. The raw outputs of a model, `(images, values)`, become *answers* `(images,
columns)` with the same meaning for every model of the task. Labels become *truths* `(images, …)`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.artifact import Threshold
from pupila.chance import ChanceCheck
from pupila.dataset import Dataset
from pupila.errors import PupilaError, list_names
from pupila.evaluation import Agreement, Metrics
from pupila.intervals import share
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila.task_words import TaskWords

Answers = NDArray[np.floating[Any]]
Truths = NDArray[Any]
Bools = NDArray[np.bool_]

_SHOWN = 8
"""Number of values of an output that a message shows."""


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """How answers are evaluated, and on which images."""

    classes: Sequence[str]
    """What the answers name, in the order of their columns."""
    split: str = "test"
    """Name of the images in messages."""
    patients: ArrayLike | None = None
    """Patient of each image; intervals are then by patient."""
    positive: str = ""
    """Positive class of a classification; other tasks have none."""
    specificity: float = 0.85
    """Specificity for which a classifier's threshold is chosen."""
    validation: tuple[Answers, Truths] | None = None
    """Answers and truths of the images on which thresholds are chosen, if there are any."""
    shipped: Threshold | None = None
    """Threshold in the model's record."""


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """What the labels of all images must be, as data validation checks it."""

    name: str
    """The rule as a sentence without its full stop, such as `Every position is in its image`."""
    column: str
    """Name of what is checked, in messages and in Data Docs."""
    faults: Sequence[str]
    """What is wrong with the label of each image, `(images,)`; empty texts if nothing is."""
    advice: str
    """What to do about wrong labels."""
    severity: Literal["error", "warning"] = "error"
    """Whether images that break the rule stop a run."""


@dataclass(frozen=True, kw_only=True)
class ErrorMeasure:
    """What the error of an answer is, in a task that has one."""

    title: str
    """Name of the mean of the errors, such as `mean error`."""
    unit: str
    """Unit of errors, such as `% of the width`."""
    meaning: str
    """What the error of one image is and how much of it counts, as half a sentence."""
    margin: float
    """Largest increase of the mean that a gate accepts by default, in the unit."""
    digits: int = 2
    """Digits after the point with which an error is shown."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of answers, `(images,)`; NaN where an answer has none, as where nothing is there."""

    values: NDArray[np.float64]
    """Errors in the unit of the task's `ErrorMeasure`, from 0 to `limits`."""
    limits: NDArray[np.float64]
    """The largest error that counts for each image; larger errors count as this."""

    @property
    def known(self) -> Bools:
        """Which images have an error, `(images,)`."""
        return np.isfinite(self.values)


class TaskMethods(TaskWords):  # long: the interface of all tasks, with defaults
    """The methods of one task. Arrays have one row for each image."""

    error_measure: ClassVar[ErrorMeasure | None] = None
    """What `errors` returns; None if answers are right or wrong, but have no error."""

    # Labels ------------------------------------------------------------------------------------

    def check(self, answers: Answers, truths: Truths, classes: Sequence[str], what: str) -> Answers:
        """Return answers `(images, columns)` in float64 after checking that they fit the truths.

        `what` names the images or the model in errors.

        Raises:
            PupilaError: they do not.
        """
        scores, shape = (
            np.asarray(answers, np.float64),
            (len(truths), len(self.answer_columns(classes))),
        )
        if scores.shape != shape:
            raise PupilaError(
                f"Answers of {what} have shape {scores.shape}, expected {shape}: they belong to "
                f"other images or to another task."
            )
        return scores

    @abstractmethod
    def truths(self, images: Dataset) -> Truths:
        """Return what the labels say of each image.

        Raises:
            PupilaError: an image has a label that does not belong to the task.
        """

    def label_of(self, fields: Mapping[str, str]) -> str:
        """Return the label of an image as one text, given the fields of a line of a CSV.

        `fields` has the texts in the task's label columns, in order, under the names that the CSV
        has for these columns, such as `disc_x` for `x`. The label must not be empty.
        By default it is these texts joined by blanks, and none of them may be empty.

        Raises:
            PupilaError: the fields are not a label. The message is the rest of a sentence that
                begins with the file and the line, such as `has no 'x'.`.
        """
        texts = {name: text.strip() for name, text in fields.items()}
        empty = next((name for name, text in texts.items() if not text), None)
        if empty:
            raise PupilaError(f"has no {empty!r}: give one, or take the image out.")
        return " ".join(texts.values())

    def label_rules(self, images: Dataset) -> Sequence[LabelRule]:
        """Return what the labels of images must be, beyond what `label_of` demands of each line.

        All `images` are labelled and decode, so that their size is known.
        """
        return ()

    # Raw outputs -------------------------------------------------------------------------------

    def declared(self, output: OutputSpec, shape: tuple[int, ...]) -> OutputSpec:
        """Return the output of a model file, whose raw output for one image has a shape.

        `output` is what the user declares. A task whose models have an `OutputSpec.size` sets it
        here. By default, the shape must have as many values as `output` declares.

        Raises:
            PupilaError: the shape is not that of a model of the task.
        """
        if math.prod(shape) != output.columns:
            raise PupilaError(
                f"The model gives {shape} for each image, expected {self.describe_output(output)}: "
                f"correct `output` or `classes` of the teacher."
            )
        return output

    def misfit(self, output: OutputSpec, outputs: NDArray[np.float32], images: int) -> str | None:
        """Return how raw outputs of `images` images violate a specification; None if they do not.

        Outputs must be finite and have the declared number of values.
        """
        expected = f"expected {self.describe_output(output)}"
        if outputs.shape != (images, output.columns):
            return f"an array of shape {outputs.shape} to {images} images: {expected}"
        return misfit_of_rows(
            outputs, ~np.isfinite(outputs).all(axis=1), "numbers that are NaN or infinite", expected
        )

    def describe_output(self, output: OutputSpec) -> str:
        """Return in words what raw outputs of this specification must be."""
        return f"{output.columns} finite numbers for each image"

    @abstractmethod
    def answers(self, output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn raw outputs `(images, values)` into answers `(images, columns)`."""

    # Answers -----------------------------------------------------------------------------------

    @abstractmethod
    def right(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        threshold: Threshold | None = None,
    ) -> Bools:
        """Return whether each image is answered right, `(images,)`.

        `threshold` is the one that ships with the model.
        """

    @abstractmethod
    def same(self, answers: Answers, others: Answers) -> Bools:
        """Return whether two models give each image the same answer, `(images,)`."""

    @abstractmethod
    def comparable(self, answers: Answers, positive: int = 0) -> NDArray[np.float64]:
        """Return the numbers by which a pupil's answers are correlated with its teacher's.

        They are `(images, …)`. `positive` is the column of the positive class.
        """

    @abstractmethod
    def losses(self, answers: Answers, truths: Truths) -> NDArray[np.float64]:
        """Return how wrong each answer is, `(images,)`: the larger, the worse."""

    def errors(self, answers: Answers, truths: Truths) -> Errors | None:
        """Return by how much each answer is off; None if the task has no `error_measure`.

        Errors need a limit, as the gate compares their means: if a rare answer may be off by any
        amount, no number of images shows that it is not.
        """
        return None

    @abstractmethod
    def metrics(self, answers: Answers, truths: Truths, settings: MetricSettings) -> Metrics:
        """Return all metrics on one set of images.

        Raises:
            PupilaError: there are no images, or the arrays do not fit each other or the task.
        """

    def divergence(self, answers: Answers, reference: Answers) -> NDArray[np.float64]:
        """Return how far a model's answers are from its original's, `(images,)`; 0 if equal.

        By default this is the mean over columns of the squared differences.
        """
        difference = np.asarray(answers, np.float64) - np.asarray(reference, np.float64)
        return (difference**2).mean(axis=1)

    def tied(self, answers: Answers) -> float:
        """Return the largest fraction of images whose answers a coarse output cannot rank."""
        return 0.0

    def scores(self, answers: Answers, positive: int = 0) -> NDArray[np.float64] | None:
        """Return the probability of the positive class `(images,)`, given its column.

        None if the task has no classes.
        """
        return None

    def area(self, answers: Answers, truths: Truths, positive: int = 0) -> float | None:
        """Return the area under the ROC curve; None if the task has none, or a class no image."""
        return None

    def agreement(
        self, name: str, answers: Answers, reference: Answers, patients: ArrayLike | None = None
    ) -> Agreement:
        """Compare answers with those of the reference `name`, image by image.

        Raises:
            PupilaError: the shapes of the answers differ, or there are no images.
        """
        ours, theirs = np.asarray(answers, np.float64), np.asarray(reference, np.float64)
        if ours.shape != theirs.shape or ours.ndim != 2 or not len(ours):
            raise PupilaError(
                f"Answers {ours.shape} cannot be compared with those of {name!r}, {theirs.shape}: "
                f"both must be (images, columns) of the same images."
            )
        difference = np.abs(ours - theirs)
        return Agreement(
            reference=name,
            labels=share(self.same(ours, theirs), patients),
            mean_difference=float(difference.mean()),
            largest_difference=float(difference.max()),
        )

    def chance(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        positive: str = "",
        patients: ArrayLike | None = None,
    ) -> ChanceCheck | None:
        """Test whether answers are better than chance; None if the task has no such test."""
        return None

    # Between the orders of names ---------------------------------------------------------------

    def columns_of(self, own: Sequence[str], wanted: Sequence[str]) -> list[int]:
        """Return the columns of answers in the order `wanted`, given those in the order `own`.

        Raises:
            PupilaError: a model and the data do not name the same.
        """
        if sorted(own) != sorted(wanted):
            raise PupilaError(
                f"The model has the classes {list_names(own)}, but the data has "
                f"{list_names(wanted)}: both must have the same. Correct `classes` of the "
                f"teacher, or the labels of the data."
            )
        width = len(self.answer_columns(own)) // len(own)
        return [own.index(name) * width + part for name in wanted for part in range(width)]


def misfit_of_rows(
    outputs: NDArray[np.float32], rows: Bools, what: str, expected: str
) -> str | None:
    """Return a text on the rows of raw outputs that have a fault; None if no row has it."""
    if not rows.any():
        return None
    first = outputs[int(rows.argmax())].tolist()
    shown = ", ".join(f"{value:.6g}" for value in first[:_SHOWN])
    more = ", …" if len(first) > _SHOWN else ""
    return (
        f"{what} to {int(rows.sum())} of {len(outputs)} images, such as [{shown}{more}]: {expected}"
    )


@cache
def methods_of(task: str) -> TaskMethods:
    """Return the methods of the task of that name.

    Raises:
        PupilaError: no installed plugin has such a task.
    """
    plugin = installed().task(task)
    with installed().calling(plugin):
        return plugin.load()()


def answers_of_outputs(output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn a model's raw outputs `(images, values)` into answers `(images, columns)`."""
    return methods_of(output.task).answers(output, outputs)
