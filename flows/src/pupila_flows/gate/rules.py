"""How a metric is decided: compared with another model, or with a limit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority import Comparison, check_proportion, compare_auc, compare_proportions
from pupila_flows.gate.inputs import GateModel
from pupila_flows.gate.predictions import Bools, ModelPredictions, Rows
from pupila_flows.gate.units import Unit, percent
from pupila_flows.results import Verdict

Plot = Literal["difference", "interval", "bar"]
"""A paired difference against its margin; an interval or a plain number against its limit."""
_IMPROVE = (
    "Look at the validation images that only it gets wrong; once you look at test images, you need "
    "fresh ones. Try more training images like them, a larger student or longer training; after "
    "quantisation, 16 bits, or training with it."
)


@dataclass(frozen=True)
class Ranking:
    """Orders a run's steps, so that advice can name the better ones.

    It does not use test images: if they choose a model, the verdict needs fresh ones.
    """

    merit: Callable[[GateModel], float | None]
    """Larger is better; None if not known."""
    shown: Callable[[GateModel], str]
    """The value, as shown after a step's name."""
    where: str = ""
    """On which images, in a sentence."""


def validation_accuracy(model: GateModel) -> float | None:
    """Return the accuracy on the validation images, by which models are chosen; None if none."""
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
    """What they are called in a sentence."""
    select: Callable[[ModelPredictions, Rows], Rows]
    """Select those among some rows."""


ALL_IMAGES = ImageSubset("images", lambda _, rows: rows)
POSITIVE_IMAGES = ImageSubset(
    "images of the positive class", lambda predictions, rows: rows[predictions.is_positive[rows]]
)
OTHER_IMAGES = ImageSubset(
    "images of other classes", lambda predictions, rows: rows[~predictions.is_positive[rows]]
)


def _right(predictions: ModelPredictions) -> Bools:
    return predictions.right


def _chosen(predictions: ModelPredictions) -> Rows:
    return predictions.chosen


def _no_note(ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class MarginRule:
    """How a metric, here a fraction of the test images, is compared with another model's."""

    correct: Callable[[ModelPredictions], Bools] = _right
    """Which images are right, `(images,)`; raises if that cannot be decided."""
    predicted: Callable[[ModelPredictions], Rows] = _chosen
    """Column of the predicted class of each image, `(images,)`."""
    images: ImageSubset = ALL_IMAGES
    note: Callable[[ModelPredictions, ModelPredictions, Rows], str] = _no_note
    """A last sentence about the metrics of artifact and other model on some rows."""
    advice: str = _IMPROVE
    """What to try after a failure."""
    plot: Plot = "difference"

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        """Compare two models on some rows.

        Raises:
            PupilaError: they cannot be compared; says why.
        """
        selected = self.images.select(ours, rows)
        if not len(selected):
            raise PupilaError(f"none of the {len(rows)} test images are {self.images.title}.")
        pair = self.correct(ours)[selected], self.correct(theirs)[selected]
        return compare_proportions(*pair, margin, ours.patients_of(selected))

    def newly_wrong(self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> Rows:
        """Return the rows that the artifact gets wrong and the other model gets right."""
        selected = self.images.select(ours, rows)
        return selected[(self.correct(theirs) & ~self.correct(ours))[selected]]

    def ranking(self, unit: Unit) -> Ranking:
        """Return the order in which other steps of the run are named."""
        return BY_ACCURACY


@dataclass(frozen=True, kw_only=True)
class AreaMargin(MarginRule):
    """Compares areas under the ROC curve: of the positive class, or of each of several classes."""

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        classes = ours.scores.shape[1]
        columns = [ours.positive] if classes == 2 else list(range(classes))
        pair = ours.scores[rows], theirs.scores[rows]
        patients = ours.patients_of(rows)
        return compare_auc(*pair, ours.labels[rows], columns, margin, patients)


@dataclass(frozen=True)
class LimitResult:
    """A metric compared with a limit."""

    verdict: Verdict
    value: float
    interval: Estimate | None = None
    needs_images: int | None = None
    """Images that would decide it, if that can be computed."""
    tested: int | None = None
    """Images it was computed on, if not all test images."""


@dataclass(frozen=True, kw_only=True)
class LimitRule(ABC):
    """How a metric is compared with a limit."""

    bound: ClassVar[str]
    """`at most`, or `at least`."""
    missed: ClassVar[str]
    """The words between the missing amount and the bound."""
    plot: ClassVar[Plot]

    advice: str = _IMPROVE
    """What to try after a failure."""
    more: str = "Add test images."
    """What to try if it is inconclusive."""
    images: ImageSubset = ALL_IMAGES
    needs_teacher: bool = False
    """Whether it needs a teacher."""

    @abstractmethod
    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        """Compare an artifact with a limit; `teacher` is given if the rule needs one.

        Raises:
            PupilaError: they cannot be compared; says why.
        """

    def wrong(self, ours: ModelPredictions, teacher: ModelPredictions | None) -> Rows:
        """Return the rows that count against the artifact."""
        return np.array([], np.int64)

    def note(self, ours: GateModel) -> str:
        """Return a last sentence about the metric."""
        return ""

    def ranking(self, unit: Unit) -> Ranking:
        """Return the order in which other steps of the run are named."""
        return BY_ACCURACY


@dataclass(frozen=True, kw_only=True)
class AtMost(LimitRule):
    """A cost that must not be larger than its limit."""

    bound = "at most"
    missed = "more than allowed:"
    plot = "bar"

    cost: Callable[[GateModel], float]

    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        cost = self.cost(ours.model)
        return LimitResult("pass" if cost <= limit else "fail", cost)

    def ranking(self, unit: Unit) -> Ranking:
        return Ranking(lambda model: -self.cost(model), lambda model: unit.value(self.cost(model)))


@dataclass(frozen=True, kw_only=True)
class AtLeast(LimitRule):
    """A fraction of the test images whose interval must not lie below its limit."""

    bound = "at least"
    missed = "less than required:"
    plot = "interval"

    correct: Callable[[ModelPredictions, ModelPredictions | None], Bools]
    """Which of all images count, `(images,)`, by the predictions of artifact and teacher."""

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
        return np.flatnonzero(~self.correct(ours, teacher))
