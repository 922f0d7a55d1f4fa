"""The exporter `site`: the built page, the models, and what the page is to know of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pupila import Artifact, Dataset, Product, PupilaError, Step
from pupila.digest import digest_json, digest_tree
from pupila.errors import nearest
from pupila.evaluation import OperatingPoint
from pupila.measured import Measured
from pupila.metrics import checked, operating_point, threshold_at
from pupila_site import headers, page, study
from pupila_site.config import Site
from pupila_site.tensor_io import check_tensor_io

MODELS = "models"
_NOT_KEPT = ("_headers", "sw.js", "precache.js", "index.html")
"""Not for the service worker: the browser itself looks after its scripts, and the page is `./`."""


def export(step: Step[Site]) -> Product:
    """Write a site that answers with each model's probability against its threshold.

    That is the one that a model ships, where it is of the positive class; else it is chosen on the
    validation images, as in an evaluation.

    Raises:
        PupilaError: the page was not built, a model is not for browsers, the validation images
            lack a class, or a class is misspelt.
    """
    built = page.PAGES.built()
    models, gate = _parted(step)
    for artifact in step.inputs:
        check_tensor_io(artifact)
    names = step.config.names or [_name(artifact) for artifact in step.inputs]
    entries: list[dict[str, Any]] = []
    for done, (artifact, name) in enumerate(zip(models, names, strict=False), start=1):
        entries.append(_model(artifact, name, step.output) | _diagnosis(artifact, step))
        step.progress(done, len(models), "models")
    gate_entry = gate and _model(gate, names[-1], step.output) | _gate(gate, step.config)
    shutil.copytree(built, step.output, dirs_exist_ok=True)
    site = {"title": step.config.title, "models": entries, "gate": gate_entry}
    _write_json(step.output / "site.json", site | {"study": study.table()})
    _write_precache(step.output)
    headers.write(step.output)
    return Product.like(models[0], format="site", measured=Measured({"models": entries}))


def _parted(step: Step[Site]) -> tuple[tuple[Artifact, ...], Artifact | None]:
    """Tell the gate from the models that are judged."""
    accepts = step.config.gate
    if accepts is None:
        return step.inputs, None
    *models, gate = step.inputs
    classes = gate.record.output.classes
    if accepts not in classes:
        raise PupilaError(
            f"The gate is to let {accepts!r} through, but the last input tells {list(classes)} "
            f"apart.{nearest(accepts, classes)}"
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


def _diagnosis(artifact: Artifact, step: Step[Site]) -> dict[str, Any]:
    images = step.split("validation")
    step.config.check_classes(images.classes)
    positive = step.config.positive or images.classes[0]
    point = _operating_point(artifact, images, positive, step)
    return {
        "positive": positive,
        "threshold": point.threshold,
        "sensitivity": point.sensitivity.value,
        "specificity": point.specificity.value,
        "images": len(images),
    }


def _operating_point(
    artifact: Artifact, images: Dataset, positive: str, step: Step[Site]
) -> OperatingPoint:
    column = images.classes.index(positive)
    answers = step.predictions.of(artifact, images, step.progress)
    scores, truth = checked(answers, images.labels, images.classes, what="validation")
    is_positive = truth == column
    if is_positive.all() or not is_positive.any():
        raise PupilaError(
            f"A threshold cannot be chosen: of {len(truth)} validation images "
            f"{int(is_positive.sum())} are {positive!r}. Give images of other classes and of it."
        )
    shipped = artifact.record.threshold
    threshold = (
        shipped.value
        if shipped and shipped.positive == positive
        else threshold_at(scores[:, column], is_positive, step.config.specificity)
    )
    return operating_point(scores[:, column], is_positive, threshold, "validation")


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
