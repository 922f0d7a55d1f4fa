"""Compares two models on the same images, one metric at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pupila.errors import PupilaError
from pupila.noninferiority import Comparison
from pupila_flows.gate import messages
from pupila_flows.gate.conditions import margin_rule
from pupila_flows.gate.inputs import GateInputs, Images
from pupila_flows.gate.predictions import ModelPredictions, Rows
from pupila_flows.gate.rules import MarginRule
from pupila_flows.results import Finding, Verdict, WrongImage

_IMAGES = 24
"""Maximum number of validation images shown with a finding."""


def _rows(images: Images | None, group: tuple[str, str] | None) -> Rows:
    """Return the rows of the images in a group, or of all images if `group` is None."""
    if images is None:
        return np.array([], np.int64)
    if group is None:
        return np.arange(len(images))
    column, value = group
    return np.flatnonzero(np.array(images.columns[column]) == value)


def _title(group: tuple[str, str] | None) -> str | None:
    if group is None:
        return None
    column, value = group
    return f"{column} = {value}" if value else f"{column} is not given"


def compare_metrics(
    inputs: GateInputs,
    ours: ModelPredictions,
    theirs: ModelPredictions,
    against: str,
    group: tuple[str, str] | None,
    margins: Mapping[str, float],
    external: str | None = None,
) -> Iterator[Finding]:
    """Compare an artifact with another model, and yield a finding for each metric in `margins`.

    `ours` holds the predictions of the artifact, and `theirs` those of the other model. `against`
    is the name of the other model in the findings. The images are those of `inputs.test`. If
    `group` is a column and a value, only the images with that value in that column count. If the
    images are an external set, `external` is its name.
    """
    rows = _rows(inputs.test, group)
    for field, margin in margins.items():
        rule = margin_rule(field)
        try:
            comparison = rule.compare(ours, theirs, rows, margin)
        except PupilaError as error:
            yield messages.not_comparable(
                field, margin, inputs.task, _title(group), against, str(error), external
            )
            continue
        verdict = _margin_verdict(comparison)
        finding = Finding(
            condition=field,
            against=against,
            group=_title(group),
            external=external,
            verdict=verdict,
            value=comparison.new,
            other=comparison.reference,
            difference=comparison.difference,
            limit=margin,
            p_value=comparison.p_value,
            needs_images=comparison.needs_images if verdict == "inconclusive" else None,
            tested=len(rule.images.select(ours, rows)),
            images=()
            if verdict == "pass" or external
            else _newly_wrong(inputs, ours, theirs, rule, group),
            text="",
        )
        yield messages.describe_comparison(finding, ours, theirs, rows, inputs)


def _margin_verdict(comparison: Comparison) -> Verdict:
    if comparison.inferior:
        return "fail"
    return "pass" if comparison.noninferior else "inconclusive"


def _newly_wrong(
    inputs: GateInputs,
    ours: ModelPredictions,
    theirs: ModelPredictions,
    rule: MarginRule,
    group: tuple[str, str] | None,
) -> tuple[WrongImage, ...]:
    """Return the validation images that count against the artifact, by `MarginRule.newly_wrong`."""
    mine, other = ours.validation, theirs.validation
    if mine is None or other is None:
        return ()
    rows = rule.newly_wrong(mine, other, _rows(inputs.validation, group))
    return describe_images(inputs, mine, rows, rule.predicted(mine), rule.predicted(other))


def describe_images(
    inputs: GateInputs,
    ours: ModelPredictions,
    rows: Rows,
    predicted: Sequence[str],
    others: Sequence[str] | None,
) -> tuple[WrongImage, ...]:
    """Describe the validation images in `rows`, at most the first 24.

    `predicted` has the artifact's answer to each validation image in words, `(images,)`. `others`
    has the answers of another model; it is None without another model.
    """
    images = inputs.validation
    if images is None:
        return ()
    first: list[int] = rows[:_IMAGES].tolist()
    return tuple(
        WrongImage(
            path=images.paths[row],
            truth=ours.truth(row),
            answer=predicted[row],
            other=None if others is None else others[row],
        )
        for row in first
    )
