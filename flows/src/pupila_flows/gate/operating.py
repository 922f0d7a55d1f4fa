"""Chooses the thresholds at which two models are compared, by the same rule for both.

An artifact uses the threshold that ships with the artifact. If no threshold ships, the artifact
uses the threshold that reaches `evaluate.specificity` on the validation images. The model that the
artifact is compared with uses the threshold that the *same rule* gives on the same validation
images, even if another threshold ships with that model. So a model compared with itself shows no
difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import ThresholdRule
from pupila.errors import PupilaError
from pupila.metrics import choose_threshold
from pupila_flows.gate.inputs import GateInputs, GateModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AppliedThreshold:
    """The lowest probability at which a model calls an image positive, and how it was chosen."""

    column: int
    """Column of the class whose probability is compared with the threshold."""
    rule: ThresholdRule | None
    """Rule by which the threshold is chosen; None if unknown, or if no rule can be applied."""
    value: float | None
    """The threshold as a probability; None if the model has no threshold."""
    ships: bool
    """Whether the artifact ships a threshold. With two classes, it decides every prediction."""
    origin: str
    """Words for the threshold in a sentence, such as `its shipped threshold`."""
    reason: str = ""
    """Why the model has no threshold; empty if it has one."""

    def calls(self, scores: Floats, positive: int) -> NDArray[np.bool_]:
        """Return whether each image is called positive, `(images,)`.

        `scores` are probabilities `(images, classes)`, and `positive` is the column of the positive
        class.

        Raises:
            PupilaError: there is no threshold; the message is `reason`.
        """
        if self.value is None:
            raise PupilaError(self.reason)
        called = np.clip(scores[:, self.column], 0, 1) >= self.value
        return called if self.column == positive else ~called


def own_threshold(
    inputs: GateInputs, model: GateModel, validation: Floats | None
) -> AppliedThreshold:
    """Return an artifact's threshold: the one that ships, or one chosen on validation images.

    `validation` holds the artifact's probabilities for the validation images, `(images, classes)`.
    """
    shipped, classes = model.threshold, inputs.classes
    if not inputs.positive:
        reason = f"{model.name!r} has no threshold: the task {inputs.task} has none."
        return AppliedThreshold(0, None, None, ships=False, origin="", reason=reason)
    # with two classes, a threshold for the other one works too
    known = [inputs.positive] if len(classes) > 2 else classes
    if shipped and shipped.positive in known:
        column = classes.index(shipped.positive)
        of = "" if shipped.positive == inputs.positive else f" for {shipped.positive!r}"
        origin = f"its shipped threshold{of}"
        return AppliedThreshold(column, shipped.rule, shipped.value, ships=True, origin=origin)
    column = classes.index(inputs.positive)
    rule = _default_rule(inputs, column)
    threshold = AppliedThreshold(
        column, rule, None, ships=False, origin="the threshold chosen on the validation images"
    )
    return _choose(inputs, threshold, model, validation)


def matching_threshold(
    inputs: GateInputs,
    model: GateModel,
    validation: Floats | None,
    ours: AppliedThreshold,
    artifact: str,
) -> AppliedThreshold:
    """Return the threshold of a model, chosen by the rule of the artifact it is compared with.

    `ours` is the threshold of the artifact, and `artifact` is the artifact's name. `validation`
    holds the model's probabilities for the validation images, `(images, classes)`.
    """
    if not inputs.positive:
        return own_threshold(inputs, model, validation)
    threshold = replace(ours, value=None, origin="the threshold that the same rule gives it")
    own = model.threshold
    if ours.rule is None and ours.ships:
        return replace(
            threshold,
            reason=f"{artifact!r} ships a threshold without a rule that says how it was chosen, so "
            f"{model.name!r} has no matching one: make it by a step `threshold`.",
        )
    if own and own.rule == ours.rule and own.positive == inputs.classes[ours.column]:
        return replace(threshold, value=own.value)
    there = inputs.validation
    if ours.ships and ours.rule and there and ours.rule.images != there.fingerprint:
        return replace(
            threshold,
            reason=f"{artifact!r} ships a threshold that was not chosen on the validation images "
            f"of this run, so {model.name!r} has no matching one: choose it on all of these.",
        )
    if own and _aim(own.rule) != _aim(ours.rule):
        origin = f"{threshold.origin} (it ships {own.value:.3f}, by another rule)"
        threshold = replace(threshold, origin=origin)
    return _choose(inputs, threshold, model, validation)


def _aim(rule: ThresholdRule | None) -> tuple[str, float] | None:
    return (rule.figure, rule.target) if rule else None


def _default_rule(inputs: GateInputs, column: int) -> ThresholdRule | None:
    """Return the rule for an artifact that ships no threshold.

    Return None unless there are validation images both of the class at `column` and of others.
    """
    images = inputs.validation
    if images is None:
        return None
    positives = sum(label == column for label in images.labels)
    if not 0 < positives < len(images):
        return None
    return ThresholdRule(
        figure="specificity",
        target=inputs.specificity,
        split="validation",
        images=images.fingerprint,
        positives=positives,
        others=len(images) - positives,
    )


def _choose(
    inputs: GateInputs, threshold: AppliedThreshold, model: GateModel, validation: Floats | None
) -> AppliedThreshold:
    """Return a threshold with the value that its rule chooses, or with the reason for none."""
    if threshold.rule is None or validation is None or inputs.validation is None:
        return replace(
            threshold,
            reason=f"No threshold of {model.name!r} could be chosen without validation images "
            f"of both classes. Add some, or leave `sensitivity` and `specificity` out.",
        )
    scores = np.clip(validation[:, threshold.column], 0, 1)
    is_positive = np.array(inputs.validation.labels) == threshold.column
    try:
        return replace(threshold, value=choose_threshold(scores, is_positive, threshold.rule))
    except PupilaError as error:
        return replace(threshold, reason=f"{model.name!r}: {error}")
