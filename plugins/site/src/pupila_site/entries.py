"""What the page knows about each model: the entries of `models` and `filter` in `site.json`."""

from __future__ import annotations

from typing import Any

from pupila import Artifact, PupilaError
from pupila.errors import list_names
from pupila.evaluation import Estimate, Figure, Metrics, OperatingPoint
from pupila_site.config import LOCALIZATION

_FIGURES = ("error", "error_p95", "within_half", "size_error", "absent")
"""Figures of a locator that the page shows and has texts for."""
_PERCENT = 100


def describe_model(artifact: Artifact, metrics: Metrics | None, name: str) -> dict[str, Any]:
    """Return how the page turns outputs into an answer, and how good the model is.

    Raises:
        PupilaError: the model was not evaluated, or finds several things.
    """
    output = artifact.record.output
    if output.task == LOCALIZATION:
        return _locator(artifact, metrics, name)
    return {"kind": output.kind, **_diagnosis(metrics, name)}


def describe_filter(artifact: Artifact, accepts: str) -> dict[str, Any]:
    """Return the class that a filter accepts, and the filter's own threshold, or 0.5."""
    record = artifact.record
    return {
        "kind": record.output.kind,
        "accepts": accepts,
        "threshold": record.threshold_of(accepts),
    }


def _diagnosis(metrics: Metrics | None, name: str) -> dict[str, Any]:
    """Return a model's metrics on the test images, at the threshold that the page shows."""
    point = metrics.point if metrics else None
    if metrics is None or point is None or (point is not metrics.shipped and _chosen_here(point)):
        raise PupilaError(
            f"The page would show {name!r} without its figures: it must tell the data's classes "
            f"apart, be evaluated on test images of both kinds, and have a threshold chosen on "
            f"other images. Give validation images, or a model that ships a threshold."
        )
    return {
        "positive": metrics.positive,
        "threshold": point.threshold,
        "chosenOn": point.chosen_on if metrics.shipped else "",
        "chosenOnImages": point.images,
        **_tested(metrics),
        "sensitivity": _interval(point.sensitivity),
        "specificity": _interval(point.specificity),
        "accuracy": _interval(point.accuracy or metrics.accuracy),
        "auc": metrics.auc and _interval(metrics.auc),
    }


def _locator(artifact: Artifact, metrics: Metrics | None, name: str) -> dict[str, Any]:
    """Return the shape of a locator's output, and its figures on the test images as fractions."""
    output = artifact.record.output
    if len(output.classes) != 1:
        raise PupilaError(
            f"{name!r} finds {len(output.classes)} things, {list_names(output.classes)}, and the "
            f"page shows one: give a model that finds one thing."
        )
    if metrics is None:
        raise PupilaError(
            f"The page would show {name!r} without its figures: it must find what the data's "
            f"labels are about, and be evaluated on test images."
        )
    shown = {figure.name: _fraction(figure) for figure in metrics.figures}
    figures = {"found": _interval(metrics.accuracy)} | {
        figure: shown[figure] for figure in _FIGURES if figure in shown
    }
    return {
        "kind": output.kind,
        "size": list(output.size or ()),
        "presentFrom": artifact.record.threshold_of(output.classes[0]),
        **_tested(metrics),
        "figures": [{"name": figure, **values} for figure, values in figures.items()],
    }


def _tested(metrics: Metrics) -> dict[str, Any]:
    return {"images": metrics.images, "byPatient": metrics.patients is not None}


def _chosen_here(point: OperatingPoint) -> bool:
    return point.chosen_on != "validation"


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _fraction(figure: Figure) -> dict[str, float]:
    scale = _PERCENT if figure.unit.startswith("%") else 1
    return {end: value / scale for end, value in _interval(figure.estimate).items()}
