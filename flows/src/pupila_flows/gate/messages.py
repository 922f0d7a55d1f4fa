"""The findings in sentences: what was found, by how much, and what to try."""

from __future__ import annotations

from collections.abc import Callable

from pupila.evaluation import Estimate
from pupila.noninferiority import LEVEL
from pupila_flows.gate.inputs import Question, Side
from pupila_flows.results import Finding

RUNS = "runs"
"""Condition that every artifact must meet: it was made, judged, and ran where it was tried."""
PUBLISHED = "published"
"""What a finding is against."""
_COMPARISON = "comparison"
_GROUPS = "by"
_ANYTHING = "anything"

_NAMES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "agreement": "agreement",
    "size_bytes": "size",
    "latency_ms": "time per image",
    RUNS: "runs",
    _COMPARISON: "comparison",
    _GROUPS: "groups",
    _ANYTHING: "any condition",
}
_OTHERS = 3
"""Other steps that an advice names, at most."""


def name_of(condition: str) -> str:
    """Return what a condition is called in sentences."""
    return _NAMES[condition]


def broken(entry: str, reason: str) -> Finding:
    """Return the finding that an artifact is not there, was not judged, or does not run."""
    return Finding(
        condition=RUNS,
        verdict="fail",
        value=0.0,
        limit=1.0,
        text=f"{entry} cannot be released: {reason}",
        advice="Mend that first: the log of the step tells more.",
    )


def unchanged(entry: str, question: Question) -> Finding:
    """Return the finding that an artifact is the very one that is published."""
    return Finding(
        condition=_COMPARISON,
        against=PUBLISHED,
        verdict="pass",
        value=1.0,
        limit=1.0,
        text=f"{entry} is the very artifact of {question.published} (published): it loses nothing.",
    )


def unpublished(entry: str, question: Question) -> Finding:
    """Return the finding that the version that is current has nothing of an entry's name."""
    names = ", ".join(question.published_names)
    return Finding(
        condition=_COMPARISON,
        against=PUBLISHED,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"{entry} could not be compared with {question.published} (published), which has no "
        f"artifact of that name: it has {names}.",
        advice="If the step was renamed, give it its old name. If it is new, write "
        "`published: {}` into the gate for one run: nothing is compared with what is published.",
    )


def ungrouped(column: str) -> Finding:
    """Return the finding that no test image has a value in a column of `by`."""
    return Finding(
        condition=_GROUPS,
        group=column,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"Groups by {column} cannot be asked: no test image has a value in that column.",
        advice=f"Fill the column in for the test images, or leave `{column}` out of `by`.",
    )


def nothing_asked(entry: str) -> Finding:
    """Return the finding that no condition of the gate could be asked of an artifact."""
    return Finding(
        condition=_ANYTHING,
        verdict="inconclusive",
        value=0.0,
        limit=1.0,
        text=f"Nothing was asked of {entry}, so nothing is shown.",
        advice="Give the gate `margins` or `limits`.",
    )


def unasked(
    condition: str, limit: float, group: str | None, against: str, reason: str | None = None
) -> Finding:
    """Return the finding that a condition could not be asked, so that nothing is shown."""
    why = reason or f"there is no judged model to compare with: {against} is missing."
    return Finding(
        condition=condition,
        against=against,
        group=group,
        verdict="inconclusive",
        value=0.0,
        limit=limit,
        text=f"{_capital(name_of(condition))}{_where(group)} could not be compared: {why}",
        advice=f"Mend that, or leave `{condition}` out of the gate.",
    )


def explained(
    finding: Finding,
    own: Side,
    other: Side,
    images: int,
    question: Question,
    specificity: float | None,
) -> Finding:
    """Put a comparison with another model into words; `specificity` is that at its threshold."""
    difference = finding.difference
    if difference is None or finding.other is None:
        return finding
    figure, form = name_of(finding.condition), _form(finding.condition)
    whom = f"{question.published} (published)" if finding.against == "published" else other.name
    text = (
        f"{_capital(figure)}{_where(finding.group)} is {form(finding.value)}, against "
        f"{form(finding.other)} of {whom}: {_step(difference, figure)}. "
        f"{_judged(finding, difference, images)}{_locked(finding, own, question, specificity)}"
    )
    advice = "" if finding.verdict == "pass" else _advice(finding, own, question)
    return finding.model_copy(update={"text": text, "advice": advice})


def kept(finding: Finding, own: Side, question: Question) -> Finding:
    """Put a limit into words."""
    form, figure = _form(finding.condition), _capital(name_of(finding.condition))
    with_whom = f" with {finding.against}" if finding.against else ""
    interval = ""
    if finding.interval:
        low, high = form(finding.interval.low), form(finding.interval.high)
        interval = f" (95 % interval {low} to {high})"
    least = finding.interval is not None
    bound = f"{'at least' if least else 'at most'} {form(finding.limit)}"
    if finding.verdict == "pass":
        said = f"it keeps to the limit, {bound}"
    elif finding.verdict == "inconclusive":
        said = f"that leaves open whether it is {bound}{_needed(finding, len(question.images))}"
    elif least:
        said = f"{_size(finding.limit - finding.value, '')} too low, as it must be {bound}"
    else:
        said = f"{form(finding.value - finding.limit)} too much, as it may be {bound}"
    text = f"{figure}{with_whom} is {form(finding.value)}{interval}: {said}."
    advice = "" if finding.verdict == "pass" else _advice(finding, own, question)
    return finding.model_copy(update={"text": text, "advice": advice})


def _judged(finding: Finding, difference: Estimate, images: int) -> str:
    """Say what the interval, and Holm's adjustment, allow to be said."""
    margin = _size(finding.limit, finding.condition)
    if finding.verdict == "pass":
        return f"It is shown to lose less than {margin}."
    if finding.verdict == "fail":
        over = _size(-finding.limit - difference.high, finding.condition)
        return (
            f"It is shown to lose more than the {margin} that are allowed: the interval ends "
            f"{over} below."
        )
    needed = _needed(finding, images)
    if difference.low >= -finding.limit:
        return (
            f"By itself it would be shown to lose less than {margin}, but not as one of several "
            f"figures that are asked at once (p = {finding.adjusted:.3f} after Holm, wanted "
            f"{LEVEL}){needed}."
        )
    return f"That leaves open whether it loses less than {margin}{needed}."


def _needed(finding: Finding, images: int) -> str:
    which = "images of the positive class" if finding.condition == "sensitivity" else "images"
    if finding.needs_images is None:
        return f": it lies at the margin itself, so no number of {which} would tell"
    ask = f": about {finding.needs_images:,} test {which} would tell, and there are {images:,}"
    gone = finding.difference is not None and finding.difference.value < -finding.limit
    return f"{ask}; as it looks now, it would fail" if gone else ask


def _locked(finding: Finding, own: Side, question: Question, specificity: float | None) -> str:
    """Say which threshold sensitivity was read at, and what specificity it has there."""
    locked = own.locked(question.positive)
    if finding.condition != "sensitivity" or locked is None:
        return ""
    value, origin = locked
    there = "" if specificity is None else f", where specificity is {_percent(specificity)}"
    return f" It is read at {origin}, {value:.3f}{there}."


def _advice(finding: Finding, own: Side, question: Question) -> str:
    """Say what to try, from what this run tried besides."""
    if finding.condition in ("size_bytes", "latency_ms"):
        best = _others(finding, own, question, lambda side: -_cost(finding.condition, side))
        return (
            f"{best}Try a smaller student, pruning, or a coarser quantisation."
            if finding.condition == "size_bytes"
            else f"{best}Try a smaller student or a smaller input, and look at the latency of the "
            f"steps before: dynamic quantisation can be slower than float."
        )
    best = _others(finding, own, question, lambda side: side.evaluation.metrics.accuracy.value)
    if finding.verdict == "inconclusive":
        where = " of that group" if finding.group else ""
        return f"Add test images{where}. {best}".strip()
    return (
        f"{best}Look at the images that only it gets wrong. Try more training images like them, a "
        f"larger student or longer training; after quantisation, 16 bits, or training with it."
    )


def _others(finding: Finding, own: Side, question: Question, merit: Callable[[Side], float]) -> str:
    """Name the steps of this run that do better than an artifact in one figure, best first."""
    better = sorted(
        (each for each in question.rivals if merit(each) > merit(own) and each.name != own.name),
        key=merit,
        reverse=True,
    )[:_OTHERS]
    if not better:
        return "No other step of this run does better. "
    form = _form(finding.condition)
    sized = finding.condition in ("size_bytes", "latency_ms")
    told = [
        f"{side.name} ({form(_cost(finding.condition, side))})"
        if sized
        else f"{side.name} (accuracy {_percent(side.evaluation.metrics.accuracy.value)})"
        for side in better
    ]
    does = "does" if len(told) == 1 else "do"
    return f"Of this run, {', '.join(told)} {does} better. "


def _cost(condition: str, side: Side) -> float:
    cost = side.evaluation.cost
    return float(cost.size_bytes) if condition == "size_bytes" else cost.latency.median_ms


def _step(difference: Estimate, figure: str) -> str:
    form = _signed if figure == "AUC" else _points
    unit = "" if figure == "AUC" else " points"
    low, high = form(difference.low), form(difference.high)
    return f"{form(difference.value)}{unit} (95 % interval {low} to {high})"


def _size(difference: float, condition: str) -> str:
    if condition == "auc":
        return f"{difference:.3f}"
    amount = f"{100 * difference:.1f}".removesuffix(".0")
    return f"{amount} point" if amount == "1" else f"{amount} points"


def _form(condition: str) -> Callable[[float], str]:
    forms: dict[str, Callable[[float], str]] = {
        "auc": lambda value: f"{value:.3f}",
        "size_bytes": lambda value: f"{value:,.0f} bytes",
        "latency_ms": lambda value: f"{value:.3g} ms",
    }
    return forms.get(condition, _percent)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _where(group: str | None) -> str:
    return f" where {group}" if group else ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
