"""Chooses the operating threshold of a model on the validation images.

The model's files are copied unchanged. Use this technique as the last step before a model is
shipped: quantisation changes probabilities, and a threshold chosen before it would no longer fit.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, PupilaError, Step, StepResult, Threshold, ThresholdRule
from pupila.intervals import Floats
from pupila.measured import Measured
from pupila.metrics import check_answers, choose_threshold, operating_point
from pupila_threshold.config import Operating


def threshold(step: Step[Operating]) -> StepResult:
    """Copy a model, and add a threshold that is chosen on the validation images.

    The threshold reaches the sensitivity or the specificity that the settings ask for. The model
    predicts in the runtime of its format. `measured` has the sensitivity and specificity on the
    validation images. The two are optimistic, as the threshold was chosen on the same images.

    Raises:
        PupilaError: the data has no class `positive`; the positive class has no validation images,
            or all validation images are positive; or, at the requested specificity, no positive
            image is detected.
    """
    (model,), config = step.inputs, step.config
    images = step.split("validation")
    config.check_classes(images.classes)
    column = images.classes.index(config.positive)
    answers = step.predictions.of(model, images, step.progress)
    probabilities, truth = check_answers(answers, images.labels, images.classes, what="validation")
    scores, is_positive = np.clip(probabilities[:, column], 0, 1), truth == column
    _check_both_sides(is_positive, config.positive)
    figure, target = config.target
    rule = ThresholdRule(
        figure=figure,
        target=target,
        split="validation",
        images=images.fingerprint,
        positives=int(is_positive.sum()),
        others=int((~is_positive).sum()),
    )
    value = _choose(scores, is_positive, rule, config.positive)
    _copy(model, step.output)
    return StepResult.like(
        model,
        format=model.format,
        shipped=model.record.shipped,
        threshold=Threshold(
            positive=config.positive,
            value=value,
            chosen_on=rule.describe(config.positive),
            rule=rule,
        ),
        measured=Measured(
            operating_point(scores, is_positive, value, "validation", len(scores), images.patients)
        ),
    )


def _check_both_sides(is_positive: NDArray[np.bool_], positive: str) -> None:
    if is_positive.all() or not is_positive.any():
        raise PupilaError(
            f"A threshold cannot be chosen: of {len(is_positive)} validation images "
            f"{int(is_positive.sum())} are {positive!r}. Give validation images of it and of "
            f"another class."
        )


def _choose(
    scores: Floats, is_positive: NDArray[np.bool_], rule: ThresholdRule, positive: str
) -> float:
    value = choose_threshold(scores, is_positive, rule)
    if not (scores[is_positive] >= value).any():
        raise PupilaError(
            f"With a {rule.figure} of {rule.target!r} none of the {rule.positives} {rule.split} "
            f"images of {positive!r} is found: others have a probability of up to "
            f"{float(scores[~is_positive].max()):.4g}. Lower `specificity`, ask for a "
            f"`sensitivity`, or give a better model."
        )
    return value


def _copy(model: Artifact, output: Path) -> None:
    """Copy the model's files, some of which may be in folders."""
    for name in model.record.files:
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model.path / name, target)
