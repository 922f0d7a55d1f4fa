"""Turns the models' predictions into verdicts.

A metric with a margin gets one of three verdicts. *Pass*: a statistical test at the level 2.5 %
rejects the hypothesis that the loss is the margin or more. *Fail*: the whole 95 % interval of the
difference is a loss larger than the margin. *Inconclusive*: neither is the case; the finding says
with how many test images it would be decided. An artifact's verdict is the worst of its findings.
Since every metric, group and artifact has to pass, p-values are not adjusted for the number of
tests (Berger 1982).

The rules for each metric are in `pupila_flows.gate.conditions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pupila.errors import PupilaError
from pupila_flows.gate import messages
from pupila_flows.gate.comparing import compare_metrics, describe_images
from pupila_flows.gate.conditions import FIDELITY, limit_rule
from pupila_flows.gate.external import check_external
from pupila_flows.gate.inputs import Case, GateInputs, GateModel, Incumbent
from pupila_flows.gate.predictions import ModelPredictions
from pupila_flows.gate.rules import LimitRule, validation_accuracy
from pupila_flows.results import ArtifactVerdict, Finding, GateResult, Verdict, WrongImage

_NOTHING = "this run has no step for the gate to evaluate: name some in `gate.steps`."
_TEACHER = "the teacher"


def decide(inputs: GateInputs) -> GateResult:
    """Return the gate's verdict on each artifact in `inputs.cases`, and on the run.

    Raises:
        PupilaError: predictions are missing, or do not belong to the test images.
    """
    verdicts = tuple(_verdict(inputs, case) for case in inputs.cases)
    return GateResult(
        verdict=_worst([verdict.verdict for verdict in verdicts]),
        artifacts=verdicts,
        published=inputs.published,
        patients=None if inputs.test.patients is None else len(set(inputs.test.patients)),
        anchor=inputs.anchor,
        task=inputs.task,
        published_manifest=inputs.published_manifest,
        reason=None if verdicts else _NOTHING,
        best=_closest(inputs, verdicts),
    )


def _closest(inputs: GateInputs, verdicts: tuple[ArtifactVerdict, ...]) -> str | None:
    """Return the entry that came closest to a pass; None if an artifact passed.

    It has the fewest failures, then the fewest inconclusive findings, then the highest accuracy on
    the validation images. Test images must not decide what is tried next.
    """
    if not verdicts or any(verdict.verdict == "pass" for verdict in verdicts):
        return None
    models = {case.entry: case.artifact for case in inputs.cases if case.artifact}

    def distance(verdict: ArtifactVerdict) -> tuple[int, int, float]:
        verdicts = [finding.verdict for finding in verdict.findings]
        accuracy = validation_accuracy(models[verdict.entry]) or 0.0
        return verdicts.count("fail"), verdicts.count("inconclusive"), -accuracy

    candidates = [verdict for verdict in verdicts if verdict.entry in models]
    return min(candidates, key=distance).entry if candidates else None


def _worst(verdicts: list[Verdict]) -> Verdict:
    """Return the worst verdict; `fail` if there are none."""
    if "fail" in verdicts or not verdicts:
        return "fail"
    return "inconclusive" if "inconclusive" in verdicts else "pass"


def _verdict(inputs: GateInputs, case: Case) -> ArtifactVerdict:
    checked = tuple(_findings(inputs, case)) or (messages.no_conditions(case.entry),)
    findings = (*checked, *_above_chance(inputs, case))
    return ArtifactVerdict(
        entry=case.entry,
        verdict=_worst([finding.verdict for finding in findings]),
        made=case.made,
        findings=findings,
    )


def _findings(inputs: GateInputs, case: Case) -> Iterator[Finding]:
    if case.error or case.artifact is None:
        reason = case.error or "it was not evaluated"
        yield messages.broken(case.entry, reason)
    if case.artifact is None:
        return
    section = inputs.section
    ours = ModelPredictions.of(inputs, case.artifact)
    if section.margins.asked:
        yield from _against_teacher(inputs, ours, case.teacher, section.margins.asked)
    for incumbent in case.incumbents:
        yield from _against_incumbent(inputs, ours, case.entry, incumbent)
    yield from (
        messages.empty_column(column)
        for column in section.groups
        if not any(inputs.test.columns[column])
    )
    for field, limit in section.limits.asked.items():
        yield _limit_finding(inputs, case, ours, field, limit)
    if section.fidelity is not None and case.teacher is not None:
        yield _limit_finding(inputs, case, ours, FIDELITY.field, section.fidelity)
    yield from check_external(inputs, case)


def _above_chance(inputs: GateInputs, case: Case) -> Iterator[Finding]:
    """Check that the artifact, and each model it is compared with, is above chance."""
    sides = [
        (None, case.artifact),
        (_name(case.teacher), case.teacher),
        *((incumbent.role, incumbent.artifact) for incumbent in case.incumbents),
    ]
    for against, model in sides:
        if model is not None:
            predictions = ModelPredictions.of(inputs, model)
            check = predictions.chance()
            if check:
                yield messages.describe_chance(check, model, against)


def _name(model: GateModel | None) -> str | None:
    return model.name if model else None


def _against_teacher(
    inputs: GateInputs,
    ours: ModelPredictions,
    teacher: GateModel | None,
    margins: Mapping[str, float],
) -> Iterator[Finding]:
    if teacher is None:
        yield from (
            messages.not_comparable(field, margin, inputs.task, None, _TEACHER)
            for field, margin in margins.items()
        )
    else:
        yield from _against(inputs, ours, teacher, teacher.name, margins)


def _against_incumbent(
    inputs: GateInputs, ours: ModelPredictions, entry: str, incumbent: Incumbent
) -> Iterator[Finding]:
    """Compare with a published version, or pass if it has the same artifact."""
    margins = inputs.section.against_published.asked
    if not margins:
        return
    if incumbent.artifact is not None:
        yield from _against(inputs, ours, incumbent.artifact, incumbent.role, margins)
    elif incumbent.same:
        yield messages.unchanged(entry, incumbent)
    else:
        yield messages.unpublished(entry, incumbent)


def _against(
    inputs: GateInputs,
    ours: ModelPredictions,
    other: GateModel,
    against: str,
    margins: Mapping[str, float],
) -> Iterator[Finding]:
    """Compare with another model on all test images, then on each group of test images."""
    theirs = ModelPredictions.of(inputs, other, like=ours)
    for group in (None, *_groups(inputs)):
        yield from compare_metrics(inputs, ours, theirs, against, group, margins)


def _groups(inputs: GateInputs) -> Iterator[tuple[str, str]]:
    """Yield column and value of each group; skip empty columns.

    In other columns, the images without a value are a group too.
    """
    for column in inputs.section.groups:
        values = inputs.test.columns[column]
        for value in sorted(set(values)) if any(values) else ():
            yield column, value


def _limit_finding(
    inputs: GateInputs, case: Case, ours: ModelPredictions, field: str, limit: float
) -> Finding:
    """Compare the artifact with one limit."""
    rule = limit_rule(field)
    teacher = case.teacher if rule.needs_teacher else None
    if rule.needs_teacher and teacher is None:
        return messages.not_comparable(field, limit, inputs.task, None, _TEACHER)
    theirs = ModelPredictions.of(inputs, teacher, like=ours) if teacher else None
    try:
        result = rule.check(ours, theirs, limit)
    except PupilaError as error:
        return messages.not_comparable(field, limit, inputs.task, None, _TEACHER, str(error))
    finding = Finding(
        condition=field,
        against=teacher.name if teacher else None,
        verdict=result.verdict,
        value=result.value,
        interval=result.interval,
        limit=limit,
        needs_images=result.needs_images if result.verdict == "inconclusive" else None,
        tested=result.tested or len(inputs.test),
        images=() if result.verdict == "pass" else _wrong(inputs, ours, theirs, rule),
        text="",
    )
    return messages.describe_limit(finding, ours.model, inputs)


def _wrong(
    inputs: GateInputs, ours: ModelPredictions, theirs: ModelPredictions | None, rule: LimitRule
) -> tuple[WrongImage, ...]:
    """Return the validation images that count against an artifact."""
    mine, other = ours.validation, theirs.validation if theirs else None
    if mine is None or (theirs and other is None):
        return ()
    others = other.answers if other else None
    return describe_images(inputs, mine, rule.wrong(mine, other), mine.answers, others)
