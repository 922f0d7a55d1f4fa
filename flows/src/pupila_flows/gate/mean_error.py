"""Compares the mean error of an artifact with another model's, in tasks whose answers have one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pupila.errors import PupilaError
from pupila.noninferiority import Comparison, compare_errors
from pupila_flows.gate.inputs import GateInputs, GateModel
from pupila_flows.gate.predictions import ModelPredictions, Rows
from pupila_flows.gate.rules import ImageSubset, MarginRule, Ranking
from pupila_flows.gate.units import LESS_IS_BETTER, Direction, Unit

_ADVICE = (
    "Look at the validation images whose error grows most; once you look at test images, you need "
    "fresh ones. Try a larger student, a larger input or longer training; after quantisation, 16 "
    "bits, or training with it."
)
IMAGES_WITH_ERROR = ImageSubset(
    "images with an error", lambda predictions, rows: rows[predictions.errors.known[rows]]
)


@dataclass(frozen=True, kw_only=True)
class ErrorMargin(MarginRule):
    """Compares two models by the mean of their errors."""

    images: ImageSubset = IMAGES_WITH_ERROR
    advice: str = _ADVICE
    direction: Direction = LESS_IS_BETTER

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        selected = self.images.select(ours, rows)
        if not len(selected):
            raise PupilaError(f"none of the {len(rows)} images has anything to be found.")
        errors, limits = ours.errors.values[selected], ours.errors.limits[selected]
        patients = ours.patients_of(selected)
        return compare_errors(errors, theirs.errors.values[selected], limits, margin, patients)

    def newly_wrong(self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> Rows:
        """Return the rows of images whose error grows, the largest increase first."""
        selected = self.images.select(ours, rows)
        increase = (ours.errors.values - theirs.errors.values)[selected]
        order = np.argsort(-increase, kind="stable")
        return selected[order[increase[order] > 0]]

    def ranking(self, unit: Unit, inputs: GateInputs) -> Ranking:
        """Return the ranking by the mean error on the validation images."""

        def error(model: GateModel) -> float | None:
            there = ModelPredictions.of(inputs, model).validation
            known = None if there is None else there.errors.values[there.errors.known]
            return None if known is None or not len(known) else float(known.mean())

        def merit(model: GateModel) -> float | None:
            mean = error(model)
            return None if mean is None else -mean

        return Ranking(
            merit,
            lambda model: f"an error of {unit.value(error(model) or 0)}",
            " on the validation images",
        )
