"""Rules for teachers whose classes differ from those of the data, such as a filter.

A step must not learn from the predictions of these teachers on the data. Models made from these
teachers must not be evaluated on the data. A technique that uses only features may take any
teacher.
"""

from __future__ import annotations

from collections.abc import Collection

from pupila.errors import list_names, nearest
from pupila.plugin import Technique
from pupila_flows.recipe.graph import Graph

_SPELT = 3
"""Maximum number of unknown classes for which the nearest label is suggested."""


def bound(teacher: str, graph: Graph, *, screens: bool) -> str | None:
    """Return why a teacher must have the classes of the data; None if other classes are allowed.

    `screens` tells whether the teacher is the filter of `data.screen`. Steps whose plugin is
    unknown are ignored.
    """
    after = graph.working_on(teacher)
    for name in after:
        plugin = graph.steps[name].plugin
        if isinstance(plugin, Technique) and plugin.needs_data:
            return f"{name!r} ({plugin.name}) works on it with these images"
    if not graph.is_complete:
        return None
    within = {parent for name in after for parent in graph.steps[name].inputs}
    for name in after:
        plugin = graph.steps[name].plugin
        if plugin and plugin.evaluated and name not in within:
            return f"what {name!r} ({plugin.name}) makes of it is evaluated on these images"
    if after or screens or gives_no_answers(teacher, graph):
        return None
    return "it is evaluated on these images, as no step works on it"


def gives_no_answers(teacher: str, graph: Graph) -> bool:
    """Tell whether steps use a teacher, but not its answers to the images of the data.

    They use only its features, or it comes before the last model of a chain.
    """
    used = any(teacher in step.inputs for step in graph.steps.values())
    return used and not graph.working_on(teacher)


def other_task(teacher: str, own: str, data: str, reason: str) -> str:
    """Say that a teacher has learned another task than that of the data."""
    return (
        f"Teacher {teacher!r} has learned {own}, and the data is labelled for {data}: give a model "
        f"of that task, since {reason}."
    )


def labels_of(data: str, labels: Collection[str]) -> str:
    """Say which labels the images in the folder or CSV `data` have."""
    what = "labels" if data.lower().endswith(".csv") else "folders of classes"
    return f"the {what} in {data!r} are {list_names(labels)}"


def misspelt(given: Collection[str], labels: Collection[str]) -> str:
    """Suggest the nearest unused label for each class that no image has."""
    unnamed = [label for label in labels if label not in given]
    unknown = [name for name in given if name not in labels]
    return "".join(
        f" {name!r} is not one of them.{nearest(name, unnamed)}" for name in unknown[:_SPELT]
    )
