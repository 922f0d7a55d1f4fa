"""Models named on the command line: a file with options, or the folder of an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from pupila.errors import PupilaError, list_names, nearest
from pupila.plugin_registry import installed
from pupila.spec import OutputKind, OutputSpec
from pupila.store import is_artifact
from pupila_flows.plan.plan import PlannedTeacher, contradictions, planned_artifact
from pupila_flows.recipe.errors import sentence
from pupila_flows.recipe.schema import ClassNames, TeacherSection

_CLASSES: TypeAdapter[tuple[str, ...]] = TypeAdapter(ClassNames)
_DEFAULT: OutputKind = TeacherSection.model_fields["output"].default


def parse_classes(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated text into class names; None stays None.

    Raises:
        PupilaError: a name is empty or given twice, or there is only one name.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    try:
        return _CLASSES.validate_python(names)
    except ValidationError as error:
        raise _error(names, error) from None


def planned_models(
    models: Sequence[Path], classes: tuple[str, ...] | None, labels: tuple[str, ...], output: str
) -> list[PlannedTeacher]:
    """Check the models that a command names, and return them as planned teachers.

    `classes` and `output` describe model files; artifacts have both in their records. Without
    `classes`, the classes of a model file are the `labels` of the images.

    Raises:
        PupilaError: a model is missing, or does not fit `classes` and `output`.
    """
    files = [model for model in models if not is_artifact(model)]
    if files and not classes and len(labels) < 2:
        raise PupilaError(
            f"Which classes {str(files[0])!r} tells apart is not known, and the images have "
            f"{'the label ' + repr(labels[0]) if labels else 'no labels'}: name the class of each "
            f"output column, as `--classes glaucoma,normal`."
        )
    file_classes = classes or labels
    return [
        _file(model, file_classes, output)
        if model in files
        else _artifact(model, *((None, _DEFAULT) if files else (classes, output)))
        for model in models
    ]


def _file(model: Path, classes: tuple[str, ...], output: str) -> PlannedTeacher:
    _section(model, classes, output)
    spec = OutputSpec.model_validate({"kind": output, "classes": classes})
    return PlannedTeacher(model.stem, model, installed().loader(model).produces, spec)


def _artifact(model: Path, classes: tuple[str, ...] | None, output: str) -> PlannedTeacher:
    """Return a teacher that is an artifact; the command's options must agree with its record."""
    planned = planned_artifact(model.stem, model, installed())
    section = _section(model, classes, output)
    for _, message in contradictions(section, planned.spec):
        raise PupilaError(message)
    return planned


def _section(model: Path, classes: tuple[str, ...] | None, output: str) -> TeacherSection:
    """Check a command's options for a model; the default `output` counts as not given."""
    kinds = get_args(OutputKind)
    if output not in kinds:
        raise PupilaError(
            f"output is {output!r}: give one of {', '.join(kinds)}.{nearest(output, kinds)}"
        )
    said = {} if output == _DEFAULT else {"output": output}
    try:
        return TeacherSection.model_validate({"path": str(model), "classes": classes} | said)
    except ValidationError as error:
        raise _error(classes or (), error) from None


def _error(classes: tuple[str, ...], error: ValidationError) -> PupilaError:
    reason = sentence(error.errors()[0])
    return PupilaError(f"The classes {list_names(classes)} are not valid: {reason}.")
