"""Checks of the images: those of `data`, those kept from a step, and those of other kinds."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import list_names, nearest, unknown_class
from pupila_flows.data import exclude
from pupila_flows.plan.class_rules import labels_of, misspelt
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.view import mapping
from pupila_flows.recipe.errors import dotted


def data(context: Context) -> Iterator[Mistake]:
    """The images must be there, in splits, and have labels."""
    yield from context.found_labels.mistakes


def classes(context: Context) -> Iterator[Mistake]:
    """The classes that `data` names must be the labels of the images, in any order."""
    section = context.view.data.section if context.view.data else None
    found = yield from context.found_labels.checked()
    if section is None or not section.classes or not found:
        return
    if set(section.classes) != set(found):
        yield (
            ("data", "classes"),
            f"data.classes are {list_names(section.classes)}, but {labels_of(section.path, found)}."
            f"{misspelt(section.classes, found)} Name these, in any order, or leave data.classes "
            f"out.",
        )


def positive(context: Context) -> Iterator[Mistake]:
    """The positive class must be one of the classes."""
    section = context.view.data.section if context.view.data else None
    if section is None or section.positive is None:
        return
    found = yield from context.found_labels.checked()
    _, known = context.named_classes or ((), found or ())
    if found and set(known) != set(found):
        known = found
    if known and section.positive not in known:
        yield ("data", "positive"), unknown_class("positive", section.positive, known)


def screen(context: Context) -> Iterator[Mistake]:
    """The images must be screened by a teacher, for one of its classes."""
    section, location = context.screen, ("data", "screen")
    if section is None or context.view.names is None:
        return
    teachers = mapping(context.source.value.get("teachers"))
    if section.teacher not in teachers:
        yield (
            (*location, "teacher"),
            f"{section.teacher!r} is no teacher.{nearest(section.teacher, teachers)}",
        )
    classes = context.teacher_classes.get(section.teacher)
    if classes and section.accepts not in classes:
        yield (
            (*location, "accepts"),
            f"accepts is {section.accepts!r}, but {section.teacher!r} tells {list_names(classes)} "
            f"apart.{nearest(section.accepts, classes)}",
        )


def excluded(context: Context) -> Iterator[Mistake]:
    """What is kept from a step must be there, and must leave something of every class."""
    steps = context.steps.value.by_name
    partial = {name: step for name, step in steps.items() if step.section.exclude}
    if not partial:
        return
    manifest = yield from context.manifest.checked()
    if manifest is None:
        return
    for name, step in partial.items():
        location = ("steps", name, "exclude")
        if not step.plugin.needs_data:
            yield location, f"{step.plugin.name} is shown no images: leave it out."
            continue
        for within, message in exclude.mistakes(manifest, step.section.exclude):
            yield (*location, *within), f"{dotted(location)}: {message}"


def open_set(context: Context) -> Iterator[Mistake]:
    """There must be two classes, one of which is let through, and images of other kinds."""
    section = context.recipe.evaluate.open_set if context.recipe else None
    if section is None:
        return
    location = ("evaluate", "open_set")
    classes = yield from context.labels.checked()
    if classes and len(classes) != 2:
        yield (
            location,
            f"a gate tells two classes apart, but the data has {list_names(classes)}: leave "
            f"open_set out, or use data of two classes.",
        )
    elif classes and section.accepts not in classes:
        yield (*location, "accepts"), unknown_class("accepts", section.accepts, classes)
    yield from context.near_misses.mistakes


def hard_negatives(context: Context) -> Iterator[Mistake]:
    """Images that are made must be of one of the classes."""
    section = context.view.data.section.hard_negatives if context.view.data else None
    if section is None:
        return
    classes = yield from context.labels.checked()
    if classes and section.label not in classes:
        yield ("data", "hard_negatives", "label"), unknown_class("label", section.label, classes)
