"""Checks of the images: the data, images excluded from a step, and images of other kinds."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import list_names, nearest, unknown_class
from pupila.plugin import CLASSIFICATION
from pupila_flows.data import exclude
from pupila_flows.plan.class_rules import labels_of, misspelt
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.view import mapping
from pupila_flows.recipe.errors import dotted


def task(context: Context) -> Iterator[Mistake]:
    """Check that the task is installed."""
    yield from context.task.mistakes


def reader(context: Context) -> Iterator[Mistake]:
    """Check that the reader of the data is installed, and takes the settings."""
    yield from context.reader.mistakes


def data(context: Context) -> Iterator[Mistake]:
    """Check that the images exist, are in splits and have labels."""
    yield from context.found_labels.mistakes


def classes(context: Context) -> Iterator[Mistake]:
    """Check that `data.classes` are the labels of the images, in any order.

    In tasks without classes, they are names that no image has.
    """
    section = context.view.data.section if context.view.data else None
    labels = yield from context.found_labels.check()
    if section is None or not section.classes or not labels:
        return
    if context.task_name != CLASSIFICATION:
        return
    if set(section.classes) != set(labels):
        yield (
            ("data", "classes"),
            f"data.classes are {list_names(section.classes)}, but "
            f"{labels_of(section.path, labels)}.{misspelt(section.classes, labels)} Name "
            f"these, in any order, or leave data.classes out.",
        )


def positive(context: Context) -> Iterator[Mistake]:
    """Check that the positive class is one of the classes."""
    section = context.view.data.section if context.view.data else None
    if section is None or section.positive is None:
        return
    if context.task_name != CLASSIFICATION:
        yield ("data", "positive"), _needs_classes(context, "positive", "names a class")
        return
    labels = yield from context.found_labels.check()
    _, known = context.named_classes or ((), labels or ())
    if labels and set(known) != set(labels):
        known = labels
    if known and section.positive not in known:
        yield ("data", "positive"), unknown_class("positive", section.positive, known)


def screen(context: Context) -> Iterator[Mistake]:
    """Check that `data.screen` names a teacher, and one of this teacher's classes."""
    section, location = context.screen, ("data", "screen")
    if section is None or context.view.names is None:
        return
    teachers = mapping(context.source.value.get("teachers"))
    if section.teacher not in teachers:
        yield (
            (*location, "teacher"),
            f"{section.teacher!r} is not a teacher.{nearest(section.teacher, teachers)}",
        )
    task = context.tasks.get(section.teacher, CLASSIFICATION)
    if task != CLASSIFICATION:
        yield (
            (*location, "teacher"),
            f"{section.teacher!r} has learned {task}, and only a filter of classes can screen "
            f"images: name another teacher, or leave screen out.",
        )
        return
    classes = context.teacher_classes.get(section.teacher)
    if classes and section.accepts not in classes:
        yield (
            (*location, "accepts"),
            f"accepts is {section.accepts!r}, but {section.teacher!r} tells {list_names(classes)} "
            f"apart.{nearest(section.accepts, classes)}",
        )


def excluded(context: Context) -> Iterator[Mistake]:
    """Check that excluded images exist, and that images of every class remain."""
    steps = context.steps.value.by_name
    partial = {name: step for name, step in steps.items() if step.section.exclude}
    if not partial:
        return
    manifest = yield from context.manifest.check()
    if manifest is None:
        return
    for name, step in partial.items():
        location = ("steps", name, "exclude")
        if not step.plugin.needs_data:
            yield location, f"{step.plugin.name} uses no images: leave it out."
            continue
        for within, message in exclude.mistakes(manifest, step.section.exclude, context.task_name):
            yield (*location, *within), f"{dotted(location)}: {message}"


def open_set(context: Context) -> Iterator[Mistake]:
    """Check that a filter accepts one of two classes, and that images of other kinds exist."""
    section = context.recipe.evaluate.open_set if context.recipe else None
    if section is None:
        return
    location = ("evaluate", "open_set")
    if context.task_name != CLASSIFICATION:
        yield location, _needs_classes(context, "open_set", "evaluates filters of two classes")
        return
    classes = yield from context.labels.check()
    if classes and len(classes) != 2:
        yield (
            location,
            f"a filter tells two classes apart, but the data has {list_names(classes)}: leave "
            f"open_set out, or use data of two classes.",
        )
    elif classes and section.accepts not in classes:
        yield (*location, "accepts"), unknown_class("accepts", section.accepts, classes)
    yield from context.near_misses.mistakes


def hard_negatives(context: Context) -> Iterator[Mistake]:
    """Check that the label of hard negatives is one of the classes."""
    section = context.view.data.section.hard_negatives if context.view.data else None
    if section is None:
        return
    if context.task_name != CLASSIFICATION:
        location = ("data", "hard_negatives")
        yield location, _needs_classes(context, "hard_negatives", "makes images of a class")
        return
    classes = yield from context.labels.check()
    if classes and section.label not in classes:
        yield ("data", "hard_negatives", "label"), unknown_class("label", section.label, classes)


def specificity(context: Context) -> Iterator[Mistake]:
    """Check that a specificity is asked only of classes."""
    section = context.recipe.evaluate if context.recipe else None
    asked = section is not None and "specificity" in section.model_fields_set
    if asked and context.task_name != CLASSIFICATION:
        yield (
            ("evaluate", "specificity"),
            _needs_classes(context, "specificity", "chooses the threshold of a class"),
        )


def _needs_classes(context: Context, field: str, what: str) -> str:
    return f"{field} {what}, and the task {context.task_name!r} has no classes: leave it out."
