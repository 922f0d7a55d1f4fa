"""Checks of the section `gate`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import join_names, nearest
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.graph import Graph

_OF_EVERY_MANIFEST = ("path", "label", "split")


def asks(context: Context) -> Iterator[Mistake]:
    """A gate must ask something of a first version, and of groups only what it asks of all."""
    section = _section(context)
    if section is None:
        return
    if not section.asks:
        yield (
            ("gate",),
            "gate asks nothing: give `margins`, `limits` or `fidelity`, or leave them out for "
            "margins and fidelity.",
        )
    elif not section.asks_of_first:
        yield (
            ("gate", "published"),
            "gate.published alone asks nothing of a first version, with which there is nothing to "
            "compare: give `margins` or `limits` too.",
        )
    if section.groups and not (section.margins.asked or section.against_published.asked):
        yield (
            ("gate", "groups"),
            "gate.groups asks for the margins in each group, and there are none: give `margins`, "
            "or leave `groups` out.",
        )


def judged(context: Context) -> Iterator[Mistake]:
    """What the gate judges must be models of steps, with a teacher where it compares with one."""
    section, graph = _section(context), context.graph
    if section is None:
        return
    for number, name in enumerate(section.steps):
        reason = _cannot_be_judged(name, section, graph)
        if reason:
            yield ("gate", "steps", number), reason
    if section.steps or not _compares(section):
        return
    for name in filter(graph.uses_features_only, graph.judged_by_default()):
        plugin = graph.steps[name].plugin
        yield (
            ("gate",),
            f"gate judges {name!r}, the last of its branch, and it has no teacher to be "
            f"compared with: {plugin and plugin.name} takes no more than features from one. Name "
            f"other steps in `gate.steps`, or ask only for limits (`margins: {{}}`).",
        )


def published(context: Context) -> Iterator[Mistake]:
    """A gate can compare with what is published only where the recipe publishes."""
    section = _section(context)
    publishes = context.recipe is not None and context.recipe.publish is not None
    if section is not None and section.published is not None and not publishes:
        yield (
            ("gate", "published"),
            "gate.published compares with what is published, but the recipe has no `publish`: add "
            "it, or leave this out.",
        )
    if section is not None and section.anchor != "first" and not publishes:
        yield (
            ("gate", "anchor"),
            "gate.anchor names a published version, but the recipe has no `publish`: add it, or "
            "leave this out.",
        )


def groups(context: Context) -> Iterator[Mistake]:
    """Groups must be columns of the manifest."""
    section = _section(context)
    if section is None or not section.groups:
        return
    manifest = yield from context.manifest.checked()
    if manifest is None:
        return
    columns = [name for name in manifest.columns if name not in _OF_EVERY_MANIFEST]
    for number, column in enumerate(section.groups):
        if column not in columns:
            known = f"it has {join_names(columns)}" if columns else "it has none"
            yield (
                ("gate", "groups", number),
                f"the data has no column {column!r} beside path, label and split; {known}."
                f"{nearest(column, columns)}",
            )


def _section(context: Context) -> GateSection | None:
    return context.recipe.gate if context.recipe else None


def _cannot_be_judged(name: str, section: GateSection, graph: Graph) -> str | None:
    """Say why the gate cannot judge a step; None where it can."""
    if name not in graph.steps:
        return f"{name!r} is no step: the gate judges what a step made.{nearest(name, graph.steps)}"
    plugin = graph.steps[name].plugin
    if plugin and not plugin.evaluated:
        return f"{name!r} uses {plugin.name}, whose artifacts are not judged: leave it out."
    if _compares(section) and not graph.teachers(name):
        return (
            f"{name!r} has no teacher behind it to be compared with: leave it out, or ask only "
            f"for limits (`margins: {{}}`)."
        )
    return None


def _compares(section: GateSection) -> bool:
    """Whether anything is asked against a teacher."""
    return bool(section.margins.asked) or section.limits.agreement is not None
