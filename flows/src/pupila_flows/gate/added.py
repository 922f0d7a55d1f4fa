"""Limits that packages add, as rules of the gate; see `pupila.GateCondition`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pupila.condition import CheckedModel
from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.plain import plain
from pupila.plugin_registry import installed
from pupila.result_plugins import GateCondition, Metric
from pupila_flows.gate.predictions import ModelPredictions
from pupila_flows.gate.rules import LimitResult, LimitRule
from pupila_flows.results import Verdict


def checks_of(names: frozenset[str]) -> Iterator[Metric | GateCondition]:
    """Yield the installed metrics and conditions of these names."""
    for plugin in (*installed().all(Metric), *installed().all(GateCondition)):
        if plugin.name in names:
            yield plugin


@dataclass(frozen=True, kw_only=True)
class AddedLimit(LimitRule):
    """Compares a value with a limit as a package's condition says; see `added_limit`."""

    condition: GateCondition

    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        model = _checked(ours, _checked(teacher) if teacher else None)
        given = plain(self.condition.load()(model))
        if isinstance(given, Estimate) != self.condition.has_interval or not _is_finite(given):
            wanted = "an Estimate" if self.condition.has_interval else "a number"
            raise PupilaError(
                f"condition {self.condition.name!r} of "
                f"{installed().origin(self.condition).distribution} returned {given!r}: expected "
                f"{wanted}, finite. Fix the plugin."
            )
        if isinstance(given, Estimate):
            return LimitResult(self._verdict(given.low, given.high, limit), given.value, given)
        return LimitResult(self._verdict(given, given, limit), given)

    def _verdict(self, low: float, high: float, limit: float) -> Verdict:
        """Return the verdict on a value that lies between `low` and `high`."""
        kept, broken = (
            (low >= limit, high < limit)
            if self.condition.at_least
            else (high <= limit, low > limit)
        )
        return "pass" if kept else "fail" if broken else "inconclusive"


def added_limit(condition: GateCondition) -> AddedLimit:
    """Return the rule of a condition that a package adds."""
    rule = AddedLimit(
        condition=condition,
        bound="at least" if condition.at_least else "at most",
        missed="less than required:" if condition.at_least else "more than allowed:",
        plot="interval" if condition.has_interval else "bar",
        needs_teacher=condition.needs_teacher,
    )
    return replace(rule, advice=condition.advice) if condition.advice else rule


def _is_finite(given: object) -> bool:
    values = (given.value, given.low, given.high) if isinstance(given, Estimate) else (given,)
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _checked(predictions: ModelPredictions, teacher: CheckedModel | None = None) -> CheckedModel:
    task, classes = predictions.task, predictions.classes
    return CheckedModel(
        name=predictions.model.name,
        evaluation=predictions.model.evaluation,
        answers=predictions.scores,
        decided=predictions.decided,
        truths=predictions.truths,
        classes=classes,
        positive=classes[predictions.positive] if task.has_classes else "",
        patients=predictions.patients,
        teacher=teacher,
    )
