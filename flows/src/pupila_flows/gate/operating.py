"""At which threshold a model is read, so that two are read alike.

An artifact is read at the threshold that ships with it; where none does, at the one that the
validation images give for `evaluate.specificity`. What it is compared with is read at the threshold
that the *same rule* gives it on the same validation images, whatever it ships itself: so a model
that is compared with itself differs in nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import ThresholdRule
from pupila.errors import PupilaError
from pupila.metrics import choose_threshold
from pupila_flows.gate.inputs import Question, Side

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """From which probability on a model calls an image positive, and by what rule."""

    column: int
    """Of the class whose probability is compared."""
    rule: ThresholdRule | None
    value: float | None
    """The threshold; None where there is none, for `reason`."""
    ships: bool
    """Whether the artifact that is asked about ships one; then it decides every answer."""
    origin: str
    """What it is called in a sentence."""
    reason: str = ""

    def calls(self, scores: Floats, positive: int) -> NDArray[np.bool_]:
        """Tell which images are called positive, of probabilities `(images, classes)`.

        Raises:
            PupilaError: there is no threshold.
        """
        if self.value is None:
            raise PupilaError(self.reason)
        called = np.clip(scores[:, self.column], 0, 1) >= self.value
        return called if self.column == positive else ~called


def own_reading(question: Question, side: Side, validation: Floats | None) -> Reading:
    """Return how an artifact is read by itself; `validation` are its answers there."""
    shipped, classes = side.threshold, question.classes
    # of two classes, a threshold of the other one is a threshold too
    known = [question.positive] if len(classes) > 2 else classes
    if shipped and shipped.positive in known:
        column = classes.index(shipped.positive)
        of = "" if shipped.positive == question.positive else f" for {shipped.positive!r}"
        origin = f"its shipped threshold{of}"
        return Reading(column, shipped.rule, shipped.value, ships=True, origin=origin)
    column = classes.index(question.positive)
    rule = _usual(question, column)
    reading = Reading(
        column, rule, None, ships=False, origin="the threshold chosen on the validation images"
    )
    return _chosen(question, reading, side, validation)


def like_reading(
    question: Question, side: Side, validation: Floats | None, ours: Reading, artifact: str
) -> Reading:
    """Return how a model is read that is compared with an artifact, by the rule of that one."""
    reading = replace(ours, value=None, origin="the threshold that the same rule gives it")
    own = side.threshold
    if ours.rule is None and ours.ships:
        return replace(
            reading,
            reason=f"{artifact!r} ships a threshold of which only words say how it was chosen, so "
            f"{side.name!r} cannot be read at a like one: make it by a step `threshold`.",
        )
    if own and own.rule == ours.rule and own.positive == question.classes[ours.column]:
        return replace(reading, value=own.value)
    there = question.validation
    if ours.ships and ours.rule and there and ours.rule.images != there.fingerprint:
        return replace(
            reading,
            reason=f"{artifact!r} ships a threshold that other images chose than the validation "
            f"images of this run, so {side.name!r} cannot be read at a like one: choose it on "
            f"all of these.",
        )
    if own and _aim(own.rule) != _aim(ours.rule):
        origin = f"{reading.origin} (what it ships itself is {own.value:.3f}, of another rule)"
        reading = replace(reading, origin=origin)
    return _chosen(question, reading, side, validation)


def _aim(rule: ThresholdRule | None) -> tuple[str, float] | None:
    return (rule.figure, rule.target) if rule else None


def _usual(question: Question, column: int) -> ThresholdRule | None:
    """Return the rule where no threshold ships; None without validation images of both kinds."""
    images = question.validation
    if images is None:
        return None
    positives = sum(label == column for label in images.labels)
    if not 0 < positives < len(images):
        return None
    return ThresholdRule(
        figure="specificity",
        target=question.specificity,
        split="validation",
        images=images.fingerprint,
        positives=positives,
        others=len(images) - positives,
    )


def _chosen(question: Question, reading: Reading, side: Side, validation: Floats | None) -> Reading:
    """Give a reading the threshold that its rule chooses."""
    if reading.rule is None or validation is None or question.validation is None:
        return replace(
            reading,
            reason=f"No threshold of {side.name!r} was locked, as there are no validation images "
            f"of both classes: add some, or leave `sensitivity` and `specificity` out.",
        )
    scores = np.clip(validation[:, reading.column], 0, 1)
    is_positive = np.array(question.validation.labels) == reading.column
    try:
        return replace(reading, value=choose_threshold(scores, is_positive, reading.rule))
    except PupilaError as error:
        return replace(reading, reason=f"{side.name!r}: {error}")
