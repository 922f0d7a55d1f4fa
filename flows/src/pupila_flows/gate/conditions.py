"""The gate's conditions: one object each.

A recipe sets margins (`gate.margins.FIELD`) and limits (`gate.limits.FIELD`). For each FIELD there
is one condition. A condition has the rule that compares an artifact with the margin or the limit,
the words of the finding, and the kind of plot in the report. To add a condition, write an object
here, list it in `CONDITIONS`, and add its field to `pupila_flows.recipe.gate`. Some conditions have
another title and unit in each task: `condition_of` returns a condition in the words of a task. The
metrics and the conditions that packages add (`pupila.result_plugins`) are conditions as these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pupila.errors import PupilaError, nearest
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import installed
from pupila.result_plugins import GateCondition, Metric
from pupila.task import TaskMethods, methods_of
from pupila_flows.gate.added import added_limit
from pupila_flows.gate.fidelity import FidelityAtLeast
from pupila_flows.gate.means import ErrorMargin, metric_margin
from pupila_flows.gate.predictions import Bools, ModelPredictions, Rows
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
from pupila_flows.gate.units import AREA, BYTES, FRACTION, MILLISECONDS, Unit, percent, quantity
from pupila_flows.results import Finding

ADDED_DIGITS = 3
"""Digits after the point of a value that a package measures."""


def _in_any_task(condition: Condition, task: TaskMethods) -> Condition:
    return condition


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing that the gate checks on an artifact."""

    field: str
    """Name of the condition in `Finding.condition`, and of its margin or limit in the recipe."""
    title: str
    """Name of the condition in sentences and tables."""
    unit: Unit = FRACTION
    margin: MarginRule | None = None
    """How the metric is compared with another model's; None if a recipe cannot set a margin."""
    limit: LimitRule | None = None
    """How the metric is compared with a limit; None if a recipe cannot set a limit."""
    drawn: Plot | None = None
    """How a finding is drawn if the condition has neither a margin nor a limit."""
    in_task: Callable[[Condition, TaskMethods], Condition] = _in_any_task
    """Returns the condition with the title and the unit that it has in a task."""

    def plot(self, finding: Finding) -> Plot | None:
        """Return how a finding of this condition is drawn; None if there is nothing to draw."""
        rule = self.margin if finding.difference else self.limit
        return rule.plot if rule else self.drawn


def _agrees(ours: ModelPredictions, teacher: ModelPredictions | None) -> Bools:
    if teacher is None:
        raise PupilaError("The artifact has no teacher to compare with.")
    return ours.same(teacher)


def _called_positive(predictions: ModelPredictions) -> Bools:
    return predictions.called_positive


def _not_called_positive(predictions: ModelPredictions) -> Bools:
    return ~predictions.called_positive


def _at_threshold(predictions: ModelPredictions) -> Sequence[str]:
    return predictions.named(predictions.at_threshold)


def _likeliest(predictions: ModelPredictions) -> Sequence[str]:
    return predictions.named(predictions.likeliest)


def _likeliest_is_right(predictions: ModelPredictions) -> Bools:
    return predictions.likeliest == predictions.truths


def _sensitivity_note(ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> str:
    others = rows[~ours.is_positive[rows]]
    return _thresholds_note(ours, theirs, "specificity", others, _not_called_positive)


def _specificity_note(ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> str:
    positives = rows[ours.is_positive[rows]]
    return _thresholds_note(ours, theirs, "sensitivity", positives, _called_positive)


def _thresholds_note(
    ours: ModelPredictions,
    theirs: ModelPredictions,
    metric: str,
    rows: Rows,
    correct: Callable[[ModelPredictions], Bools],
) -> str:
    """Return a sentence with the thresholds of both models, and with `metric` at each threshold."""

    def at(predictions: ModelPredictions) -> str:
        other = (
            f" ({metric} {percent(float(correct(predictions)[rows].mean()))})" if len(rows) else ""
        )
        return f"{predictions.threshold.value:.3f}{other}"

    return (
        f" It is evaluated at {ours.threshold.origin}, {at(ours)}; {theirs.model.name} at "
        f"{theirs.threshold.origin}, {at(theirs)}."
    )


def _accuracy_note(ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> str:
    """Return a sentence on the thresholds behind the accuracy; empty if none decides the class."""
    return "" if ours.uses_most_probable else _thresholds_note(ours, theirs, "", rows[:0], _right)


def _right(predictions: ModelPredictions) -> Bools:
    return predictions.right


def _with_right_title(condition: Condition, task: TaskMethods) -> Condition:
    return replace(condition, title=task.right_title)


def _with_measure(condition: Condition, task: TaskMethods) -> Condition:
    measure = task.error_measure
    if measure is None:
        return condition
    return replace(condition, title=measure.title, unit=quantity(measure.unit, measure.digits))


def _error_note(ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> str:
    """Return a sentence on what an error is."""
    measure = ours.task.error_measure
    return f" {measure.meaning[0].upper()}{measure.meaning[1:]}." if measure else ""


ACCURACY = Condition(
    field="accuracy",
    title="accuracy",
    in_task=_with_right_title,
    margin=MarginRule(note=_accuracy_note),
    limit=AtLeast(correct=lambda ours, _: ours.right),
)
AUC = Condition(
    field="auc",
    title="AUC",
    unit=AREA,
    margin=AreaMargin(correct=_likeliest_is_right, predicted=_likeliest),
)
ERROR = Condition(
    field="error",
    title="error",
    margin=ErrorMargin(note=_error_note),
    in_task=_with_measure,
)
SENSITIVITY = Condition(
    field="sensitivity",
    title="sensitivity",
    margin=MarginRule(
        correct=_called_positive,
        predicted=_at_threshold,
        images=POSITIVE_IMAGES,
        note=_sensitivity_note,
    ),
)
SPECIFICITY = Condition(
    field="specificity",
    title="specificity",
    margin=MarginRule(
        correct=_not_called_positive,
        predicted=_at_threshold,
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
        cost=lambda model: float(model.evaluation.cost.size_bytes),
        advice="Try a smaller student, pruning, or a coarser quantisation.",
    ),
)
LATENCY = Condition(
    field="latency_ms",
    title="time per image",
    unit=MILLISECONDS,
    limit=AtMost(
        cost=lambda model: model.evaluation.cost.latency.median_ms,
        advice="Try a smaller student or a smaller input, and look at the latency of the previous "
        "steps: dynamic quantisation can be slower than float.",
    ),
)

ELSEWHERE = Condition(field="external_fidelity", title="fidelity", unit=AREA, drawn="interval")
"""Fidelity on an external set, `gate.external.fidelity` in a recipe: see `pupila.fidelity`."""

# What the gate always checks, without a margin or a limit.
CHANCE = Condition(field="chance", title="above chance")
"""Every model in a comparison tells the classes apart better than chance: see `pupila.chance`."""
RUNS = Condition(field="runs", title="runs")
"""Every artifact was made and evaluated, and passed its runtime checks."""
COMPARISON = Condition(field="comparison", title="comparison")
"""The published version has an artifact to compare with."""
GROUPS = Condition(field="groups", title="groups")
"""In each column of `gate.groups`, at least one test image has a value."""
ANYTHING = Condition(field="anything", title="any condition")
"""At least one condition was checked."""

CONDITIONS: tuple[Condition, ...] = (
    *(ACCURACY, ERROR, AUC, SENSITIVITY, SPECIFICITY, AGREEMENT, FIDELITY, SIZE, LATENCY),
    ELSEWHERE,
    *(CHANCE, RUNS, COMPARISON, GROUPS, ANYTHING),
)


def condition_of(field: str, task: str = CLASSIFICATION) -> Condition:
    """Return the condition with this `field`, with the title and the unit that it has in a task.

    Raises:
        PupilaError: no condition has that field, or no plugin that task.
    """
    fields = {condition.field: condition for condition in (*CONDITIONS, *_of_plugins())}
    if field not in fields:
        raise PupilaError(
            f"The gate has no condition {field!r}: it has {', '.join(fields)}."
            f"{nearest(field, fields)}"
        )
    condition = fields[field]
    return condition.in_task(condition, methods_of(task))


def find_condition(field: str, task: str = CLASSIFICATION) -> Condition | None:
    """Return the condition with this `field`; None if its package is no longer installed."""
    fields = {condition.field for condition in (*CONDITIONS, *_of_plugins())}
    return condition_of(field, task) if field in fields else None


def title_of(field: str, task: str = CLASSIFICATION) -> str:
    """Return the title of a condition; of one whose package is no longer installed, its name."""
    condition = find_condition(field, task)
    return condition.title if condition else field.replace("_", " ")


def _of_plugins() -> Iterator[Condition]:
    """Yield the conditions of installed packages; metrics without bounds take no margin."""
    for metric in installed().all(Metric):
        margin, unit = metric_margin(metric), _unit(metric.unit)
        yield Condition(field=metric.name, title=metric.title, unit=unit, margin=margin)
    for added in installed().all(GateCondition):
        limit, unit = added_limit(added), _unit(added.unit)
        yield Condition(field=added.name, title=added.title, unit=unit, limit=limit)


def _unit(name: str) -> Unit:
    known = {"": AREA, "bytes": BYTES, "ms": MILLISECONDS}
    return known.get(name) or quantity(name, ADDED_DIGITS)


def margin_rule(field: str) -> MarginRule:
    """Return the rule that compares a condition's metric with another model's.

    Raises:
        PupilaError: the condition takes no margin.
    """
    rule = condition_of(field).margin
    if rule is None:
        raise PupilaError(f"The gate's condition {field!r} takes no margin.")
    return rule


def limit_rule(field: str) -> LimitRule:
    """Return the rule that compares a condition's metric with a limit.

    Raises:
        PupilaError: the condition takes no limit.
    """
    rule = condition_of(field).limit
    if rule is None:
        raise PupilaError(f"The gate's condition {field!r} takes no limit.")
    return rule
