"""The exporter `site`: writes the built page, the models, and data about them for the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pupila import Artifact, PupilaError, Step, StepResult
from pupila.cropping import MARGIN
from pupila.digest import digest_json, digest_tree
from pupila.errors import list_names, nearest
from pupila.evaluation import Metrics
from pupila.measured import Measured
from pupila.plugin import CLASSIFICATION
from pupila_site import chain, headers, page, study
from pupila_site.config import AUTO, CHAIN, LOCALIZATION, Site
from pupila_site.entries import describe_filter, describe_model
from pupila_site.tensor_io import check_tensor_io

MODELS = "models"
_NOT_KEPT = ("_headers", "sw.js", "precache.js", "index.html")
"""Files that are not in the list for the service worker to cache.

The browser itself updates the worker's scripts. The page is cached under another name, `./`.
"""


def export(step: Step[Site]) -> StepResult:
    """Write a site that runs models and shows their answers, as the task of the models wants it.

    A classifier's verdict comes first, at the threshold that it ships for the positive class, or
    else at the one that was chosen on the validation images; a score is shown on demand. What a
    locator finds is drawn over the image, and its surroundings are shown. A chain's page does both.
    With them stand each model's metrics on the test images of the run.

    Raises:
        PupilaError: the page is not built, a model does not run in browsers, a model was not
            evaluated, models have different tasks, chains stand beside other models, or the setting
            `filter` names a class that the last input does not have.
    """
    built = page.PAGES.find()
    names = _names(step)
    chained = _are_chains(step.inputs, names)
    models, image_filter, accepts = _split_inputs(step)
    task = _common_task(models, names)
    for artifact in () if chained else step.inputs:
        check_tensor_io(artifact)
    entries: list[dict[str, Any]] = []
    shown = zip(models, names, step.input_metrics, strict=False)  # a filter comes last
    for done, (artifact, name, metrics) in enumerate(shown, start=1):
        entries.append(_entry(artifact, name, metrics, step.output))
        step.progress(done, len(models), "models")
    filter_entry = image_filter and (
        _copy_model(image_filter, names[-1], step.output) | describe_filter(image_filter, accepts)
    )
    shutil.copytree(built, step.output, dirs_exist_ok=True)
    site: dict[str, Any] = {"task": task, "chained": chained, "title": step.config.title}
    if task == LOCALIZATION:
        site["margin"] = step.config.margin or MARGIN
    site |= {"models": entries, "filter": filter_entry, "verdicts": step.config.verdicts}
    site |= {"study": study.table() if step.config.study else None}
    _write_json(step.output / "site.json", site)
    _write_precache(step.output)
    headers.write(step.output)
    return StepResult.like(models[0], format="site", measured=Measured({"models": entries}))


def _split_inputs(step: Step[Site]) -> tuple[tuple[Artifact, ...], Artifact | None, str]:
    """Return the models of a step, its filter and the class that the filter accepts.

    Without a filter in the settings, it is None and the class is empty.

    Raises:
        PupilaError: the last input is not a classifier with the class that `filter` names.
    """
    accepts = step.config.filter
    if accepts is None:
        return step.inputs, None, ""
    *models, image_filter = step.inputs
    output = image_filter.record.output
    if output.task != CLASSIFICATION:
        raise PupilaError(
            f"`filter: {accepts}` makes the last input a filter, and that is a model of "
            f"{output.task}: give a classifier that has this class, or leave `filter` out."
        )
    if accepts == AUTO:
        accepts = output.classes[0]  # `one-class` names what it learned first
    if accepts not in output.classes:
        raise PupilaError(
            f"`filter: {accepts}` is not a class of the last input, whose classes are "
            f"{list_names(output.classes)}.{nearest(accepts, output.classes)}"
        )
    return tuple(models), image_filter, accepts


def _common_task(models: Sequence[Artifact], names: Sequence[str]) -> str:
    """Return the task of all models.

    Raises:
        PupilaError: there are several.
    """
    tasks = [artifact.record.output.task for artifact in models]
    other = next((number for number, task in enumerate(tasks) if task != tasks[0]), None)
    if other is not None:
        raise PupilaError(
            f"{names[0]!r} is a model of {tasks[0]} and {names[other]!r} of {tasks[other]}, and a "
            f"page shows one task: make a page for each. A classifier beside locators can only be "
            f"their `filter`, as the last input."
        )
    return tasks[0]


def _are_chains(models: Sequence[Artifact], names: Sequence[str]) -> bool:
    """Return whether the models are chains.

    Raises:
        PupilaError: some are and some are not.
    """
    chained = [artifact.format == CHAIN for artifact in models]
    if not any(chained):
        return False
    if not all(chained):
        raise PupilaError(
            f"{names[chained.index(True)]!r} is a chain and {names[chained.index(False)]!r} is a "
            f"single model, and a page shows either: make a page for each."
        )
    return True


def _entry(artifact: Artifact, name: str, metrics: Metrics | None, site: Path) -> dict[str, Any]:
    """Copy a model, or those of a chain's stages, into the site, and describe it for the page."""
    about = describe_model(artifact, metrics, name)
    if artifact.format == CHAIN:
        return about | chain.describe_chain(artifact, name, partial(_copy_model, site=site))
    return about | _copy_model(artifact, name, site)


def _names(step: Step[Site]) -> list[str]:
    """Return the name of each input on the page; by default, what made it, or `filter`."""
    given = list(step.config.names or ())
    names = given + [_name(artifact) for artifact in step.inputs[len(given) :]]
    if step.config.filter and len(given) < len(names):
        names[-1] = "filter"
    return names


def _name(artifact: Artifact) -> str:
    return f"{artifact.record.origin.plugin} {artifact.digest[:6]}"


def _copy_model(artifact: Artifact, name: str, site: Path) -> dict[str, Any]:
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
        "classes": list(record.output.classes),
    }


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
