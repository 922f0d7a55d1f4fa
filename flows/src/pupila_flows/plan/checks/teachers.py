"""Checks of the section `teachers`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import list_names
from pupila_flows.plan.class_rules import labels_of, misspelt
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


def classes(context: Context) -> Iterator[Mistake]:
    """Check that each teacher in `Context.bound_teachers` has the classes of the data.

    The classes of the data are the labels of the images. If the labels cannot be read, the classes
    that the recipe names first are used instead.
    """
    section = context.view.data
    labels = yield from context.found_labels.check()
    if section and labels:
        yield from _unlike_the_images(context, labels_of(section.section.path, labels), labels)
        return
    if context.named_classes is None:
        return
    first, known = context.named_classes
    for name, reason in context.bound_teachers.items():
        location, given = ("teachers", name, "classes"), context.teacher_classes[name]
        if set(given) != set(known):
            yield (
                location,
                f"{dotted(location)} are {list_names(given)}, but {dotted(first)} are "
                f"{list_names(known)}: name the same ones, in any order, since {reason}.",
            )


def _unlike_the_images(context: Context, said: str, labels: tuple[str, ...]) -> Iterator[Mistake]:
    for name, reason in context.bound_teachers.items():
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
