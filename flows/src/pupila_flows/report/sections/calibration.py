"""How far a model's probabilities can be believed: reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pupila.calibration import ReliabilityBin, reliability
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact
from pupila_flows.report.plots.reliability import draw
from pupila_flows.report.predictions import RunPredictions


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram of one model."""

    name: str
    ece: str
    """The expected calibration error with its interval; a dash if it was not measured."""
    bins: tuple[ReliabilityBin, ...]
    picture: Markup


def reliabilities(
    artifacts: Sequence[EvaluatedArtifact], predictions: RunPredictions
) -> list[Reliability]:
    """Return a diagram for each artifact whose predictions are on disk.

    The list is empty in a task without classes.
    """
    if not predictions.task.has_classes:
        return []
    return [
        _reliability(artifact, predictions)
        for artifact in artifacts
        if artifact.name in predictions.answers
    ]


def _reliability(artifact: EvaluatedArtifact, predictions: RunPredictions) -> Reliability:
    name, ece = artifact.name, artifact.evaluation.metrics.ece
    bins = reliability(predictions.answers[name], predictions.truths, predictions.patients)
    words = formatting.NONE
    if ece:
        words = f"{formatting.score(ece.value)} ({formatting.score_interval(ece)})"
    label = f"Reliability diagram of {name}: calibration error {words}"
    return Reliability(name, words, tuple(bins), draw(bins, len(predictions.classes), label))
