"""Findings as sentences: what was found, by how much, and what to try."""

from __future__ import annotations

from pupila.chance import ChanceCheck
from pupila.errors import join_names
from pupila.evaluation import Estimate
from pupila_flows.gate.conditions import (
    ANYTHING,
    CHANCE,
    COMPARISON,
    ELSEWHERE,
    GROUPS,
    RUNS,
    condition_of,
    limit_rule,
    margin_rule,
)
from pupila_flows.gate.inputs import GateInputs, GateModel, Incumbent
from pupila_flows.gate.predictions import ModelPredictions, Rows
from pupila_flows.gate.rules import ImageSubset, LimitRule, MarginRule
from pupila_flows.gate.units import Unit, percent
from pupila_flows.results import Finding, GateResult, Verdict

_OTHERS = 3
"""Maximum number of other steps that advice names."""
_EXTERNAL_ADVICE = (
    "It does not answer as its teacher does there: it learned something else. Try a student made "
    "of the first layers of its teacher, stronger alterations in training, or unlabelled images "
    "from elsewhere. If you choose a model by these images, the next verdict needs others."
)
_IT_WAS = "it, or what it was made from, was"


def notes(gate: GateResult) -> list[str]:
    """Return remarks that help to read the verdicts."""
    remarks: list[str] = []
    if reused := gate.reused_test_images:
        models = len(reused.answers)
        remarks.append(
            f"These test images have decided about {models:,} different "
            f"{'model' if models == 1 else 'models'} so far. If each were worse by exactly the "
            f"margin, at least one would pass with a probability of up to "
            f"{percent(reused.chance)}: that is for models with independent errors; with "
            f"similar errors it is less."
        )
    if gate.artifacts:
        remarks.append(
            "Tests and intervals treat every image as a different patient: the data has no column "
            "`patient`."
            if gate.patients is None
            else "Tests and intervals are by patient: the images are of "
            + ("one patient." if gate.patients == 1 else f"{gate.patients:,} patients.")
        )
    if gate.untraced:
        *others, last = gate.untraced
        names = f"{', '.join(others)} and {last}" if others else last
        remarks.append(
            f"Whether {names} saw test images in training is unknown: no record says which images "
            f"{'they, or what they were made from, were' if others else _IT_WAS} trained on. "
            "`pupila teacher add --trained-on IMAGES` records those of a teacher."
        )
    return remarks


def broken(entry: str, reason: str) -> Finding:
    """Return the finding that an artifact is missing, was not evaluated, or does not run."""
    return Finding(
        condition=RUNS.field,
        verdict="fail",
        value=0.0,
        limit=1.0,
        text=f"{entry} cannot be released: {reason}",
        advice="Fix that first: the log of the step says more.",
    )


def unchanged(entry: str, incumbent: Incumbent) -> Finding:
    """Return the finding that an artifact is identical to that of a published version."""
    return Finding(
        condition=COMPARISON.field,
        against=incumbent.role,
        verdict="pass",
        value=1.0,
        limit=1.0,
        text=f"{entry} is the same artifact as in {incumbent.called}: it loses nothing.",
    )


def unpublished(entry: str, incumbent: Incumbent) -> Finding:
    """Return the finding that a published version has no artifact named `entry`."""
    fix = (
        "`published: {}`" if incumbent.role == "published" else "`anchor: first` or another number"
    )
    return Finding(
        condition=COMPARISON.field,
        against=incumbent.role,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"{entry} could not be compared with {incumbent.called}, which has no artifact with "
        f"that name: it has {join_names(incumbent.names)}.",
        advice=f"If the step was renamed, give it its old name. If it is new, write {fix} into "
        f"the gate{_THEN[incumbent.role]}.",
    )


_THEN = {
    "published": " for one run: nothing is compared with what is published",
    "anchor": ": it is compared with that version",
}


def empty_column(column: str) -> Finding:
    """Return the finding that no test image has a value in a column of `gate.groups`."""
    return Finding(
        condition=GROUPS.field,
        group=column,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"Groups by {column} cannot be checked: no test image has a value in that column.",
        advice=f"Fill the column in for the test images, or leave `{column}` out of `gate.groups`.",
    )


def no_conditions(entry: str) -> Finding:
    """Return the finding that no condition could be checked on an artifact."""
    return Finding(
        condition=ANYTHING.field,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"Nothing was checked on {entry}, so nothing is shown.",
        advice="Give the gate `margins` or `limits`.",
    )


def not_comparable(
    field: str,
    limit: float,
    task: str,
    group: str | None,
    against: str,
    reason: str | None = None,
    external: str | None = None,
) -> Finding:
    """Return the inconclusive finding that a condition could not be checked."""
    why = reason or f"{against} is missing, so it has no evaluated model to compare with."
    finding = Finding(
        condition=field,
        against=against,
        group=group,
        external=external,
        verdict="inconclusive",
        value=0.0,
        limit=limit,
        text="",
        advice=f"Fix that, or leave `{field}` out of the gate.",
    )
    text = f"{_subject(finding, task)} could not be compared: {why}"
    return finding.model_copy(update={"text": text})


def describe_chance(
    check: ChanceCheck, model: GateModel, against: str | None, external: str | None = None
) -> Finding:
    """Return the finding on whether a model is above chance.

    `against` becomes the field `against` of the finding.

    The verdict is pass if the model is shown to be above chance. Otherwise, the verdict is
    inconclusive if the measured value is above chance or unknown, or if there are too few images.
    In all other cases, the verdict is fail.
    """
    is_open = check.reached is None or check.reached > check.chance or not check.has_enough_images
    verdict: Verdict = "pass" if check.above else "inconclusive" if is_open else "fail"
    finding = Finding(
        condition=CHANCE.field,
        against=against,
        external=external,
        verdict=verdict,
        value=check.reached or 0.0,
        limit=check.chance,
        text=f"{model.name} is {check.describe(external or 'test')}.",
    )
    return finding.model_copy(update={"advice": _advice_on_chance(check, verdict)})


def nothing_to_show(check: ChanceCheck, teacher: GateModel, external: str) -> Finding:
    """Return the finding that a teacher is not above chance on an external set.

    The finding is inconclusive: the artifact does not fail because of its teacher, but cannot pass.
    """
    return Finding(
        condition=CHANCE.field,
        against=teacher.name,
        external=external,
        verdict="inconclusive",
        value=check.reached or 0.0,
        limit=check.chance,
        text=f"Nothing can be shown on {external}: {teacher.name} is {check.describe(external)}.",
        advice=f"Take {external} out of `gate.external.sets`, add images to it, or use a "
        "teacher that works on such images.",
    )


def describe_fidelity(teacher: str, correlation: Estimate, floor: float, of: str) -> Finding:
    """Return the finding on how an artifact's logits correlate with its teacher's.

    `teacher` is the teacher's name, and `of` is the name of the external set with the images.
    `floor` is the smallest correlation that the gate allows.
    """
    verdict: Verdict = (
        "pass"
        if correlation.low >= floor
        else "fail"
        if correlation.high < floor
        else "inconclusive"
    )
    conclusion = {
        "pass": f"it is at least {floor:g}",
        "fail": f"it is below the required {floor:g}",
        "inconclusive": f"that leaves open whether it is at least {floor:g}",
    }[verdict]
    return Finding(
        condition=ELSEWHERE.field,
        against=teacher,
        external=of,
        verdict=verdict,
        value=correlation.value,
        interval=correlation,
        limit=floor,
        text=f"Correlation of logits on {of} with those of {teacher} is "
        f"{correlation.value:.3f} (95 % interval {correlation.low:.3f} to {correlation.high:.3f}): "
        f"{conclusion}.",
        advice={"pass": "", "fail": _EXTERNAL_ADVICE, "inconclusive": _more_images(of)}[verdict],
    )


def _advice_on_chance(check: ChanceCheck, verdict: Verdict) -> str:
    if check.order:
        return f"{check.order_hint}: correct `classes` of the teacher."
    return {
        "pass": "",
        "inconclusive": "Add test images of each class, or use a better model.",
        "fail": "Use a model that tells these classes apart.",
    }[verdict]


def describe_comparison(
    finding: Finding,
    ours: ModelPredictions,
    theirs: ModelPredictions,
    rows: Rows,
    inputs: GateInputs,
) -> Finding:
    """Return `finding`, which compares two models, with its text and its advice filled in.

    `rows` are the rows of the compared test images.
    """
    difference = finding.difference
    if difference is None or finding.other is None:
        return finding
    unit, rule = condition_of(finding.condition, inputs.task).unit, margin_rule(finding.condition)
    text = (
        f"{_subject(finding, inputs.task)} is {unit.value(finding.value)}, "
        f"against {unit.value(finding.other)} of {theirs.model.name}: "
        f"{_change(difference, unit)}{rule.direction.explanation}. "
        f"{_margin_verdict(finding, difference, unit, rule)}{rule.note(ours, theirs, rows)}"
    )
    return finding.model_copy(
        update={"text": text, "advice": _advice(finding, rule, unit, ours.model, inputs)}
    )


def describe_limit(finding: Finding, own: GateModel, inputs: GateInputs) -> Finding:
    """Return `finding`, which compares a value with a limit, with text and advice filled in."""
    condition = condition_of(finding.condition, inputs.task)
    rule = limit_rule(finding.condition)
    unit = condition.unit
    with_whom = f" with {finding.against}" if finding.against else ""
    interval = ""
    if finding.interval:
        low, high = unit.value(finding.interval.low), unit.value(finding.interval.high)
        interval = f" (95 % interval {low} to {high})"
    bound = f"{rule.bound} {unit.value(finding.limit)}"
    if finding.verdict == "pass":
        verdict = f"it is within the limit, {bound}"
    elif finding.verdict == "inconclusive":
        needed = _needed(finding, rule.images)
        verdict = f"that leaves open whether it is {bound}{needed}"
    else:
        verdict = f"{unit.amount(abs(finding.value - finding.limit))} {rule.missed} {bound}"
    metric = f"{_capital(condition.title)}{with_whom} is {unit.value(finding.value)}{interval}"
    return finding.model_copy(
        update={
            "text": f"{metric}: {verdict}.{rule.note(own)}",
            "advice": _advice(finding, rule, unit, own, inputs),
        }
    )


def _margin_verdict(finding: Finding, difference: Estimate, unit: Unit, rule: MarginRule) -> str:
    """Say whether the interval of the difference shows a loss within the margin."""
    margin, direction = unit.amount(finding.limit), rule.direction
    if finding.verdict == "pass":
        return f"It is shown to {direction.lose} less than {margin}."
    if finding.verdict == "fail":
        best = max(direction.gain(difference.low), direction.gain(difference.high))
        over = direction.beyond.format(unit.amount(-finding.limit - best))
        return f"It is shown to {direction.lose} more than the allowed {margin}: {over}."
    failing = direction.gain(difference.value) < -finding.limit
    needed = _needed(finding, rule.images, failing=failing)
    return f"That leaves open whether it {direction.lose}s less than {margin}{needed}."


def _needed(finding: Finding, images: ImageSubset, *, failing: bool = False) -> str:
    """Say how many test images would decide an inconclusive finding, and how many there are.

    `failing` says whether the finding would then be a failure, if nothing changes.
    """
    if finding.needs_images is None:
        return f": it is exactly at the margin, so no number of {images.title} would decide it"
    about = finding.needs if "more" in finding.needs else f"about {finding.needs}"
    test = "" if finding.external else "test "
    need = f": {about} {test}{images.title} would decide it, and there are {finding.tested:,}"
    return f"{need}; as it looks now, it would fail" if failing else need


def _advice(
    finding: Finding, rule: MarginRule | LimitRule, unit: Unit, own: GateModel, inputs: GateInputs
) -> str:
    """Return advice on what to try, including better steps of this run; empty after a pass."""
    if finding.verdict == "pass":
        return ""
    if finding.external:
        return _EXTERNAL_ADVICE if finding.verdict == "fail" else _more_images(finding.external)
    better = _better(rule, unit, own, inputs)
    if finding.verdict == "inconclusive":
        where = " of that group" if finding.group else ""
        more = rule.more if isinstance(rule, LimitRule) else f"Add test images{where}."
        return f"{more} {better}".strip()
    return f"{better}{rule.advice}"


def _better(rule: MarginRule | LimitRule, unit: Unit, own: GateModel, inputs: GateInputs) -> str:
    """Return a sentence that names the steps of this run that do better, best first."""
    ranking = rule.ranking(unit, inputs)
    mine = ranking.merit(own)
    if mine is None:
        return ""
    merits = [(ranking.merit(rival), rival) for rival in inputs.rivals if rival.name != own.name]
    better = [(merit, rival) for merit, rival in merits if merit is not None and merit > mine]
    better = sorted(better, key=lambda pair: pair[0], reverse=True)[:_OTHERS]
    if not better:
        return f"No other step of this run does better{ranking.where}. "
    names = ", ".join(f"{rival.name} ({ranking.describe(rival)})" for _, rival in better)
    return f"In this run, {names} {'does' if len(better) == 1 else 'do'} better{ranking.where}. "


def _change(difference: Estimate, unit: Unit) -> str:
    low, high = unit.change(difference.low), unit.change(difference.high)
    value = f"{unit.change(difference.value)}{unit.change_unit}"
    return f"{value} (95 % interval {low} to {high})"


def _subject(finding: Finding, task: str) -> str:
    """Return what a finding is about: `Accuracy where site = North`."""
    return f"{_capital(condition_of(finding.condition, task).title)} {finding.where}".rstrip()


def _more_images(external: str) -> str:
    return f"Add images to {external}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
