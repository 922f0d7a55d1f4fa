"""Compares what two models answer to the same images, figure by figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pupila.errors import PupilaError
from pupila.noninferiority import Comparison
from pupila_flows.gate import messages
from pupila_flows.gate.answers import Answers, Rows
from pupila_flows.gate.conditions import margin_rule
from pupila_flows.gate.inputs import Images, Question
from pupila_flows.gate.rules import MarginRule
from pupila_flows.results import Finding, Verdict, WrongImage

_IMAGES = 24
"""Validation images that are named with a finding, at most."""


def _rows(images: Images | None, group: tuple[str, str] | None) -> Rows:
    """Return which images belong to a group; all of them where it is None."""
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


def comparisons(
    question: Question,
    ours: Answers,
    theirs: Answers,
    against: str,
    group: tuple[str, str] | None,
    margins: Mapping[str, float],
    external: str | None = None,
) -> Iterator[Finding]:
    """Compare each figure by itself, on the images of `question.test` or a group of them.

    With `external` these are the images of another place, by its name.
    """
    rows = _rows(question.test, group)
    for field, margin in margins.items():
        rule = margin_rule(field)
        try:
            comparison = rule.compare(ours, theirs, rows, margin)
        except PupilaError as error:
            yield messages.unasked(field, margin, _title(group), against, str(error), external)
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
            else _lost(question, ours, theirs, rule, group),
            text="",
        )
        yield messages.describe_comparison(finding, ours, theirs, rows, question)


def _margin_verdict(comparison: Comparison) -> Verdict:
    if comparison.inferior:
        return "fail"
    return "pass" if comparison.noninferior else "inconclusive"


def _lost(
    question: Question,
    ours: Answers,
    theirs: Answers,
    rule: MarginRule,
    group: tuple[str, str] | None,
) -> tuple[WrongImage, ...]:
    """Return validation images that only the artifact gets wrong."""
    mine, other = ours.validation, theirs.validation
    if mine is None or other is None:
        return ()
    rows = rule.lost(mine, other, _rows(question.validation, group))
    return named(question, mine, rows, rule.given(mine), rule.given(other))


def named(
    question: Question, ours: Answers, rows: Rows, answers: Rows, others: Rows | None
) -> tuple[WrongImage, ...]:
    """Describe some validation images, first those that the artifact gets most wrong."""
    images, classes = question.validation, question.classes
    if images is None:
        return ()
    order = np.argsort(ours.truth_scores[rows], kind="stable")
    worst: list[int] = rows[order].tolist()

    def name(answers: Rows, row: int) -> str:
        return classes[int(answers[row])]

    return tuple(
        WrongImage(
            path=images.paths[row],
            truth=classes[images.labels[row]],
            answer=name(answers, row),
            other=None if others is None else name(others, row),
        )
        for row in worst[:_IMAGES]
    )
