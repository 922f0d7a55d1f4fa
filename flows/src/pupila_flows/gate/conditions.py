"""What the gate can ask of an artifact: one object per condition.

A recipe sets margins (`gate.margins.FIELD`) and limits (`gate.limits.FIELD`). The condition of that
field knows how the margin or the limit is decided, how the finding is worded, and how the report
draws it; nothing else in Pupila depends on which condition it is. To add one, write an object here,
list it in `CONDITIONS`, and add its field to `pupila_flows.recipe.gate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pupila.errors import PupilaError, nearest
from pupila_flows.gate.answers import Answers, Bools, Rows
from pupila_flows.gate.fidelity import FidelityAtLeast
from pupila_flows.gate.rules import (
    OTHER_IMAGES,
    POSITIVE_IMAGES,
    AreaMargin,
    AtLeast,
    AtMost,
    LimitRule,
    MarginRule,
    Plot,
)
from pupila_flows.gate.units import AREA, BYTES, FRACTION, MILLISECONDS, Unit, percent
from pupila_flows.results import Finding


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing that the gate asks of an artifact."""

    field: str
    """In the recipe, and in `Finding.condition`."""
    title: str
    """What it is called in sentences and tables."""
    unit: Unit = FRACTION
    margin: MarginRule | None = None
    """How it is compared with another model; None where a recipe can set no margin."""
    limit: LimitRule | None = None
    """How it is held against a limit; None where a recipe can set none."""
    drawn: Plot | None = None
    """How it is drawn where it has no such rule."""

    def plot(self, finding: Finding) -> Plot | None:
        """Return how one of its findings is drawn; None where there is nothing to draw."""
        rule = self.margin if finding.difference else self.limit
        return rule.plot if rule else self.drawn


def _agrees(ours: Answers, teacher: Answers | None) -> Bools:
    if teacher is None:
        raise PupilaError("There is no teacher that the artifact could agree with.")
    return ours.chosen == teacher.chosen


def _called_positive(answers: Answers) -> Bools:
    return answers.called_positive


def _not_called_positive(answers: Answers) -> Bools:
    return ~answers.called_positive


def _at_threshold(answers: Answers) -> Rows:
    return answers.at_threshold


def _likeliest(answers: Answers) -> Rows:
    return answers.likeliest


def _likeliest_is_right(answers: Answers) -> Bools:
    return answers.likeliest == answers.labels


def _sensitivity_note(ours: Answers, theirs: Answers, rows: Rows) -> str:
    others = rows[~ours.is_positive[rows]]
    return _read_at(ours, theirs, "specificity", others, _not_called_positive)


def _specificity_note(ours: Answers, theirs: Answers, rows: Rows) -> str:
    positives = rows[ours.is_positive[rows]]
    return _read_at(ours, theirs, "sensitivity", positives, _called_positive)


def _read_at(
    ours: Answers,
    theirs: Answers,
    figure: str,
    rows: Rows,
    correct: Callable[[Answers], Bools],
) -> str:
    """Say at which thresholds both were read, and what another figure of theirs is there."""

    def there(answers: Answers) -> str:
        part = f" ({figure} {percent(float(correct(answers)[rows].mean()))})" if len(rows) else ""
        return f"{answers.reading.value:.3f}{part}"

    return (
        f" It is read at {ours.reading.origin}, {there(ours)}; {theirs.side.name} at "
        f"{theirs.reading.origin}, {there(theirs)}."
    )


def _accuracy_note(ours: Answers, theirs: Answers, rows: Rows) -> str:
    """Say at which thresholds accuracy was read, where a threshold decides the answers."""
    return "" if ours.answers_by_probability else _read_at(ours, theirs, "", rows[:0], _right)


def _right(answers: Answers) -> Bools:
    return answers.right


ACCURACY = Condition(
    field="accuracy",
    title="accuracy",
    margin=MarginRule(note=_accuracy_note),
    limit=AtLeast(correct=lambda ours, _: ours.right),
)
AUC = Condition(
    field="auc",
    title="AUC",
    unit=AREA,
    margin=AreaMargin(correct=_likeliest_is_right, given=_likeliest),
)
SENSITIVITY = Condition(
    field="sensitivity",
    title="sensitivity",
    margin=MarginRule(
        correct=_called_positive,
        given=_at_threshold,
        images=POSITIVE_IMAGES,
        note=_sensitivity_note,
    ),
)
SPECIFICITY = Condition(
    field="specificity",
    title="specificity",
    margin=MarginRule(
        correct=_not_called_positive,
        given=_at_threshold,
        images=OTHER_IMAGES,
        note=_specificity_note,
    ),
)
AGREEMENT = Condition(
    field="agreement", title="agreement", limit=AtLeast(correct=_agrees, needs_teacher=True)
)
FIDELITY = Condition(
    field="fidelity", title="fidelity on altered images", unit=AREA, limit=FidelityAtLeast()
)
SIZE = Condition(
    field="size_bytes",
    title="size",
    unit=BYTES,
    limit=AtMost(
        cost=lambda side: float(side.evaluation.cost.size_bytes),
        advice="Try a smaller student, pruning, or a coarser quantisation.",
    ),
)
LATENCY = Condition(
    field="latency_ms",
    title="time per image",
    unit=MILLISECONDS,
    limit=AtMost(
        cost=lambda side: side.evaluation.cost.latency.median_ms,
        advice="Try a smaller student or a smaller input, and look at the latency of the steps "
        "before: dynamic quantisation can be slower than float.",
    ),
)

ELSEWHERE = Condition(field="external_fidelity", title="fidelity", unit=AREA, drawn="interval")
"""On images of another place: `gate.external.fidelity` in a recipe, see `pupila.fidelity`."""

# What the gate asks by itself, with no margin and no limit.
CHANCE = Condition(field="chance", title="above chance")
"""Every model that is judged or compared with tells the classes apart: see `pupila.chance`."""
RUNS = Condition(field="runs", title="runs")
"""Every artifact was made, judged, and ran where it was tried."""
COMPARISON = Condition(field="comparison", title="comparison")
"""There is something published to compare with."""
GROUPS = Condition(field="groups", title="groups")
"""Some test image has a value in a column of `gate.groups`."""
ANYTHING = Condition(field="anything", title="any condition")
"""At least one condition was asked."""

CONDITIONS: tuple[Condition, ...] = (
    *(ACCURACY, AUC, SENSITIVITY, SPECIFICITY, AGREEMENT, FIDELITY, SIZE, LATENCY),
    ELSEWHERE,
    *(CHANCE, RUNS, COMPARISON, GROUPS, ANYTHING),
)


def condition_of(field: str) -> Condition:
    """Return the condition of a field.

    Raises:
        PupilaError: there is none.
    """
    fields = {condition.field: condition for condition in CONDITIONS}
    if field not in fields:
        raise PupilaError(
            f"The gate has no condition {field!r}: it has {', '.join(fields)}."
            f"{nearest(field, fields)}"
        )
    return fields[field]


def margin_rule(field: str) -> MarginRule:
    """Return how the figure of a field is compared with that of another model.

    Raises:
        PupilaError: the condition takes no margin.
    """
    rule = condition_of(field).margin
    if rule is None:
        raise PupilaError(f"The gate's condition {field!r} takes no margin.")
    return rule


def limit_rule(field: str) -> LimitRule:
    """Return how the figure of a field is held against a limit.

    Raises:
        PupilaError: the condition takes no limit.
    """
    rule = condition_of(field).limit
    if rule is None:
        raise PupilaError(f"The gate's condition {field!r} takes no limit.")
    return rule
