"""How a figure is decided: compared with another model, or held against a limit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority import Comparison, check_proportion, compare_auc, compare_proportions
from pupila_flows.gate.answers import Answers, Bools, Rows
from pupila_flows.gate.inputs import Side
from pupila_flows.gate.units import Unit, percent
from pupila_flows.results import Verdict

Plot = Literal["difference", "interval", "bar"]
"""A paired difference against its margin, an interval or a plain figure against its limit."""
_IMPROVE = (
    "Look at the validation images that only it gets wrong; once test images were looked at, fresh "
    "ones are due. Try more training images like them, a larger student or longer training; after "
    "quantisation, 16 bits, or training with it."
)


@dataclass(frozen=True)
class Ranking:
    """An order of a run's steps, in which an advice names those that do better.

    The test images have no part in it: who chooses by them needs fresh ones.
    """

    merit: Callable[[Side], float | None]
    """Larger is better; None where it is not known."""
    shown: Callable[[Side], str]
    """The figure, as it stands behind a step's name."""
    where: str = ""
    """On which images, in a sentence."""


def validation_accuracy(side: Side) -> float | None:
    """Return the accuracy by which models are chosen; None without validation images."""
    found = side.evaluation.validation
    return found.value if found else None


BY_ACCURACY = Ranking(
    validation_accuracy,
    lambda side: f"accuracy {percent(validation_accuracy(side) or 0)}",
    " on the validation images",
)


@dataclass(frozen=True)
class AskedImages:
    """The test images that a figure is computed on."""

    title: str
    """What they are called in a sentence."""
    select: Callable[[Answers, Rows], Rows]
    """Return those among some rows."""


ALL_IMAGES = AskedImages("images", lambda _, rows: rows)
POSITIVE_IMAGES = AskedImages(
    "images of the positive class", lambda answers, rows: rows[answers.is_positive[rows]]
)
OTHER_IMAGES = AskedImages(
    "images of other classes", lambda answers, rows: rows[~answers.is_positive[rows]]
)


def _right(answers: Answers) -> Bools:
    return answers.right


def _chosen(answers: Answers) -> Rows:
    return answers.chosen


def _no_note(ours: Answers, theirs: Answers, rows: Rows) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class MarginRule:
    """How a figure is compared with that of another model: here, a fraction of the test images."""

    correct: Callable[[Answers], Bools] = _right
    """Which of all images are right, `(images,)`; raises why that cannot be told."""
    given: Callable[[Answers], Rows] = _chosen
    """Column of the class that each image is given, `(images,)`."""
    images: AskedImages = ALL_IMAGES
    note: Callable[[Answers, Answers, Rows], str] = _no_note
    """A last sentence about the figures of artifact and other model on some rows."""
    advice: str = _IMPROVE
    """What to try after a failure."""
    plot: Plot = "difference"

    def compare(self, ours: Answers, theirs: Answers, rows: Rows, margin: float) -> Comparison:
        """Compare two models on some rows.

        Raises:
            PupilaError: why they cannot be compared.
        """
        asked = self.images.select(ours, rows)
        if not len(asked):
            raise PupilaError(
                f"there are no {self.images.title} among the {len(rows)} asked about."
            )
        pair = self.correct(ours)[asked], self.correct(theirs)[asked]
        return compare_proportions(*pair, margin, ours.patients_of(asked))

    def lost(self, ours: Answers, theirs: Answers, rows: Rows) -> Rows:
        """Return the rows that only the artifact gets wrong."""
        asked = self.images.select(ours, rows)
        return asked[(self.correct(theirs) & ~self.correct(ours))[asked]]

    def ranking(self, unit: Unit) -> Ranking:
        """Return the order in which other steps of the run are named."""
        return BY_ACCURACY


@dataclass(frozen=True, kw_only=True)
class AreaMargin(MarginRule):
    """Compares areas under the ROC curve: of the positive class, or of each of several classes."""

    def compare(self, ours: Answers, theirs: Answers, rows: Rows, margin: float) -> Comparison:
        classes = ours.scores.shape[1]
        columns = [ours.positive] if classes == 2 else list(range(classes))
        pair = ours.scores[rows], theirs.scores[rows]
        patients = ours.patients_of(rows)
        return compare_auc(*pair, ours.labels[rows], columns, margin, patients)


@dataclass(frozen=True)
class LimitResult:
    """A figure held against a limit."""

    verdict: Verdict
    value: float
    interval: Estimate | None = None
    needs_images: int | None = None
    """Images that would decide it, where they can be computed."""
    tested: int | None = None
    """Images that it was asked of, where those are not all test images."""


@dataclass(frozen=True, kw_only=True)
class LimitRule(ABC):
    """How a figure is held against a limit, whatever the artifact is compared with."""

    bound: ClassVar[str]
    """`at most`, or `at least`."""
    missed: ClassVar[str]
    """What stands between the amount that is missing and the bound."""
    plot: ClassVar[Plot]

    advice: str = _IMPROVE
    """What to try after a failure."""
    more: str = "Add test images."
    """What to try where it is open."""
    images: AskedImages = ALL_IMAGES
    needs_teacher: bool = False
    """Whether it cannot be asked without a teacher."""

    @abstractmethod
    def check(self, ours: Answers, teacher: Answers | None, limit: float) -> LimitResult:
        """Hold an artifact against a limit; `teacher` is there where the rule needs one.

        Raises:
            PupilaError: why it cannot be.
        """

    def wrong(self, ours: Answers, teacher: Answers | None) -> Rows:
        """Return the rows that speak against the artifact."""
        return np.array([], np.int64)

    def note(self, ours: Side) -> str:
        """Return a last sentence about the figure."""
        return ""

    def ranking(self, unit: Unit) -> Ranking:
        """Return the order in which other steps of the run are named."""
        return BY_ACCURACY


@dataclass(frozen=True, kw_only=True)
class AtMost(LimitRule):
    """A cost that must not be larger than its limit."""

    bound = "at most"
    missed = "too much, as it may be"
    plot = "bar"

    cost: Callable[[Side], float]

    def check(self, ours: Answers, teacher: Answers | None, limit: float) -> LimitResult:
        cost = self.cost(ours.side)
        return LimitResult("pass" if cost <= limit else "fail", cost)

    def ranking(self, unit: Unit) -> Ranking:
        return Ranking(lambda side: -self.cost(side), lambda side: unit.value(self.cost(side)))


@dataclass(frozen=True, kw_only=True)
class AtLeast(LimitRule):
    """A fraction of the test images that must not be smaller than its limit, with its interval."""

    bound = "at least"
    missed = "too low, as it must be"
    plot = "interval"

    correct: Callable[[Answers, Answers | None], Bools]
    """Which of all images count, `(images,)`, by the answers of artifact and teacher."""

    def check(self, ours: Answers, teacher: Answers | None, limit: float) -> LimitResult:
        correct = self.correct(ours, teacher)
        checked = check_proportion(correct, limit, ours.patients)
        verdict: Verdict = "pass" if checked.above else "fail" if checked.below else "inconclusive"
        return LimitResult(
            verdict, checked.proportion.value, checked.proportion, checked.needs_images
        )

    def wrong(self, ours: Answers, teacher: Answers | None) -> Rows:
        return np.flatnonzero(~self.correct(ours, teacher))
