"""Models named by a user: a file with options, or the folder of an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from pupila.artifact import Artifact
from pupila.errors import PupilaError, list_names, nearest
from pupila.pixel_scaling import Preprocess
from pupila.plugin import CLASSIFICATION, Task
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila.store import is_artifact
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.plan.plan import PlannedTeacher, contradictions, planned_artifact
from pupila_flows.plan.task_fields import names_fault, output_fault
from pupila_flows.recipe.errors import sentence
from pupila_flows.recipe.schema import ClassNames, TeacherSection
from pupila_flows.run.single import perform_alone
from pupila_flows.workspace import Workspace

_CLASSES: TypeAdapter[tuple[str, ...]] = TypeAdapter(ClassNames)


def parse_classes(text: str | None, task: str | None = CLASSIFICATION) -> tuple[str, ...] | None:
    """Split a comma-separated text into class names of a task; None stays None.

    If the task is None, there may be any number of names.

    Raises:
        PupilaError: a name is empty or given twice, or the task is unknown, or its models have
            more or fewer names.
    """
    if text is None:
        return None
    return check_classes([name.strip() for name in text.split(",")], task)


def check_classes(names: Sequence[str], task: str | None = CLASSIFICATION) -> tuple[str, ...]:
    """Return class names of a task, with composed letters.

    If the task is None, there may be any number of names.

    Raises:
        PupilaError: a name is not text, empty or given twice, or the task is unknown, or its models
            have more or fewer names.
    """
    try:
        valid = _CLASSES.validate_python(tuple(names))
    except ValidationError as error:
        raise invalid_classes(tuple(names), sentence(error.errors()[0])) from None
    fault = names_fault(valid, installed().task(task)) if task else None
    if fault:
        raise invalid_classes(valid, fault)
    return valid


def check_kind(output: str | None, task: Task) -> None:
    """Check a kind of output that a command names; None is none.

    Raises:
        PupilaError: models of the task have no such output.
    """
    kinds = task.output_kinds
    if output not in (None, *kinds):
        raise PupilaError(
            f"output is {output!r}: give one of {', '.join(kinds)}.{nearest(str(output), kinds)}"
        )


def check_preprocess(preprocess: str) -> None:
    """Check the name of a scaling of pixels.

    Raises:
        PupilaError: `preprocess` is not the name of a scaling.
    """
    names = get_args(Preprocess)
    if preprocess not in names:
        raise PupilaError(
            f"preprocess is {preprocess!r}: give one of {', '.join(names)}."
            f"{nearest(str(preprocess), names)}"
        )


def planned_models(
    models: Sequence[Path],
    classes: tuple[str, ...] | None,
    labels: tuple[str, ...],
    output: str | None,
    task: str = CLASSIFICATION,
    preprocess: Preprocess = "none",
) -> list[PlannedTeacher]:
    """Check the models that a command names, and return them as planned teachers.

    `classes`, `output`, `task` and `preprocess` describe model files; artifacts have them in their
    records.
    Without `classes`, the classes of a model file are the `labels` of the images, or what these are
    about; without `output`, its kind is the task's first.

    Raises:
        PupilaError: a model is missing, or does not fit `classes`, `output` and `preprocess`, or
            that of a file does not fit `task`.
    """
    learned = installed().task(task)
    check_kind(output, learned)
    check_preprocess(preprocess)
    files = [model for model in models if not is_artifact(model)]
    if files and not classes and len(labels) < learned.min_classes:
        raise PupilaError(
            f"Which classes {str(files[0])!r} tells apart is not known, and the images have "
            f"{'the label ' + repr(labels[0]) if labels else 'no labels'}: name the class of each "
            f"output column, as `--classes glaucoma,normal`."
        )
    file_classes = classes or labels
    return [
        _file(model, file_classes, output or learned.output_kinds[0], learned, preprocess)
        if model in files
        else _artifact(model, *((None, None, "none") if files else (classes, output, preprocess)))
        for model in models
    ]


def _file(
    model: Path, classes: tuple[str, ...], output: str, task: Task, preprocess: Preprocess
) -> PlannedTeacher:
    fault = names_fault(classes, task) or output_fault(output, classes, task)
    if fault:
        raise invalid_classes(classes, fault.removesuffix("."))
    spec = OutputSpec(task=task.name, kind=output, classes=classes)
    return PlannedTeacher(model.stem, model, installed().loader(model).produces, spec, preprocess)


def _artifact(
    model: Path, classes: tuple[str, ...] | None, output: str | None, preprocess: Preprocess
) -> PlannedTeacher:
    """Return a teacher that is an artifact; the command's options must agree with its record."""
    planned = planned_artifact(model.stem, model, installed())
    section = TeacherSection(path=str(model), classes=classes, output=output, preprocess=preprocess)
    for _, message in contradictions(section, planned.spec):
        raise PupilaError(message)
    return planned


def import_model(workspace: Workspace, planned: PlannedTeacher) -> Artifact:
    """Import a model that gives answers into the workspace, unless it is there already.

    Raises:
        PupilaError: it cannot be read, or was never trained.
    """
    stored = perform_alone(ImportTeacher.of(workspace, planned))
    artifact = workspace.store.open(stored.artifact)
    if artifact.record.untrained:
        raise PupilaError(
            f"{str(planned.path)!r} was never trained: it has a size and a speed, but no answers "
            f"to evaluate."
        )
    return artifact


def invalid_classes(classes: tuple[str, ...], reason: str) -> PupilaError:
    """Return the error for names of classes that models of a task cannot have."""
    return PupilaError(f"The classes {list_names(classes)} are not valid: {reason}.")
