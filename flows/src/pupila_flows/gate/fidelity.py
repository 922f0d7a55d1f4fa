"""The gate's condition on altered images: an artifact must answer as its teacher does there."""

from __future__ import annotations

from dataclasses import dataclass

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila_flows.gate.answers import Answers
from pupila_flows.gate.inputs import Side
from pupila_flows.gate.rules import AskedImages, LimitResult, LimitRule, Ranking
from pupila_flows.gate.units import AREA, Unit

_PICTURES = AskedImages("images of each family (`shift.images`)", lambda _, rows: rows)


@dataclass(frozen=True, kw_only=True)
class FidelityAtLeast(LimitRule):
    """The value of the shift suite must not be smaller than its floor, with its interval."""

    bound = "at least"
    missed = "too low, as it must be"
    plot = "interval"

    needs_teacher: bool = True
    advice: str = (
        "Look at the altered images on which the two part. Try a student that is the beginning of "
        "its teacher, stronger alterations in training, or unlabelled images of other places."
    )
    more: str = "Raise `shift.images`, or add test images."
    images: AskedImages = _PICTURES

    def check(self, ours: Answers, teacher: Answers | None, limit: float) -> LimitResult:
        found = ours.side.shift
        if found is None:
            raise PupilaError(
                "there are no answers to altered images: the end of the run tells why."
            )
        value = found.value
        if value.low >= limit:
            return LimitResult("pass", value.value, value, tested=found.images)
        if value.high < limit:
            return LimitResult("fail", value.value, value, tested=found.images)
        needs = _needed(value, limit, found.images)
        return LimitResult("inconclusive", value.value, value, needs, found.images)

    def note(self, ours: Side) -> str:
        if ours.shift is None:
            return ""
        worst = ours.shift.worst
        return f" The worst family is {worst.name}, with {AREA.value(worst.middle.fidelity)}."

    def ranking(self, unit: Unit) -> Ranking:
        return Ranking(
            lambda side: _chosen_by(side),
            lambda side: f"fidelity {unit.value(_chosen_by(side) or 0)}",
            " on altered validation images",
        )


def _chosen_by(side: Side) -> float | None:
    """Return the figure by which models are chosen; None where it is not known."""
    found = side.shift.validation if side.shift else None
    return found.value if found else None


def _needed(value: Estimate, limit: float, images: int) -> int | None:
    """Return how many images would tell, if the interval shrinks with the root of their number."""
    distance = abs(value.value - limit)
    end = value.low if value.value > limit else value.high
    return round(images * (abs(value.value - end) / distance) ** 2) if distance else None
