"""Rules that compare the metric of a model with that of another model, or with a limit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority import Comparison, check_proportion, compare_auc, compare_proportions
from pupila_flows.gate.inputs import GateInputs, GateModel
from pupila_flows.gate.predictions import Bools, ModelPredictions, Rows
from pupila_flows.gate.units import MORE_IS_BETTER, Direction, Unit, percent
from pupila_flows.results import Verdict

Plot = Literal["difference", "interval", "bar"]
"""How a finding is drawn.

`difference` is a paired difference with its margin. `interval` is a value with its interval and the
limit, and `bar` is a value without an interval with the limit.
"""
_IMPROVE = (
    "Look at the validation images that only it gets wrong; once you look at test images, you need "
    "fresh ones. Try more training images like them, a larger student or longer training; after "
    "quantisation, 16 bits, or training with it."
)


@dataclass(frozen=True)
class Ranking:
    """Orders the steps of a run, so that advice can name better steps.

    A ranking does not use test images. A model that was chosen on test images would need new test
    images for its verdict.
    """

    merit: Callable[[GateModel], float | None]
    """Returns the value that ranks a model: larger is better; None if unknown."""
    describe: Callable[[GateModel], str]
    """Returns the value as text, which is shown after the name of the step."""
    where: str = ""
    """Words that say where the value was measured, such as ` on the validation images`."""


def validation_accuracy(model: GateModel) -> float | None:
    """Return the accuracy on the validation images, which ranks models; None if unknown."""
    accuracy = model.evaluation.validation
    return accuracy.value if accuracy else None


BY_ACCURACY = Ranking(
    validation_accuracy,
    lambda model: f"accuracy {percent(validation_accuracy(model) or 0)}",
    " on the validation images",
)


@dataclass(frozen=True)
class ImageSubset:
    """The test images that a metric is computed on."""

    title: str
    """Words for the images in a sentence."""
    select: Callable[[ModelPredictions, Rows], Rows]
    """Returns those of the given rows that belong to the subset."""


ALL_IMAGES = ImageSubset("images", lambda _, rows: rows)
POSITIVE_IMAGES = ImageSubset(
    "images of the positive class", lambda predictions, rows: rows[predictions.is_positive[rows]]
)
OTHER_IMAGES = ImageSubset(
    "images of other classes", lambda predictions, rows: rows[~predictions.is_positive[rows]]
)


def _right(predictions: ModelPredictions) -> Bools:
    return predictions.right


def _answers(predictions: ModelPredictions) -> Sequence[str]:
    return predictions.answers


def _no_note(ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class MarginRule:
    """Compares two models by the fraction of the test images that they classify correctly."""

    correct: Callable[[ModelPredictions], Bools] = _right
    """Returns whether each image is classified correctly, `(images,)`.

    It raises `PupilaError` if a model has no threshold that decides this.
    """
    predicted: Callable[[ModelPredictions], Sequence[str]] = _answers
    """Returns the answer to each image in words, `(images,)`."""
    images: ImageSubset = ALL_IMAGES
    note: Callable[[ModelPredictions, ModelPredictions, Rows], str] = _no_note
    """Returns a last sentence for the finding, from both models' predictions and the rows."""
    advice: str = _IMPROVE
    """What to try after a failure."""
    plot: Plot = "difference"
    direction: Direction = MORE_IS_BETTER

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        """Compare two models on the images in `rows`; `margin` is the largest accepted loss.

        Raises:
            PupilaError: a comparison is not possible; the message says why.
        """
        selected = self.images.select(ours, rows)
        if not len(selected):
            raise PupilaError(f"none of the {len(rows)} test images are {self.images.title}.")
        pair = self.correct(ours)[selected], self.correct(theirs)[selected]
        return compare_proportions(*pair, margin, ours.patients_of(selected))

    def newly_wrong(self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> Rows:
        """Return the rows of images that the artifact gets wrong and the other model gets right.

        The image that it gets most wrong comes first.
        """
        selected = self.images.select(ours, rows)
        return ours.worst_first(selected[(self.correct(theirs) & ~self.correct(ours))[selected]])

    def ranking(self, unit: Unit, inputs: GateInputs) -> Ranking:
        """Return how to rank the other steps of the run, so that advice can name better ones."""
        return BY_ACCURACY


@dataclass(frozen=True, kw_only=True)
class AreaMargin(MarginRule):
    """Compares two models by the area under the ROC curve.

    With two classes, the area is that of the positive class. With more classes, the mean of the
    areas of all classes is compared.
    """

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        classes = ours.scores.shape[1]
        columns = [ours.positive] if classes == 2 else list(range(classes))
        pair = ours.scores[rows], theirs.scores[rows]
        patients = ours.patients_of(rows)
        return compare_auc(*pair, ours.truths[rows], columns, margin, patients)


@dataclass(frozen=True)
class LimitResult:
    """Result of comparing a metric with a limit."""

    verdict: Verdict
    value: float
    interval: Estimate | None = None
    needs_images: int | None = None
    """Number of images that would decide an inconclusive verdict; None if unknown."""
    tested: int | None = None
    """Number of images that the metric was computed on; None for all test images."""


@dataclass(frozen=True, kw_only=True)
class LimitRule(ABC):
    """Compares a metric with a limit."""

    bound: str
    """Kind of limit, in words: `at most` or `at least`."""
    missed: str
    """Words of a failed finding after the missing amount, such as `more than allowed:`."""
    plot: Plot
    advice: str = _IMPROVE
    """What to try after a failure."""
    more: str = "Add test images."
    """What to try if the verdict is inconclusive."""
    images: ImageSubset = ALL_IMAGES
    needs_teacher: bool = False
    """Whether only an artifact with a teacher can be checked."""

    @abstractmethod
    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        """Compare the metric of an artifact with a limit.

        `teacher` holds the predictions of the teacher; it is None if the rule needs no teacher.

        Raises:
            PupilaError: a comparison is not possible; the message says why.
        """

    def wrong(self, ours: ModelPredictions, teacher: ModelPredictions | None) -> Rows:
        """Return the rows of the images that count against the artifact; by default none.

        The image that it gets most wrong comes first.
        """
        return np.array([], np.int64)

    def note(self, ours: GateModel) -> str:
        """Return a sentence that ends the text of the finding; empty by default."""
        return ""

    def ranking(self, unit: Unit, inputs: GateInputs) -> Ranking:
        """Return how to rank the other steps of the run, so that advice can name better ones."""
        return BY_ACCURACY


@dataclass(frozen=True, kw_only=True)
class AtMost(LimitRule):
    """Passes if a cost, such as size or time, is not larger than the limit."""

    bound: str = "at most"
    missed: str = "more than allowed:"
    plot: Plot = "bar"

    cost: Callable[[GateModel], float]
    """Returns the cost of a model in the unit of the condition, such as bytes."""

    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        cost = self.cost(ours.model)
        return LimitResult("pass" if cost <= limit else "fail", cost)

    def ranking(self, unit: Unit, inputs: GateInputs) -> Ranking:
        return Ranking(lambda model: -self.cost(model), lambda model: unit.value(self.cost(model)))


@dataclass(frozen=True, kw_only=True)
class AtLeast(LimitRule):
    """Compares a fraction of the test images with a lower limit.

    The verdict depends on the whole interval of the fraction, not only on its value.
    """

    bound: str = "at least"
    missed: str = "less than required:"
    plot: Plot = "interval"

    correct: Callable[[ModelPredictions, ModelPredictions | None], Bools]
    """Returns which images count for the fraction, `(images,)`.

    The arguments are the predictions of the artifact and, if the rule needs them, of the teacher.
    """

    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        correct = self.correct(ours, teacher)
        checked = check_proportion(correct, limit, ours.patients)
        verdict: Verdict = "pass" if checked.above else "fail" if checked.below else "inconclusive"
        return LimitResult(
            verdict, checked.proportion.value, checked.proportion, checked.needs_images
        )

    def wrong(self, ours: ModelPredictions, teacher: ModelPredictions | None) -> Rows:
        return ours.worst_first(np.flatnonzero(~self.correct(ours, teacher)))
