"""From what the models answered to the verdicts.

Three verdicts of a margin. *Pass*: a loss of the margin or more is rejected at 2.5 %, also after
Holm's adjustment over the figures asked of the same images against the same model. *Fail*: the
whole 95 % interval of the difference lies below the margin. *Inconclusive*: neither, and the
number of images that would tell. An artifact's verdict is the worst of its findings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.noninferiority import (
    LEVEL,
    Comparison,
    check_limit,
    compare_areas,
    compare_proportions,
    holm,
)
from pupila_flows.gate import messages as words
from pupila_flows.gate.inputs import Case, Question, Side, probabilities
from pupila_flows.gate.messages import PUBLISHED
from pupila_flows.results import ArtifactVerdict, Finding, GateResult, Verdict

_NOTHING = "no step of this run is one to be judged: name some in `gate.judges`."
_IMAGES = 24
"""Test images that are named with a finding, at most."""

Rows = NDArray[np.int64]


def decide(question: Question) -> GateResult:
    """Return what the gate says of every case, and so of the run.

    Raises:
        PupilaError: predictions are gone, or do not belong to the test images.
    """
    verdicts = tuple(_verdict(question, case) for case in question.cases)
    return GateResult(
        verdict=_worst([each.verdict for each in verdicts]),
        artifacts=verdicts,
        published=question.published,
        published_manifest=question.published_manifest,
        reason=None if verdicts else _NOTHING,
        best=_nearest(question, verdicts),
    )


def _nearest(question: Question, verdicts: tuple[ArtifactVerdict, ...]) -> str | None:
    """Return what came nearest to a pass: fewest failures, fewest open questions, most accurate."""
    if not verdicts or any(each.verdict == "pass" for each in verdicts):
        return None
    judged = {case.entry: case.artifact for case in question.cases if case.artifact}

    def distance(each: ArtifactVerdict) -> tuple[int, int, float]:
        found = [finding.verdict for finding in each.findings]
        accuracy = judged[each.entry].evaluation.metrics.accuracy.value
        return found.count("fail"), found.count("inconclusive"), -accuracy

    candidates = [each for each in verdicts if each.entry in judged]
    return min(candidates, key=distance).entry if candidates else None


def _worst(verdicts: list[Verdict]) -> Verdict:
    """Return the worst; a gate that was asked nothing is not passed."""
    if "fail" in verdicts or not verdicts:
        return "fail"
    return "inconclusive" if "inconclusive" in verdicts else "pass"


def _verdict(question: Question, case: Case) -> ArtifactVerdict:
    findings = tuple(_findings(question, case)) or (words.nothing_asked(case.entry),)
    return ArtifactVerdict(
        entry=case.entry,
        verdict=_worst([each.verdict for each in findings]),
        made=case.made,
        findings=findings,
    )


def _findings(question: Question, case: Case) -> Iterator[Finding]:
    if case.error or case.artifact is None:
        reason = case.error or "it was not judged"
        yield words.broken(case.entry, reason)
    if case.artifact is None:
        return
    section = question.section
    told = _Answers.of(question, case.artifact)
    if section.margins.asked:
        yield from _against(question, told, case.teacher, "the teacher", section.margins.asked)
    yield from _against_published(question, told, case)
    yield from (
        words.ungrouped(column) for column in section.by if not any(question.columns[column])
    )
    yield from _limits(question, case, told)


def _against_published(question: Question, told: _Answers, case: Case) -> Iterator[Finding]:
    """Compare with what is published, unless it is that very artifact: then there is no loss."""
    margins = question.section.against_published.asked
    if not margins:
        return
    if case.incumbent is not None:
        yield from _against(question, told, case.incumbent, PUBLISHED, margins)
    elif case.standing == "same":
        yield words.unchanged(case.entry, question)
    elif case.standing == "missing":
        yield words.unpublished(case.entry, question)


@dataclass(frozen=True)
class _Answers:
    """What one model answers to the test images."""

    side: Side
    scores: NDArray[np.float64]
    labels: Rows
    column: int
    """Of the positive class."""
    called: NDArray[np.bool_] | None
    """Images called positive at the locked threshold; None where none was locked."""

    @classmethod
    def of(cls, question: Question, side: Side) -> _Answers:
        scores = probabilities(side, question)
        column, locked = question.classes.index(question.positive), side.locked(question.positive)
        called = scores[:, column] >= locked[0] if locked else None
        return cls(side, scores, np.array(question.labels, np.int64), column, called)

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.scores.argmax(axis=1) == self.labels

    def specificity(self, rows: Rows) -> float | None:
        """Return the part of the other images that is not called positive, at the threshold."""
        others = rows[self.labels[rows] != self.column]
        return (
            None if self.called is None or not len(others) else float((~self.called[others]).mean())
        )

    @property
    def of_truth(self) -> NDArray[np.float64]:
        """Probability that each image is given of its true class."""
        return self.scores[np.arange(len(self.labels)), self.labels]


def _against(
    question: Question, told: _Answers, other: Side | None, whom: str, margins: dict[str, float]
) -> Iterator[Finding]:
    """Compare with one model on all test images, and on each group of them."""
    if other is None:
        yield from (words.unasked(name, margin, None, whom) for name, margin in margins.items())
        return
    against = PUBLISHED if whom == PUBLISHED else other.name
    theirs = _Answers.of(question, other)
    every = np.arange(len(question.labels))
    for group, rows in [(None, every), *_groups(question)]:
        yield from _compared(question, told, theirs, against, group, rows, margins)


def _groups(question: Question) -> Iterator[tuple[str, Rows]]:
    """Yield the images of each value; those without one are a group too, where any has one."""
    for column in question.section.by:
        values = np.array(question.columns[column])
        for value in sorted(set(values.tolist())) if any(values) else ():
            group = f"{column} = {value}" if value else f"{column} is not given"
            yield group, np.flatnonzero(values == value)


def _compared(
    question: Question,
    told: _Answers,
    theirs: _Answers,
    against: str,
    group: str | None,
    rows: Rows,
    margins: dict[str, float],
) -> Iterator[Finding]:
    """Compare each figure; those that can be are adjusted together."""
    found: dict[str, Comparison] = {}
    missing: dict[str, str] = {}
    for name, margin in margins.items():
        try:
            found[name] = _comparison(name, told, theirs, rows, margin, len(margins))
        except PupilaError as error:
            missing[name] = str(error)
    adjusted = dict(zip(found, holm([each.p_value for each in found.values()]), strict=True))
    for name, margin in margins.items():
        if name in missing:
            yield words.unasked(name, margin, group, against, missing[name])
            continue
        verdict = _of(found[name], adjusted[name])
        finding = Finding(
            condition=name,
            against=against,
            group=group,
            verdict=verdict,
            value=found[name].new,
            other=found[name].reference,
            difference=found[name].difference,
            limit=margin,
            p_value=found[name].p_value,
            adjusted=adjusted[name],
            needs_images=found[name].needs_images if verdict == "inconclusive" else None,
            images=() if verdict == "pass" else _lost(question, name, told, theirs, rows),
            text="",
        )
        asked = (
            int((told.labels[rows] == told.column).sum()) if name == "sensitivity" else len(rows)
        )
        reached = told.specificity(rows) if name == "sensitivity" else None
        yield words.explained(finding, told.side, theirs.side, asked, question, reached)


def _of(comparison: Comparison, adjusted: float) -> Verdict:
    if comparison.worse:
        return "fail"
    return "pass" if adjusted <= LEVEL else "inconclusive"


def _comparison(
    name: str, told: _Answers, theirs: _Answers, rows: Rows, margin: float, family: int
) -> Comparison:
    """Compare one figure; raise why it cannot be."""
    if name == "auc":
        classes = told.scores.shape[1]
        columns = [told.column] if classes == 2 else list(range(classes))
        pair = told.scores[rows], theirs.scores[rows]
        return compare_areas(*pair, told.labels[rows], columns, margin, family=family)
    if name == "accuracy":
        return compare_proportions(told.right[rows], theirs.right[rows], margin, family=family)
    ours, others = (_hits(each, rows) for each in (told, theirs))
    return compare_proportions(ours, others, margin, family=family)


def _hits(answers: _Answers, rows: Rows) -> NDArray[np.bool_]:
    """Return which of the positive images are called positive."""
    if answers.called is None:
        raise PupilaError(
            f"No threshold of {answers.side.name!r} was locked, as there are no validation images "
            f"of both classes: add some, or leave `sensitivity` out."
        )
    return answers.called[rows[answers.labels[rows] == answers.column]]


def _lost(
    question: Question, name: str, told: _Answers, theirs: _Answers, rows: Rows
) -> tuple[str, ...]:
    """Return the images that only the artifact gets wrong, first those it is surest of."""
    if name == "sensitivity" and told.called is not None and theirs.called is not None:
        lost = theirs.called & ~told.called & (told.labels == told.column)
    else:
        lost = theirs.right & ~told.right
    return _named(question, told, rows[lost[rows]])


def _named(question: Question, told: _Answers, rows: Rows) -> tuple[str, ...]:
    worst: list[int] = rows[np.argsort(told.of_truth[rows], kind="stable")].tolist()
    return tuple(question.images[row] for row in worst[:_IMAGES])


def _limits(question: Question, case: Case, told: _Answers) -> Iterator[Finding]:
    """Hold the artifact against what it must keep to, whatever it is compared with."""
    cost, limits = told.side.evaluation.cost, question.section.limits.asked
    costs = {"size_bytes": float(cost.size_bytes), "latency_ms": cost.latency.median_ms}
    for name, limit in limits.items():
        if name in costs:
            verdict: Verdict = "pass" if costs[name] <= limit else "fail"
            finding = Finding(
                condition=name, verdict=verdict, value=costs[name], limit=limit, text=""
            )
            yield words.kept(finding, told.side, question)
        elif name == "agreement" and case.teacher is None:
            yield words.unasked(name, limit, None, "the teacher")
        else:
            yield _part(question, case, told, name, limit)


def _part(question: Question, case: Case, told: _Answers, name: str, limit: float) -> Finding:
    """Hold a part of the test images against the least that is allowed."""
    teacher = case.teacher if name == "agreement" else None
    good = told.right
    if teacher is not None:
        theirs = probabilities(teacher, question).argmax(axis=1)
        good = told.scores.argmax(axis=1) == theirs
    found = check_limit(int(good.sum()), len(good), limit)
    verdict: Verdict = "pass" if found.shown else "fail" if found.worse else "inconclusive"
    finding = Finding(
        condition=name,
        against=teacher.name if teacher else None,
        verdict=verdict,
        value=found.part.value,
        interval=found.part,
        limit=limit,
        needs_images=found.needs_images if verdict == "inconclusive" else None,
        images=() if verdict == "pass" else _named(question, told, np.flatnonzero(~good)),
        text="",
    )
    return words.kept(finding, told.side, question)
