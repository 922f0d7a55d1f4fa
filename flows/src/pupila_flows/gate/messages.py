"""The findings in sentences: what was found, by how much, and what to try."""

from __future__ import annotations

from pupila.chance import ChanceCheck
from pupila.errors import join_names
from pupila.evaluation import Estimate
from pupila_flows.gate.answers import Answers, Rows
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
from pupila_flows.gate.inputs import Earlier, Question, Side
from pupila_flows.gate.rules import AskedImages, LimitRule, MarginRule
from pupila_flows.gate.units import Unit, percent
from pupila_flows.results import Finding, GateResult, Verdict

_OTHERS = 3
"""Other steps that an advice names, at most."""
_ADVICE_ELSEWHERE = (
    "There it does not answer as its teacher does: it learned something else. Try a student that "
    "is the beginning of its teacher, stronger alterations in training, or unlabelled images of "
    "other places. Who chooses by these images needs others for the next verdict."
)
_IT_WAS = "it, or what it was made from, was"


def notes(gate: GateResult) -> list[str]:
    """Say what else one must know to read the verdicts."""
    said: list[str] = []
    if gate.asked:
        models = len(gate.asked.answers)
        said.append(
            f"These test images have decided about {models:,} different "
            f"{'model' if models == 1 else 'models'} so far. Were each worse by just the margin, "
            f"one of so many would pass with a probability of up to {percent(gate.asked.chance)}: "
            f"that is for models that err independently; those that err alike have less."
        )
    if gate.artifacts:
        said.append(
            "Tests and intervals are as if every image were another patient's: the data does not "
            "tell patients (a column `patient`)."
            if gate.patients is None
            else "Tests and intervals count the "
            + ("one patient" if gate.patients == 1 else f"{gate.patients:,} patients")
            + " whose images these are."
        )
    if gate.untraced:
        *others, last = gate.untraced
        names = f"{', '.join(others)} and {last}" if others else last
        said.append(
            f"Whether {names} saw test images in training cannot be known: the images that "
            f"{'they, or what they were made from, were' if others else _IT_WAS} trained on are "
            "not told. `pupila teacher add --trained-on IMAGES` tells those of a teacher."
        )
    return said


def broken(entry: str, reason: str) -> Finding:
    """Return the finding that an artifact is not there, was not judged, or does not run."""
    return Finding(
        condition=RUNS.field,
        verdict="fail",
        value=0.0,
        limit=1.0,
        text=f"{entry} cannot be released: {reason}",
        advice="Mend that first: the log of the step tells more.",
    )


def unchanged(entry: str, earlier: Earlier) -> Finding:
    """Return the finding that an artifact is the very one of a published version."""
    return Finding(
        condition=COMPARISON.field,
        against=earlier.role,
        verdict="pass",
        value=1.0,
        limit=1.0,
        text=f"{entry} is the very artifact of {earlier.called}: it loses nothing.",
    )


def unpublished(entry: str, earlier: Earlier) -> Finding:
    """Return the finding that a published version has no artifact of an entry's name."""
    mend = "`published: {}`" if earlier.role == "published" else "`anchor: first` or another number"
    return Finding(
        condition=COMPARISON.field,
        against=earlier.role,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"{entry} could not be compared with {earlier.called}, which has no artifact of that "
        f"name: it has {join_names(earlier.names)}.",
        advice=f"If the step was renamed, give it its old name. If it is new, write {mend} into "
        f"the gate{_THEN[earlier.role]}.",
    )


_THEN = {
    "published": " for one run: nothing is compared with what is published",
    "anchor": ": it is compared with that version",
}


def ungrouped(column: str) -> Finding:
    """Return the finding that no test image has a value in a column of `gate.groups`."""
    return Finding(
        condition=GROUPS.field,
        group=column,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"Groups by {column} cannot be asked: no test image has a value in that column.",
        advice=f"Fill the column in for the test images, or leave `{column}` out of `gate.groups`.",
    )


def nothing_asked(entry: str) -> Finding:
    """Return the finding that no condition of the gate could be asked of an artifact."""
    return Finding(
        condition=ANYTHING.field,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"Nothing was asked of {entry}, so nothing is shown.",
        advice="Give the gate `margins` or `limits`.",
    )


def unasked(
    field: str,
    limit: float,
    group: str | None,
    against: str,
    reason: str | None = None,
    external: str | None = None,
) -> Finding:
    """Return the finding that a condition could not be asked, so that nothing is shown."""
    why = reason or f"there is no judged model to compare with: {against} is missing."
    finding = Finding(
        condition=field,
        against=against,
        group=group,
        external=external,
        verdict="inconclusive",
        value=0.0,
        limit=limit,
        text="",
        advice=f"Mend that, or leave `{field}` out of the gate.",
    )
    text = f"{_titled(finding)} could not be compared: {why}"
    return finding.model_copy(update={"text": text})


def describe_chance(
    found: ChanceCheck, side: Side, against: str | None, external: str | None = None
) -> Finding:
    """Put into words whether a model is above chance; `against` says whose it is, as in `Finding`.

    What is not shown is open where the figure lies above chance, or there are too few images.
    """
    is_open = found.reached is None or found.reached > found.chance or not found.has_enough_images
    verdict: Verdict = "pass" if found.above else "inconclusive" if is_open else "fail"
    finding = Finding(
        condition=CHANCE.field,
        against=against,
        external=external,
        verdict=verdict,
        value=found.reached or 0.0,
        limit=found.chance,
        text=f"{side.name} is {found.describe(external or 'test')}.",
    )
    return finding.model_copy(update={"advice": _advice_on_chance(found, verdict)})


def nothing_to_show(found: ChanceCheck, teacher: Side, external: str) -> Finding:
    """Return the finding that a teacher knows nothing of a place: there is nothing to keep there.

    It is no failure of the artifact, and never a pass.
    """
    return Finding(
        condition=CHANCE.field,
        against=teacher.name,
        external=external,
        verdict="inconclusive",
        value=found.reached or 0.0,
        limit=found.chance,
        text=f"Nothing can be shown on {external}: {teacher.name} is {found.describe(external)}.",
        advice=f"Take {external} out of `gate.external.sets`, give it more images, or give a "
        "teacher that knows such images.",
    )


def describe_fidelity(teacher: str, found: Estimate, floor: float, of: str) -> Finding:
    """Put into words how far the logits of an artifact are its teacher's on another place."""
    verdict: Verdict = (
        "pass" if found.low >= floor else "fail" if found.high < floor else "inconclusive"
    )
    said = {
        "pass": f"it is at least {floor:g}",
        "fail": f"it is below the {floor:g} that are asked",
        "inconclusive": f"that leaves open whether it is at least {floor:g}",
    }[verdict]
    return Finding(
        condition=ELSEWHERE.field,
        against=teacher,
        external=of,
        verdict=verdict,
        value=found.value,
        interval=found,
        limit=floor,
        text=f"Correlation of logits on {of} with those of {teacher} is {found.value:.3f} (95 % "
        f"interval {found.low:.3f} to {found.high:.3f}): {said}.",
        advice={"pass": "", "fail": _ADVICE_ELSEWHERE, "inconclusive": _more_images(of)}[verdict],
    )


def _advice_on_chance(found: ChanceCheck, verdict: Verdict) -> str:
    if found.order:
        return f"{found.order_hint}: correct `classes` of the teacher."
    return {
        "pass": "",
        "inconclusive": "Add test images of each class, or give a better model.",
        "fail": "Give a model that tells these classes apart.",
    }[verdict]


def describe_comparison(
    finding: Finding, ours: Answers, theirs: Answers, rows: Rows, question: Question
) -> Finding:
    """Put a comparison with another model, on some rows of the test images, into words."""
    difference = finding.difference
    if difference is None or finding.other is None:
        return finding
    condition, rule = condition_of(finding.condition), margin_rule(finding.condition)
    unit = condition.unit
    text = (
        f"{_titled(finding)} is {unit.value(finding.value)}, "
        f"against {unit.value(finding.other)} of {theirs.side.name}: "
        f"{_change(difference, unit)}. "
        f"{_margin_verdict(finding, difference, unit, rule.images)}{rule.note(ours, theirs, rows)}"
    )
    return finding.model_copy(
        update={"text": text, "advice": _advice(finding, rule, unit, ours.side, question)}
    )


def describe_limit(finding: Finding, own: Side, question: Question) -> Finding:
    """Put a figure that was held against a limit into words."""
    condition, rule = condition_of(finding.condition), limit_rule(finding.condition)
    unit = condition.unit
    with_whom = f" with {finding.against}" if finding.against else ""
    interval = ""
    if finding.interval:
        low, high = unit.value(finding.interval.low), unit.value(finding.interval.high)
        interval = f" (95 % interval {low} to {high})"
    bound = f"{rule.bound} {unit.value(finding.limit)}"
    if finding.verdict == "pass":
        verdict = f"it keeps to the limit, {bound}"
    elif finding.verdict == "inconclusive":
        needed = _needed(finding, rule.images)
        verdict = f"that leaves open whether it is {bound}{needed}"
    else:
        verdict = f"{unit.amount(abs(finding.value - finding.limit))} {rule.missed} {bound}"
    figure = f"{_capital(condition.title)}{with_whom} is {unit.value(finding.value)}{interval}"
    return finding.model_copy(
        update={
            "text": f"{figure}: {verdict}.{rule.note(own)}",
            "advice": _advice(finding, rule, unit, own, question),
        }
    )


def _margin_verdict(finding: Finding, difference: Estimate, unit: Unit, asked: AskedImages) -> str:
    """Say what the interval allows to be said."""
    margin = unit.amount(finding.limit)
    if finding.verdict == "pass":
        return f"It is shown to lose less than {margin}."
    if finding.verdict == "fail":
        over = unit.amount(-finding.limit - difference.high)
        return (
            f"It is shown to lose more than the {margin} that are allowed: the interval ends "
            f"{over} below."
        )
    needed = _needed(finding, asked)
    return f"That leaves open whether it loses less than {margin}{needed}."


def _needed(finding: Finding, asked: AskedImages) -> str:
    """Say how many test images would decide it, where there are so many now."""
    if finding.needs_images is None:
        return f": it lies at the margin itself, so no number of {asked.title} would tell"
    about = finding.needs if "more" in finding.needs else f"about {finding.needs}"
    test = "" if finding.external else "test "
    ask = f": {about} {test}{asked.title} would tell, and there are {finding.tested:,}"
    gone = finding.difference is not None and finding.difference.value < -finding.limit
    return f"{ask}; as it looks now, it would fail" if gone else ask


def _advice(
    finding: Finding, rule: MarginRule | LimitRule, unit: Unit, own: Side, question: Question
) -> str:
    """Say what to try, from what this run tried besides; nothing after a pass."""
    if finding.verdict == "pass":
        return ""
    if finding.external:
        return _ADVICE_ELSEWHERE if finding.verdict == "fail" else _more_images(finding.external)
    better = _better(rule, unit, own, question)
    if finding.verdict == "inconclusive":
        where = " of that group" if finding.group else ""
        more = rule.more if isinstance(rule, LimitRule) else f"Add test images{where}."
        return f"{more} {better}".strip()
    return f"{better}{rule.advice}"


def _better(rule: MarginRule | LimitRule, unit: Unit, own: Side, question: Question) -> str:
    """Name the steps of this run that do better than an artifact, best first."""
    ranking = rule.ranking(unit)
    mine = ranking.merit(own)
    if mine is None:
        return ""
    merits = [(ranking.merit(each), each) for each in question.rivals if each.name != own.name]
    better = [(merit, each) for merit, each in merits if merit is not None and merit > mine]
    better = sorted(better, key=lambda each: each[0], reverse=True)[:_OTHERS]
    if not better:
        return f"No other step of this run does better{ranking.where}. "
    names = ", ".join(f"{rival.name} ({ranking.shown(rival)})" for _, rival in better)
    return f"Of this run, {names} {'does' if len(better) == 1 else 'do'} better{ranking.where}. "


def _change(difference: Estimate, unit: Unit) -> str:
    low, high = unit.change(difference.low), unit.change(difference.high)
    value = f"{unit.change(difference.value)}{unit.change_unit}"
    return f"{value} (95 % interval {low} to {high})"


def _titled(finding: Finding) -> str:
    """Return what a finding is about: `Accuracy where site = North`."""
    return f"{_capital(condition_of(finding.condition).title)} {finding.where}".rstrip()


def _more_images(external: str) -> str:
    return f"Add images to {external}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
