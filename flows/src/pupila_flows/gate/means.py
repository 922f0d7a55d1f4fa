"""Compares the mean of a value of each image with another model's: an error, or a metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from pupila.errors import PupilaError
from pupila.noninferiority import Comparison, compare_errors, compare_means
from pupila.result_plugins import Metric
from pupila_flows.gate.inputs import GateInputs, GateModel
from pupila_flows.gate.operating import Floats
from pupila_flows.gate.predictions import ModelPredictions, Rows
from pupila_flows.gate.rules import ImageSubset, MarginRule, Ranking
from pupila_flows.gate.units import LESS_IS_BETTER, MORE_IS_BETTER, Direction, Unit

_ADVICE = (
    "Look at the validation images whose {} most; once you look at test images, you need fresh "
    "ones. Try a larger student, a larger input or longer training; after quantisation, 16 bits, "
    "or training with it."
)
IMAGES_WITH_ERROR = ImageSubset(
    "images with an error", lambda predictions, rows: rows[predictions.errors.known[rows]]
)


@dataclass(frozen=True, kw_only=True)
class MeanMargin(MarginRule, ABC):
    """Compares two models by the mean of a value of each image."""

    called: str
    """The mean in a sentence, such as `an error`, before `of 0.4 % of the width`."""

    @abstractmethod
    def values(self, predictions: ModelPredictions) -> Floats:
        """Return the value of each image, `(images,)`; NaN where it has none."""

    def newly_wrong(self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows) -> Rows:
        """Return the rows of images that the artifact does worse on, the largest loss first."""
        selected = self.images.select(ours, rows)
        loss = -self.direction.sign * (self.values(ours) - self.values(theirs))[selected]
        order = np.argsort(-loss, kind="stable")
        return selected[order[loss[order] > 0]]

    def ranking(self, unit: Unit, inputs: GateInputs) -> Ranking:
        """Return the ranking by the mean on the validation images."""

        def mean(model: GateModel) -> float | None:
            there = ModelPredictions.of(inputs, model).validation
            values = np.array([]) if there is None else self.values(there)
            known = values[~np.isnan(values)]
            return float(known.mean()) if len(known) else None

        def merit(model: GateModel) -> float | None:
            value = mean(model)
            return None if value is None else self.direction.gain(value)

        return Ranking(
            merit,
            lambda model: f"{self.called} of {unit.value(mean(model) or 0)}",
            " on the validation images",
        )


@dataclass(frozen=True, kw_only=True)
class ErrorMargin(MeanMargin):
    """Compares two models by the mean of their errors."""

    called: str = "an error"
    images: ImageSubset = IMAGES_WITH_ERROR
    advice: str = _ADVICE.format("error grows")
    direction: Direction = LESS_IS_BETTER

    def values(self, predictions: ModelPredictions) -> Floats:
        return predictions.errors.values

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        selected = self.images.select(ours, rows)
        if not len(selected):
            raise PupilaError(f"none of the {len(rows)} images has anything to be found.")
        errors, limits = ours.errors.values[selected], ours.errors.limits[selected]
        patients = ours.patients_of(selected)
        return compare_errors(errors, theirs.errors.values[selected], limits, margin, patients)


@dataclass(frozen=True, kw_only=True)
class MetricMargin(MeanMargin):
    """Compares two models by a metric that a package adds; see `metric_margin`."""

    metric: Metric
    bounds: tuple[float, float]

    def values(self, predictions: ModelPredictions) -> Floats:
        return predictions.values_of(self.metric)

    def compare(
        self, ours: ModelPredictions, theirs: ModelPredictions, rows: Rows, margin: float
    ) -> Comparison:
        mine, other = self.values(ours), self.values(theirs)
        known = ~np.isnan(mine[rows])
        if (known != ~np.isnan(other[rows])).any():
            raise PupilaError(
                f"metric {self.metric.name!r} has values on other images for "
                f"{ours.model.name!r} than for {theirs.model.name!r}: whether an image has one may "
                f"depend on its label alone."
            )
        selected = rows[known]
        if not len(selected):
            raise PupilaError(f"none of the {len(rows)} images has a {self.metric.title}.")
        return compare_means(
            mine[selected],
            other[selected],
            self.bounds,
            margin,
            ours.patients_of(selected),
            lower_is_better=self.metric.lower_is_better,
        )


def metric_margin(metric: Metric) -> MetricMargin | None:
    """Return the rule that compares two models by a metric; None if it takes no margin."""
    if not metric.takes_margin or metric.bounds is None:
        return None
    worse = "grows" if metric.lower_is_better else "falls"
    return MetricMargin(
        metric=metric,
        bounds=metric.bounds,
        called=metric.title,
        images=ImageSubset(
            f"images with a {metric.title}",
            lambda predictions, rows: rows[~np.isnan(predictions.values_of(metric)[rows])],
        ),
        advice=_ADVICE.format(f"{metric.title} {worse}"),
        direction=LESS_IS_BETTER if metric.lower_is_better else MORE_IS_BETTER,
    )
