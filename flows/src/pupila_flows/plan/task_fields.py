"""Fields of `data` and `teachers` that must fit a task, which their sections know only by name."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from pupila.errors import PupilaError, nearest
from pupila.plugin import Task
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila_flows.recipe.errors import sentence
from pupila_flows.recipe.schema import DataSection, TeacherSection

FieldFault = tuple[str, str]
"""Name of a field, and what is wrong with it: the end of a sentence that begins with the field."""


def find_task(name: str) -> Task | None:
    """Return an installed task; None if there is none of that name."""
    try:
        return installed().task(name)
    except PupilaError:
        return None


def faults_of_data(section: DataSection) -> Iterator[FieldFault]:
    """Yield the fields that do not fit the task; nothing if the task is unknown."""
    task = find_task(section.task)
    if task is None or section.classes is None:
        return
    if fault := names_fault(section.classes, task):
        yield "classes", f": {fault}."


def faults_of_teacher(section: TeacherSection, task: Task | None) -> Iterator[FieldFault]:
    """Yield the fields that do not fit the teacher's task, by default the data's `task`."""
    if section.task is not None:
        try:
            task = installed().task(section.task)
        except PupilaError as error:
            yield "task", f" is {section.task!r}. {error}"
            return
    if task is None:
        return
    classes = section.classes
    fault = None if classes is None else names_fault(classes, task)
    if classes is not None and fault:
        own = "" if section.task or len(classes) < 2 else " Name its `task` if it has another."
        yield "classes", f": {fault}.{own}"
    if section.output is None:
        return
    kind = kind_fault(section.output, task)
    if kind is None and classes and not fault:
        kind = output_fault(section.output, classes, task)
    if kind:
        yield "output", f" is {section.output!r}: {kind}"


def names_fault(names: tuple[str, ...], task: Task) -> str | None:
    """Return why models of a task cannot have so many names; None if they can."""
    count, most = len(names), task.max_classes
    if count < task.min_classes:
        return f"needs {task.min_classes} or more entries, and has {count}"
    if most is not None and count > most:
        return (
            f"takes {most} name{'' if most == 1 else 's'} at most in the task {task.name!r}, and "
            f"has {count}"
        )
    return None


def kind_fault(kind: str, task: Task) -> str | None:
    """Return why models of a task cannot have a kind of output; None if they can."""
    kinds = task.output_kinds
    if kind in kinds:
        return None
    *others, last = map(repr, kinds)
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"must be {listed}.{nearest(kind, kinds)}"


def output_fault(kind: str, classes: tuple[str, ...], task: Task) -> str | None:
    """Return why a kind of output does not fit the classes; None if it does."""
    try:
        OutputSpec(task=task.name, kind=kind, classes=classes)
    except ValidationError as error:
        return f"{sentence(error.errors()[0])}."
    return None
