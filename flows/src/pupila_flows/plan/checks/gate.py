"""Checks of the section `gate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pupila.errors import join_names, nearest
from pupila.result_plugins import GateCondition, Metric
from pupila_flows.data.exclude import unknown_column
from pupila_flows.gate.added import checks_of
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.task_fields import find_task
from pupila_flows.recipe.errors import dotted
from pupila_flows.recipe.gate import GateSection, Limits, Margins, default_margins
from pupila_flows.recipe.graph import Graph


def asks(context: Context) -> Iterator[Mistake]:
    """Check that the gate has a condition for a first version, and margins if it has groups."""
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


def steps(context: Context) -> Iterator[Mistake]:
    """Check that the gate's steps make models, and have teachers if the gate needs teachers.

    Without `gate.steps`, the default steps are checked.
    """
    section, graph = _section(context), context.graph
    if section is None:
        return
    for number, name in enumerate(section.steps):
        reason = _objection(name, section, graph)
        if reason:
            yield ("gate", "steps", number), reason
    if section.steps or not _compares(section):
        return
    for name in filter(graph.uses_features_only, graph.default_gate_steps()):
        plugin = graph.steps[name].plugin
        yield (
            ("gate",),
            f"gate checks {name!r}, the last of its branch, which has no teacher to be "
            f"compared with: {plugin and plugin.name} takes only features from one. Name "
            f"other steps in `gate.steps`, or ask only for limits (`margins: {{}}`).",
        )
    for name in graph.default_gate_steps():
        if not graph.teachers(name) and not graph.uses_features_only(name):
            yield (
                ("gate",),
                f"gate checks {name!r}, the last of its branch, which no teacher of `teachers` is "
                f"behind: say which step it is compared with (`against: NAME` in it), or ask only "
                f"for limits (`margins: {{}}`).",
            )


def published(context: Context) -> Iterator[Mistake]:
    """Check that the recipe has a section `publish` if the gate names a published version."""
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
    """Check that the gate's groups are columns of the manifest."""
    section = _section(context)
    if section is None or not section.groups:
        return
    manifest = yield from context.manifest.check()
    if manifest is None:
        return
    for number, column in enumerate(section.groups):
        if message := unknown_column(column, manifest):
            yield ("gate", "groups", number), message


def margins(context: Context) -> Iterator[Mistake]:
    """Check that models of the data's task have what the gate sets margins for."""
    section, task = _section(context), context.task_name
    if section is None or find_task(task) is None:
        return
    sections = {
        ("margins",): section.margins,
        ("published",): section.published,
        ("external", "margins"): section.external.margins,
    }
    for path, asked in sections.items():
        for field, margin in asked.asked.items() if asked else ():
            location = ("gate", *path, field)
            fault = _fault_of_margin(field, margin, task, context.plugins.all(Metric))
            if fault:
                yield location, f"{dotted(location)}{fault}"


def limits(context: Context) -> Iterator[Mistake]:
    """Check that the gate's limits are conditions that are installed, for the data's task."""
    section, task = _section(context), context.task_name
    conditions = {plugin.name: plugin for plugin in context.plugins.all(GateCondition)}
    for field in section.limits.asked if section else ():
        location = ("gate", "limits", field)
        if field in Limits.model_fields:
            continue
        if field not in conditions:
            names = [*Limits.model_fields, *conditions]
            hint = nearest(field, names)
            known = join_names(names)
            yield location, f"{dotted(location)} is not a known field.{hint} Known: {known}."
        elif not conditions[field].fits(task):
            yield (
                location,
                f"{dotted(location)}: {field} cannot check models of the task {task!r}, only of "
                f"{join_names(sorted(conditions[field].tasks))}: leave it out.",
            )


def _fault_of_margin(field: str, margin: float, task: str, metrics: Sequence[Metric]) -> str | None:
    """Say what is wrong with a margin, after the name of its location; None if nothing is."""
    known = default_margins(task).asked
    metric = next((metric for metric in metrics if metric.name == field), None)
    if field in known:
        return None
    if metric is None and field not in Margins.model_fields:
        usable = [metric.name for metric in metrics if metric.fits(task) and metric.takes_margin]
        names = [*known, *usable]
        return f" is not a known field.{nearest(field, names)} Known: {join_names(names)}."
    if metric is None or not metric.fits(task):
        only = f", only {join_names(known)}" if metric is None else ""
        return f": models of the task {task!r} have no {field}{only}: leave it out."
    if not metric.takes_margin or metric.bounds is None:
        return (
            f": the gate cannot compare two models by {metric.title}, which needs a value for each "
            f"image with bounds: leave it out."
        )
    width = metric.bounds[1] - metric.bounds[0]
    if margin >= width:
        return (
            f" is {margin:g}: expected less than {width:g}, as {metric.title} lies between "
            f"{metric.bounds[0]:g} and {metric.bounds[1]:g}."
        )
    return None


def _section(context: Context) -> GateSection | None:
    return context.recipe.gate if context.recipe else None


def _objection(name: str, section: GateSection, graph: Graph) -> str | None:
    """Say why the gate cannot check a step; None if it can."""
    if name not in graph.steps:
        hint = nearest(name, graph.steps)
        return f"{name!r} is not a step: the gate checks models of steps.{hint}"
    plugin = graph.steps[name].plugin
    if plugin and not plugin.evaluated:
        return f"{name!r} uses {plugin.name}, whose artifacts are not evaluated: leave it out."
    if _compares(section) and not graph.teachers(name):
        return (
            f"{name!r} has no teacher behind it to be compared with: leave it out, say in it which "
            f"step it is compared with (`against: NAME`), or ask only for limits (`margins: {{}}`)."
        )
    return None


def _compares(section: GateSection) -> bool:
    """Whether the gate compares with a teacher."""
    limits = [*checks_of(frozenset(section.limits.asked))]
    needs = any(isinstance(limit, GateCondition) and limit.needs_teacher for limit in limits)
    return bool(section.margins.asked) or section.limits.agreement is not None or needs
