"""What a model's answer is worth: predictive values at the prevalence of the test images.

The page's script computes them again for the prevalence that a reader types, from the same
likelihood ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pupila.evaluation import Estimate
from pupila.predictive_values import likelihood_ratios, predictive_values
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact
from pupila_flows.report.sections.missed import positives_of


@dataclass(frozen=True)
class Row:
    """The predictive values of one model, with the likelihood ratios that they come from."""

    name: str
    point: str
    """Sensitivity and specificity in words, with the threshold and how it was chosen."""
    ppv: Estimate
    npv: Estimate
    ratios: tuple[tuple[float, float, float], tuple[float, float, float]]
    """Value, low and high of the likelihood ratio of a positive answer, then of a negative one."""


@dataclass(frozen=True)
class PredictiveValues:
    """Predictive values of several models at one prevalence."""

    positive: str
    positives: int
    images: int
    rows: tuple[Row, ...]
    method: str

    @property
    def prevalence(self) -> float:
        """Fraction of the test images that are of the positive class."""
        return self.positives / self.images


def predictive_table(
    artifacts: Sequence[EvaluatedArtifact], classes: Sequence[str]
) -> PredictiveValues | None:
    """Return the predictive values of the artifacts that have an operating point; None without."""
    known = [artifact for artifact in artifacts if artifact.evaluation.metrics.point]
    if not known or known[0].evaluation.metrics.positive not in classes:
        return None
    metrics = known[0].evaluation.metrics
    positives = positives_of(metrics, classes)
    rows = tuple(row for artifact in known for row in _rows(artifact, positives / metrics.images))
    return PredictiveValues(metrics.positive, positives, metrics.images, rows, rows[0].ppv.method)


def _rows(artifact: EvaluatedArtifact, prevalence: float) -> list[Row]:
    point = artifact.evaluation.metrics.point
    if point is None:
        return []
    ppv, npv = predictive_values(point, prevalence)
    positive, negative = likelihood_ratios(point)
    at = formatting.threshold(artifact.evaluation.metrics)
    words = formatting.sensitivity_and_specificity(point, at)
    return [Row(artifact.name, words, ppv, npv, (_ends(positive), _ends(negative)))]


def _ends(ratio: Estimate) -> tuple[float, float, float]:
    return ratio.value, ratio.low, ratio.high
