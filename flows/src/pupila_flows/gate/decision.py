"""From what the models answered to the verdicts.

Three verdicts of a margin. *Pass*: a loss of the margin or more is rejected at 2.5 %. *Fail*: the
whole 95 % interval of the difference lies below the margin. *Inconclusive*: neither, and the
number of images that would tell. An artifact's verdict is the worst of its findings: since every
figure, group and artifact has to pass, no p-value is adjusted for their number (Berger 1982).

How one figure is compared or held against its limit is in `pupila_flows.gate.conditions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pupila.chance import check_chance
from pupila.errors import PupilaError
from pupila.noninferiority import Comparison
from pupila_flows.gate import messages
from pupila_flows.gate.answers import Answers, Rows
from pupila_flows.gate.conditions import limit_rule, margin_rule
from pupila_flows.gate.inputs import Case, Question, Side
from pupila_flows.gate.messages import PUBLISHED
from pupila_flows.results import ArtifactVerdict, Finding, GateResult, Verdict

_NOTHING = "no step of this run is one to be judged: name some in `gate.judges`."
_IMAGES = 24
"""Test images that are named with a finding, at most."""


def decide(question: Question) -> GateResult:
    """Return what the gate says of every case, and so of the run.

    Raises:
        PupilaError: predictions are gone, or do not belong to the test images.
    """
    verdicts = tuple(_verdict(question, case) for case in question.cases)
    return GateResult(
        verdict=_worst([verdict.verdict for verdict in verdicts]),
        artifacts=verdicts,
        published=question.published,
        published_manifest=question.published_manifest,
        reason=None if verdicts else _NOTHING,
        best=_nearest(question, verdicts),
    )


def _nearest(question: Question, verdicts: tuple[ArtifactVerdict, ...]) -> str | None:
    """Return what came nearest to a pass: fewest failures, fewest open questions, most accurate."""
    if not verdicts or any(verdict.verdict == "pass" for verdict in verdicts):
        return None
    judged = {case.entry: case.artifact for case in question.cases if case.artifact}

    def distance(verdict: ArtifactVerdict) -> tuple[int, int, float]:
        verdicts = [finding.verdict for finding in verdict.findings]
        accuracy = judged[verdict.entry].evaluation.metrics.accuracy.value
        return verdicts.count("fail"), verdicts.count("inconclusive"), -accuracy

    candidates = [verdict for verdict in verdicts if verdict.entry in judged]
    return min(candidates, key=distance).entry if candidates else None


def _worst(verdicts: list[Verdict]) -> Verdict:
    """Return the worst; a gate that was asked nothing is not passed."""
    if "fail" in verdicts or not verdicts:
        return "fail"
    return "inconclusive" if "inconclusive" in verdicts else "pass"


def _verdict(question: Question, case: Case) -> ArtifactVerdict:
    asked = tuple(_findings(question, case)) or (messages.nothing_asked(case.entry),)
    findings = (*asked, *_above_chance(question, case))
    return ArtifactVerdict(
        entry=case.entry,
        verdict=_worst([finding.verdict for finding in findings]),
        made=case.made,
        findings=findings,
    )


def _findings(question: Question, case: Case) -> Iterator[Finding]:
    if case.error or case.artifact is None:
        reason = case.error or "it was not judged"
        yield messages.broken(case.entry, reason)
    if case.artifact is None:
        return
    section = question.section
    ours = Answers.of(question, case.artifact)
    if section.margins.asked:
        yield from _against(question, ours, case.teacher, "the teacher", section.margins.asked)
    yield from _against_published(question, ours, case)
    yield from (
        messages.ungrouped(column) for column in section.by if not any(question.columns[column])
    )
    for field, limit in section.limits.asked.items():
        yield _limit_finding(question, case, ours, field, limit)


def _above_chance(question: Question, case: Case) -> Iterator[Finding]:
    """Ask of the artifact, and of all that it is compared with, more than a coin would reach."""
    sides = (
        (None, case.artifact),
        (_name(case.teacher), case.teacher),
        (PUBLISHED, case.incumbent),
    )
    for against, side in sides:
        if side is not None:
            answers = Answers.of(question, side)
            found = check_chance(
                answers.scores, answers.labels, question.classes, question.positive
            )
            yield messages.describe_chance(found, side, against, question)


def _name(side: Side | None) -> str | None:
    return side.name if side else None


def _against_published(question: Question, ours: Answers, case: Case) -> Iterator[Finding]:
    """Compare with what is published, unless it is that very artifact: then there is no loss."""
    margins = question.section.against_published.asked
    if not margins:
        return
    if case.incumbent is not None:
        yield from _against(question, ours, case.incumbent, PUBLISHED, margins)
    elif case.standing == "same":
        yield messages.unchanged(case.entry, question)
    elif case.standing == "missing":
        yield messages.unpublished(case.entry, question)


def _against(
    question: Question, ours: Answers, other: Side | None, whom: str, margins: Mapping[str, float]
) -> Iterator[Finding]:
    """Compare with one model on all test images, and on each group of them."""
    if other is None:
        yield from (messages.unasked(field, margins[field], None, whom) for field in margins)
        return
    against = PUBLISHED if whom == PUBLISHED else other.name
    theirs = Answers.of(question, other)
    every = np.arange(len(question.labels))
    for group, rows in [(None, every), *_groups(question)]:
        yield from _comparisons(question, ours, theirs, against, group, rows, margins)


def _groups(question: Question) -> Iterator[tuple[str, Rows]]:
    """Yield the images of each value; those without one are a group too, where any has one."""
    for column in question.section.by:
        values = np.array(question.columns[column])
        for value in sorted(set(values.tolist())) if any(values) else ():
            group = f"{column} = {value}" if value else f"{column} is not given"
            yield group, np.flatnonzero(values == value)


def _comparisons(
    question: Question,
    ours: Answers,
    theirs: Answers,
    against: str,
    group: str | None,
    rows: Rows,
    margins: Mapping[str, float],
) -> Iterator[Finding]:
    """Compare each figure by itself."""
    for field, margin in margins.items():
        rule = margin_rule(field)
        try:
            comparison = rule.compare(ours, theirs, rows, margin)
        except PupilaError as error:
            yield messages.unasked(field, margin, group, against, str(error))
            continue
        verdict = _margin_verdict(comparison)
        finding = Finding(
            condition=field,
            against=against,
            group=group,
            verdict=verdict,
            value=comparison.new,
            other=comparison.reference,
            difference=comparison.difference,
            limit=margin,
            p_value=comparison.p_value,
            needs_images=comparison.needs_images if verdict == "inconclusive" else None,
            tested=len(rule.images.select(ours, rows)),
            images=()
            if verdict == "pass"
            else _named(question, ours, rule.lost(ours, theirs, rows)),
            text="",
        )
        yield messages.describe_comparison(finding, ours, theirs, rows, question)


def _margin_verdict(comparison: Comparison) -> Verdict:
    if comparison.worse:
        return "fail"
    return "pass" if comparison.shown else "inconclusive"


def _limit_finding(
    question: Question, case: Case, ours: Answers, field: str, limit: float
) -> Finding:
    """Hold the artifact against one limit, whatever it is compared with."""
    rule = limit_rule(field)
    teacher = case.teacher if rule.needs_teacher else None
    if rule.needs_teacher and teacher is None:
        return messages.unasked(field, limit, None, "the teacher")
    result = rule.check(ours, Answers.of(question, teacher) if teacher else None, limit)
    finding = Finding(
        condition=field,
        against=teacher.name if teacher else None,
        verdict=result.verdict,
        value=result.value,
        interval=result.interval,
        limit=limit,
        needs_images=result.needs_images if result.verdict == "inconclusive" else None,
        tested=len(question.images),
        images=() if result.verdict == "pass" else _named(question, ours, result.wrong),
        text="",
    )
    return messages.describe_limit(finding, ours.side, question)


def _named(question: Question, ours: Answers, rows: Rows) -> tuple[str, ...]:
    """Return the paths of some test images, first those that the artifact gets most wrong."""
    order = np.argsort(ours.truth_scores[rows], kind="stable")
    worst: list[int] = rows[order].tolist()
    return tuple(question.images[row] for row in worst[:_IMAGES])
