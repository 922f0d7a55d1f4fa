"""Checks of the section `teachers`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import list_names
from pupila_flows.plan.class_rules import labels_of, misspelt
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.errors import dotted


def names(context: Context) -> Iterator[Mistake]:
    """A teacher and a step must not have the same name; nor may case alone tell two names apart.

    Folders and files bear them, of a published version too, and a disk may not know case.
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
                f"only upper and lower case tell {name!r} from {first!r}, and some disks do not: "
                f"give one of them another name.",
            )


def models(context: Context) -> Iterator[Mistake]:
    """The model of each teacher must be there, and be one that a loader reads."""
    yield from context.teachers.mistakes


def classes(context: Context) -> Iterator[Mistake]:
    """All teachers that the data binds must tell the same classes apart as the data.

    The labels of the images say which; where they cannot be read, what the recipe names first does.
    """
    section = context.view.data
    found = yield from context.found_labels.checked()
    if section and found:
        yield from _unlike_the_images(context, labels_of(section.section.path, found), found)
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
