"""From what the models answered to the verdicts.

Three verdicts of a margin. *Pass*: a loss of the margin or more is rejected at 2.5 %. *Fail*: the
whole 95 % interval of the difference lies below the margin. *Inconclusive*: neither, and the
number of images that would tell. An artifact's verdict is the worst of its findings: since every
figure, group and artifact has to pass, no p-value is adjusted for their number (Berger 1982).

How one figure is compared or held against its limit is in `pupila_flows.gate.conditions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pupila.chance import check_chance
from pupila.errors import PupilaError
from pupila_flows.gate import messages
from pupila_flows.gate.answers import Answers
from pupila_flows.gate.comparing import comparisons, named
from pupila_flows.gate.conditions import FIDELITY, limit_rule
from pupila_flows.gate.external import on_external
from pupila_flows.gate.inputs import Case, Earlier, Question, Side
from pupila_flows.gate.rules import LimitRule, validation_accuracy
from pupila_flows.results import ArtifactVerdict, Finding, GateResult, Verdict, WrongImage

_NOTHING = "no step of this run is one to be judged: name some in `gate.steps`."
_TEACHER = "the teacher"


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
        patients=None if question.test.patients is None else len(set(question.test.patients)),
        anchor=question.anchor,
        published_manifest=question.published_manifest,
        reason=None if verdicts else _NOTHING,
        best=_nearest(question, verdicts),
    )


def _nearest(question: Question, verdicts: tuple[ArtifactVerdict, ...]) -> str | None:
    """Return what came nearest to a pass: fewest failures, fewest open questions, most accurate.

    Accuracy is that on the validation images: what is tried next must not be chosen by the test.
    """
    if not verdicts or any(verdict.verdict == "pass" for verdict in verdicts):
        return None
    judged = {case.entry: case.artifact for case in question.cases if case.artifact}

    def distance(verdict: ArtifactVerdict) -> tuple[int, int, float]:
        verdicts = [finding.verdict for finding in verdict.findings]
        accuracy = validation_accuracy(judged[verdict.entry]) or 0.0
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
        yield from _against_teacher(question, ours, case.teacher, section.margins.asked)
    for earlier in case.earlier:
        yield from _against_earlier(question, ours, case.entry, earlier)
    yield from (
        messages.ungrouped(column)
        for column in section.groups
        if not any(question.test.columns[column])
    )
    for field, limit in section.limits.asked.items():
        yield _limit_finding(question, case, ours, field, limit)
    if section.fidelity is not None and case.teacher is not None:
        yield _limit_finding(question, case, ours, FIDELITY.field, section.fidelity)
    yield from on_external(question, case)


def _above_chance(question: Question, case: Case) -> Iterator[Finding]:
    """Ask of the artifact, and of all that it is compared with, more than a coin would reach."""
    sides = [
        (None, case.artifact),
        (_name(case.teacher), case.teacher),
        *((each.role, each.artifact) for each in case.earlier),
    ]
    for against, side in sides:
        if side is not None:
            answers = Answers.of(question, side)
            found = check_chance(
                answers.scores,
                answers.labels,
                question.classes,
                question.positive,
                answers.patients,
            )
            yield messages.describe_chance(found, side, against)


def _name(side: Side | None) -> str | None:
    return side.name if side else None


def _against_teacher(
    question: Question, ours: Answers, teacher: Side | None, margins: Mapping[str, float]
) -> Iterator[Finding]:
    if teacher is None:
        yield from (messages.unasked(field, margins[field], None, _TEACHER) for field in margins)
    else:
        yield from _against(question, ours, teacher, teacher.name, margins)


def _against_earlier(
    question: Question, ours: Answers, entry: str, earlier: Earlier
) -> Iterator[Finding]:
    """Compare with a published version, unless it is that very artifact: then there is no loss."""
    margins = question.section.against_published.asked
    if not margins:
        return
    if earlier.artifact is not None:
        yield from _against(question, ours, earlier.artifact, earlier.role, margins)
    elif earlier.same:
        yield messages.unchanged(entry, earlier)
    else:
        yield messages.unpublished(entry, earlier)


def _against(
    question: Question, ours: Answers, other: Side, against: str, margins: Mapping[str, float]
) -> Iterator[Finding]:
    """Compare with one model on all test images, and on each group of them."""
    theirs = Answers.of(question, other, like=ours)
    for group in (None, *_groups(question)):
        yield from comparisons(question, ours, theirs, against, group, margins)


def _groups(question: Question) -> Iterator[tuple[str, str]]:
    """Yield each value of each column; no value is one too, where any image has one."""
    for column in question.section.groups:
        values = question.test.columns[column]
        for value in sorted(set(values)) if any(values) else ():
            yield column, value


def _limit_finding(
    question: Question, case: Case, ours: Answers, field: str, limit: float
) -> Finding:
    """Hold the artifact against one limit, whatever it is compared with."""
    rule = limit_rule(field)
    teacher = case.teacher if rule.needs_teacher else None
    if rule.needs_teacher and teacher is None:
        return messages.unasked(field, limit, None, _TEACHER)
    theirs = Answers.of(question, teacher, like=ours) if teacher else None
    try:
        result = rule.check(ours, theirs, limit)
    except PupilaError as error:
        return messages.unasked(field, limit, None, _TEACHER, str(error))
    finding = Finding(
        condition=field,
        against=teacher.name if teacher else None,
        verdict=result.verdict,
        value=result.value,
        interval=result.interval,
        limit=limit,
        needs_images=result.needs_images if result.verdict == "inconclusive" else None,
        tested=result.tested or len(question.test),
        images=() if result.verdict == "pass" else _wrong(question, ours, theirs, rule),
        text="",
    )
    return messages.describe_limit(finding, ours.side, question)


def _wrong(
    question: Question, ours: Answers, theirs: Answers | None, rule: LimitRule
) -> tuple[WrongImage, ...]:
    """Return validation images that speak against an artifact."""
    mine, other = ours.validation, theirs.validation if theirs else None
    if mine is None or (theirs and other is None):
        return ()
    given = other.chosen if other else None
    return named(question, mine, rule.wrong(mine, other), mine.chosen, given)
