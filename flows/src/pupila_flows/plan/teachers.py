"""Plans the teachers of a recipe: finds their models and formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pupila.errors import PupilaError
from pupila.implementations import implementation_fault
from pupila.plugin import Task
from pupila.plugin_registry import PluginRegistry, installed
from pupila.spec import OutputSpec
from pupila.store import is_artifact
from pupila_flows.plan.facts import Checking, RecipeFacts
from pupila_flows.plan.plan import (
    PlannedTeacher,
    contradictions,
    planned_artifact,
    preprocess_fault,
)
from pupila_flows.plan.task_fields import find_task
from pupila_flows.plan.view import ValidSection
from pupila_flows.recipe.errors import dotted
from pupila_flows.recipe.schema import TeacherSection
from pupila_flows.teachers import PREFIX, StoredTeacher, TeacherStore


def plan_teachers(facts: RecipeFacts) -> Checking[tuple[PlannedTeacher, ...]]:
    """Return the teachers whose model exists and has a known format."""
    planned: list[PlannedTeacher] = []
    for name, valid in facts.view.teachers.items():
        try:
            teacher = yield from _find(facts, name, valid)
        except PupilaError as error:
            yield ("teachers", name, "path"), str(error)
        else:
            planned += [teacher] if teacher else []
    return tuple(planned)


def _find(
    facts: RecipeFacts, name: str, valid: ValidSection[TeacherSection]
) -> Checking[PlannedTeacher | None]:
    """Return a teacher from the teacher store or a path; raise if it is refused."""
    text = valid.section.path
    stored = _find_stored(facts.teacher_store, text)
    if stored:
        recorded = stored.record.spec
        planned = yield from _teacher(facts, name, valid, stored.path, recorded)
        return planned and replace(
            planned,
            training_images=stored.training_images,
            preprocess=stored.record.preprocess,
        )
    path = yield from facts.existing_path(text, ("teachers", name, "path"), "model")
    return (yield from _teacher(facts, name, valid, path, None)) if path else None


def _find_stored(teacher_store: TeacherStore | None, path: str) -> StoredTeacher | None:
    """Return the teacher of a path like `teacher:big`; None for other paths; raise if refused."""
    if not path.startswith(PREFIX):
        return None
    if teacher_store is None:
        raise PupilaError(f"{path!r} lies in the teacher store of a workspace, and none was named.")
    return teacher_store.current(path.removeprefix(PREFIX))


def _teacher(
    facts: RecipeFacts,
    name: str,
    valid: ValidSection[TeacherSection],
    path: Path,
    recorded: OutputSpec | None,
) -> Checking[PlannedTeacher | None]:
    """Return a teacher; None if its section lacks the classes; raise if it is refused.

    It is also None if the task of the teacher is unknown.
    """
    location, section = ("teachers", name), valid.section
    if recorded or is_artifact(path):
        planned = (
            planned_artifact(name, path, facts.plugins)
            if is_artifact(path) or recorded is None
            else PlannedTeacher(name, path, _format(facts.plugins, path, recorded), recorded)
        )
        whose = "the teacher store's" if recorded else "the artifact's"
        for field, message in contradictions(section, planned.spec, whose):
            yield (*location, field), message
        return planned
    task = find_task(section.task) if section.task else (yield from facts.task.check())
    if task is None:
        return None
    classes = section.classes or _default_classes(facts, task)
    if not classes:
        missing = (*location, "classes")
        if valid.whole or missing not in facts.source.lines:
            yield missing, f"{dotted(missing)} is missing."
        return None
    kind = section.output or task.output_kinds[0]
    spec = OutputSpec(task=task.name, kind=kind, classes=classes)
    planned = PlannedTeacher(
        name, path, _format(facts.plugins, path, spec), spec, section.preprocess
    )
    if fault := preprocess_fault(facts.plugins.loader(path), path, section.preprocess):
        yield (*location, "preprocess"), fault
    return planned


def _default_classes(facts: RecipeFacts, task: Task) -> tuple[str, ...]:
    """Return the names of a teacher that gives none; empty if it must give them."""
    data = facts.task.value
    if task.default_classes and data and data.name == task.name:
        return facts.labels.value
    return task.default_classes


def _format(plugins: PluginRegistry, path: Path, spec: OutputSpec) -> str:
    """Return the format that a model would be imported to; raise if its loader refuses it."""
    try:
        loader = plugins.loader(path)
    except OSError as error:
        raise PupilaError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    if not loader.produces and not implementation_fault(loader):  # `checks.plugins` reports that
        with installed().calling(loader):
            loader.load()(path, spec, path.parent)
    return loader.produces
