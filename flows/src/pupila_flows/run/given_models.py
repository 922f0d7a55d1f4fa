"""A model as a command names it: a file with what is said of it, or the folder of an artifact."""

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
    """Return the class names of a text with commas; None where there is none.

    Raises:
        PupilaError: a name is empty or given twice, or there is only one.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    try:
        return _CLASSES.validate_python(names)
    except ValidationError as error:
        raise _refused(names, error) from None


def planned_models(
    models: Sequence[Path], said: tuple[str, ...] | None, labels: tuple[str, ...], output: str
) -> list[PlannedTeacher]:
    """Return models that can be read.

    What is `said` of the classes, and the `output`, are those of files; the record of an artifact
    tells its own. Without it a file's classes are the `labels` of the images.

    Raises:
        PupilaError: there is no model, or what is said is wrong.
    """
    files = [model for model in models if not is_artifact(model)]
    if files and not said and len(labels) < 2:
        raise PupilaError(
            f"Which classes {str(files[0])!r} tells apart is not known, and the images have "
            f"{'the label ' + repr(labels[0]) if labels else 'no labels'}: name the class of each "
            f"output column, as `--classes glaucoma,normal`."
        )
    classes = said or labels
    return [
        _file(model, classes, output)
        if model in files
        else _artifact(model, *((None, _DEFAULT) if files else (said, output)))
        for model in models
    ]


def _file(model: Path, classes: tuple[str, ...], output: str) -> PlannedTeacher:
    _section(model, classes, output)
    contract = OutputSpec.model_validate({"kind": output, "classes": classes})
    return PlannedTeacher(model.stem, model, installed().loader(model).produces, contract)


def _artifact(model: Path, classes: tuple[str, ...] | None, output: str) -> PlannedTeacher:
    """Return a teacher that is an artifact; what was said of it must be what its record says."""
    planned = planned_artifact(model.stem, model, installed())
    section = _section(model, classes, output)
    for _, message in contradictions(section, planned.contract):
        raise PupilaError(message)
    return planned


def _section(model: Path, classes: tuple[str, ...] | None, output: str) -> TeacherSection:
    """Check what a command says of a model; the default output says nothing."""
    kinds = get_args(OutputKind)
    if output not in kinds:
        raise PupilaError(
            f"output is {output!r}: give one of {', '.join(kinds)}.{nearest(output, kinds)}"
        )
    said = {} if output == _DEFAULT else {"output": output}
    try:
        return TeacherSection.model_validate({"path": str(model), "classes": classes} | said)
    except ValidationError as error:
        raise _refused(classes or (), error) from None


def _refused(classes: tuple[str, ...], error: ValidationError) -> PupilaError:
    reason = sentence(error.errors()[0])
    return PupilaError(f"The classes {list_names(classes)} cannot be told apart: {reason}.")
