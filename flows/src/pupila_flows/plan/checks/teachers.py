"""Checks of the section `teachers`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import list_names
from pupila.plugin import CLASSIFICATION
from pupila_flows.plan.class_rules import labels_of, misspelt, other_task
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.errors import dotted


def names(context: Context) -> Iterator[Mistake]:
    """Check that no teacher and step share a name, and that names differ by more than case.

    Names become names of files and folders, in published versions too, and some disks ignore case.
    """
    for name in context.view.teachers:
        if name in context.view.steps:
            yield ("teachers", name), f"a teacher and a step are both named {name!r}."
    earlier: dict[str, str] = {}
    for section, name in (
        *(("teachers", name) for name in context.view.teachers),
        *(("steps", name) for name in context.view.steps),
    ):
        first = earlier.setdefault(name.lower(), name)
        if first != name:
            yield (
                (section, name),
                f"{name!r} and {first!r} differ only by case, which some disks ignore: "
                f"give one of them another name.",
            )


def models(context: Context) -> Iterator[Mistake]:
    """Check that the model of each teacher exists, and that a loader reads it."""
    yield from context.teachers.mistakes


def tasks(context: Context) -> Iterator[Mistake]:
    """Check that each teacher in `Context.bound_teachers` has learned the data's task."""
    data = context.task.value
    for name, reason in context.bound_teachers.items() if data else ():
        own = context.tasks.get(name)
        if data and own and own != data.name:
            yield ("teachers", name), other_task(name, own, data.name, reason)


def classes(context: Context) -> Iterator[Mistake]:
    """Check that each teacher in `Context.bound_teachers` has the classes of the data.

    Teachers of another task than the data's are left out. The classes of the data are the labels of
    the images. If the labels cannot be read, the classes that the recipe names first are used
    instead. In tasks without classes, the names must be those in `data.classes`.
    """
    section = context.view.data
    if context.task_name != CLASSIFICATION:
        yield from _unlike_the_names(context)
        return
    labels = yield from context.found_labels.check()
    if section and labels:
        yield from _unlike_the_images(context, labels_of(section.section.path, labels), labels)
        return
    if context.named_classes is None:
        return
    first, known = context.named_classes
    for name, reason in _of_the_task(context):
        location, given = ("teachers", name, "classes"), context.teacher_classes[name]
        if set(given) != set(known):
            yield (
                location,
                f"{dotted(location)} are {list_names(given)}, but {dotted(first)} are "
                f"{list_names(known)}: name the same ones, in any order, since {reason}.",
            )


def _unlike_the_images(context: Context, said: str, labels: tuple[str, ...]) -> Iterator[Mistake]:
    for name, reason in _of_the_task(context):
        location, given = ("teachers", name, "classes"), context.teacher_classes[name]
        if set(given) != set(labels):
            is_written = context.view.teachers[name].section.classes is not None
            advice = (
                "Name these, in the order of the model's outputs"
                if is_written
                else "Give a model of these classes"
            )
            yield (
                location,
                f"{dotted(location)} are {list_names(given)}, but {said}.{misspelt(given, labels)} "
                f"{advice}, since {reason}.",
            )


def _unlike_the_names(context: Context) -> Iterator[Mistake]:
    """Compare the names of each teacher with those of the data, in a task without classes."""
    names = context.labels.value
    for name, reason in _of_the_task(context):
        location, given = ("teachers", name, "classes"), context.teacher_classes[name]
        if set(given) != set(names):
            yield (
                location,
                f"{dotted(location)} are {list_names(given)}, but the data is about "
                f"{list_names(names)} (`data.classes`): name the same, since {reason}.",
            )


def _of_the_task(context: Context) -> Iterator[tuple[str, str]]:
    """Yield the names of bound teachers of the data's task, and why they are bound."""
    for name, reason in context.bound_teachers.items():
        if context.tasks.get(name, context.task_name) == context.task_name:
            yield name, reason
