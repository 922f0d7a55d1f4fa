"""The exporter `site`: the built page, the models, and what the page is to know of them."""

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
"""Not for the service worker: the browser itself looks after its scripts, and the page is `./`."""


def export(step: Step[Site]) -> StepResult:
    """Write a site that answers with each model's probability against its threshold.

    Threshold and figures are those of the run: at the threshold that a model ships, where it is of
    the positive class, else at that which the validation images chose, measured on the test images.

    Raises:
        PupilaError: the page was not built, a model is not for browsers or was not judged, or a
            class is misspelt.
    """
    built = page.PAGES.find()
    models, gate = _parted(step)
    for artifact in step.inputs:
        check_tensor_io(artifact)
    names = step.config.names or [_name(artifact) for artifact in step.inputs]
    entries: list[dict[str, Any]] = []
    shown = zip(models, names, step.input_metrics, strict=False)  # a gate comes last
    for done, (artifact, name, figures) in enumerate(shown, start=1):
        entries.append(_model(artifact, name, step.output) | _diagnosis(figures, name))
        step.progress(done, len(models), "models")
    gate_entry = gate and _model(gate, names[-1], step.output) | _gate(gate, step.config)
    shutil.copytree(built, step.output, dirs_exist_ok=True)
    site = {"title": step.config.title, "models": entries, "gate": gate_entry}
    _write_json(step.output / "site.json", site | {"study": study.table()})
    _write_precache(step.output)
    headers.write(step.output)
    return StepResult.like(models[0], format="site", measured=Measured({"models": entries}))


def _parted(step: Step[Site]) -> tuple[tuple[Artifact, ...], Artifact | None]:
    """Tell the gate from the models that are judged."""
    accepts = step.config.gate
    if accepts is None:
        return step.inputs, None
    *models, gate = step.inputs
    classes = gate.record.output.classes
    if accepts not in classes:
        raise PupilaError(
            f"The gate is to let {accepts!r} through, but the last input tells "
            f"{list_names(classes)} apart.{nearest(accepts, classes)}"
        )
    return tuple(models), gate


def _name(artifact: Artifact) -> str:
    return f"{artifact.record.origin.plugin} {artifact.digest[:6]}"


def _model(artifact: Artifact, name: str, site: Path) -> dict[str, Any]:
    """Copy a model into the site, under a name that changes with its content."""
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


def _gate(artifact: Artifact, config: Site) -> dict[str, Any]:
    """Say what a gate accepts, and from which probability on: it ships that, or it is one half."""
    accepts = str(config.gate)
    return {"accepts": accepts, "threshold": artifact.record.threshold_of(accepts)}


def _diagnosis(figures: Metrics | None, name: str) -> dict[str, Any]:
    """Say how good a model is on the test images, at the threshold that the page marks."""
    point = figures.point if figures else None
    if figures is None or point is None or (point is not figures.shipped and _chosen_here(point)):
        raise PupilaError(
            f"The page would show {name!r} without its figures: it must tell the data's classes "
            f"apart, be judged on test images of both kinds, and have a threshold that other "
            f"images chose. Give validation images, or a model that ships a threshold."
        )
    return {
        "positive": figures.positive,
        "threshold": point.threshold,
        "chosenOn": point.chosen_on if figures.shipped else "",
        "chosenOnImages": point.images,
        "images": figures.images,
        "byPatient": figures.patients is not None,
        "sensitivity": _interval(point.sensitivity),
        "specificity": _interval(point.specificity),
        "accuracy": _interval(point.accuracy or figures.accuracy),
        "auc": figures.auc and _interval(figures.auc),
    }


def _chosen_here(point: OperatingPoint) -> bool:
    return point.chosen_on != "validation"


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _write_precache(site: Path) -> None:
    """Tell the service worker what to keep; another version makes browsers fetch all anew."""
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
