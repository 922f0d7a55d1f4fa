"""The exporter `site`: writes the built page, the models, and data about them for the page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pupila import Artifact, PupilaError, Step, StepResult
from pupila.digest import digest_json, digest_tree
from pupila.errors import list_names, nearest
from pupila.evaluation import Estimate, Metrics, OperatingPoint
from pupila.measured import Measured
from pupila_site import headers, page, study
from pupila_site.config import Site
from pupila_site.tensor_io import check_tensor_io

MODELS = "models"
_NOT_KEPT = ("_headers", "sw.js", "precache.js", "index.html")
"""Files that are not in the list for the service worker to cache.

The browser itself updates the worker's scripts. The page is cached under another name, `./`.
"""


def export(step: Step[Site]) -> StepResult:
    """Write a site that shows each model's probability beside its threshold.

    The site also shows each model's metrics on the test images of the run. If a model ships a
    threshold for the positive class, the site uses it; otherwise it uses the threshold that was
    chosen on the validation images.

    Raises:
        PupilaError: the page is not built, a model does not run in browsers, a model was not
            evaluated, or the setting `filter` names a class that the last input does not have.
    """
    built = page.PAGES.find()
    models, image_filter = _split_inputs(step)
    for artifact in step.inputs:
        check_tensor_io(artifact)
    names = step.config.names or [_name(artifact) for artifact in step.inputs]
    entries: list[dict[str, Any]] = []
    shown = zip(models, names, step.input_metrics, strict=False)  # a filter comes last
    for done, (artifact, name, metrics) in enumerate(shown, start=1):
        entries.append(_model(artifact, name, step.output) | _diagnosis(metrics, name))
        step.progress(done, len(models), "models")
    filter_entry = image_filter and (
        _model(image_filter, names[-1], step.output) | _acceptance(image_filter, step.config)
    )
    shutil.copytree(built, step.output, dirs_exist_ok=True)
    site = {"title": step.config.title, "models": entries, "filter": filter_entry}
    _write_json(step.output / "site.json", site | {"study": study.table()})
    _write_precache(step.output)
    headers.write(step.output)
    return StepResult.like(models[0], format="site", measured=Measured({"models": entries}))


def _split_inputs(step: Step[Site]) -> tuple[tuple[Artifact, ...], Artifact | None]:
    """Split the inputs of a step into models and filter; the filter is None if settings have none.

    Raises:
        PupilaError: the setting `filter` names a class that the last input does not have.
    """
    accepts = step.config.filter
    if accepts is None:
        return step.inputs, None
    *models, image_filter = step.inputs
    classes = image_filter.record.output.classes
    if accepts not in classes:
        raise PupilaError(
            f"`filter: {accepts}` is not a class of the last input, whose classes are "
            f"{list_names(classes)}.{nearest(accepts, classes)}"
        )
    return tuple(models), image_filter


def _name(artifact: Artifact) -> str:
    return f"{artifact.record.origin.plugin} {artifact.digest[:6]}"


def _model(artifact: Artifact, name: str, site: Path) -> dict[str, Any]:
    """Copy a model into the site, under a name that depends on its content; describe the model."""
    source = artifact.file(".tflite")
    file = f"{MODELS}/{artifact.digest[:16]}.tflite"
    (site / MODELS).mkdir(exist_ok=True)
    shutil.copyfile(source, site / file)
    record = artifact.record
    return {
        "name": name,
        "file": file,
        "bytes": source.stat().st_size,
        "width": record.input.width,
        "height": record.input.height,
        "kind": record.output.kind,
        "classes": list(record.output.classes),
    }


def _acceptance(artifact: Artifact, config: Site) -> dict[str, Any]:
    """Return the class that a filter accepts, and the filter's own threshold, or 0.5."""
    accepts = str(config.filter)
    return {"accepts": accepts, "threshold": artifact.record.threshold_of(accepts)}


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
        "images": metrics.images,
        "byPatient": metrics.patients is not None,
        "sensitivity": _interval(point.sensitivity),
        "specificity": _interval(point.specificity),
        "accuracy": _interval(point.accuracy or metrics.accuracy),
        "auc": metrics.auc and _interval(metrics.auc),
    }


def _chosen_here(point: OperatingPoint) -> bool:
    return point.chosen_on != "validation"


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _write_precache(site: Path) -> None:
    """Write the list of files that the service worker caches, and a version of their content.

    When the version changes, browsers fetch the files again.
    """
    files = sorted(
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.is_file() and path.name not in _NOT_KEPT
    )
    version = digest_json({file: digest_tree(site / file) for file in [*files, "index.html"]})[:16]
    kept = json.dumps({"version": version, "files": ["./", *files]})
    (site / "precache.js").write_text(f"self.precache = {kept};\n")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
