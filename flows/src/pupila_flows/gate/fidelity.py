"""The gate's condition on altered images: an artifact must predict what its teacher predicts."""

from __future__ import annotations

from dataclasses import dataclass

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila_flows.gate.inputs import GateInputs, GateModel
from pupila_flows.gate.predictions import ModelPredictions
from pupila_flows.gate.rules import ImageSubset, LimitResult, LimitRule, Plot, Ranking
from pupila_flows.gate.units import AREA, Unit

_PICTURES = ImageSubset("images of each family (`shift.images`)", lambda _, rows: rows)


@dataclass(frozen=True, kw_only=True)
class FidelityAtLeast(LimitRule):
    """Compares the fidelity on altered images with a lower limit.

    The verdict is pass if the whole interval of the fidelity is at or above the limit, fail if the
    whole interval is below it, and else inconclusive.
    """

    bound: str = "at least"
    missed: str = "less than required:"
    plot: Plot = "interval"

    needs_teacher: bool = True
    advice: str = (
        "Look at the altered images on which the two differ. Try a student made of its teacher's "
        "first layers, stronger alterations in training, or unlabelled images from elsewhere."
    )
    more: str = "Raise `shift.images`, or add test images."
    images: ImageSubset = _PICTURES

    def check(
        self, ours: ModelPredictions, teacher: ModelPredictions | None, limit: float
    ) -> LimitResult:
        shift = ours.model.shift
        if shift is None:
            raise PupilaError(
                "predictions on altered images are missing: the end of the run says why."
            )
        value = shift.value
        if value.low >= limit:
            return LimitResult("pass", value.value, value, tested=shift.images)
        if value.high < limit:
            return LimitResult("fail", value.value, value, tested=shift.images)
        needs = _needed(value, limit, shift.images)
        return LimitResult("inconclusive", value.value, value, needs, shift.images)

    def note(self, ours: GateModel) -> str:
        if ours.shift is None:
            return ""
        worst = ours.shift.worst
        return f" The worst family is {worst.name}, with {AREA.value(worst.middle.fidelity)}."

    def ranking(self, unit: Unit, inputs: GateInputs) -> Ranking:
        return Ranking(
            _validation_fidelity,
            lambda model: f"fidelity {unit.value(_validation_fidelity(model) or 0)}",
            " on altered validation images",
        )


def _validation_fidelity(model: GateModel) -> float | None:
    """Return the fidelity on altered validation images, which ranks models; None if unknown."""
    fidelity = model.shift.validation if model.shift else None
    return fidelity.value if fidelity else None


def _needed(value: Estimate, limit: float, images: int) -> int | None:
    """Return how many images would decide the verdict; None if no number would.

    The width of the interval is taken to shrink with the square root of the number of images.
    """
    distance = abs(value.value - limit)
    end = value.low if value.value > limit else value.high
    return round(images * (abs(value.value - end) / distance) ** 2) if distance else None
