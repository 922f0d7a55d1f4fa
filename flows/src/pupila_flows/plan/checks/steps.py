"""Checks of the section `steps`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import PupilaError, join_names
from pupila.plugin import Exporter, StepPlugin
from pupila.plugin_registry import installed
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.plan import PlannedStep


def settings(context: Context) -> Iterator[Mistake]:
    """Check that each step's plugin is installed, and accepts its settings and number of inputs."""
    yield from context.steps.mistakes


def inputs(context: Context) -> Iterator[Mistake]:
    """Check that inputs are teachers or steps, and that steps do not form a cycle."""
    yield from context.order.mistakes


def tasks(context: Context) -> Iterator[Mistake]:
    """Check that each step, and its control, can do the task of its data and models."""
    for name, step in context.steps.value.by_name.items():
        task, location = context.tasks.get(name), ("steps", name, "use")
        if task is None:
            continue
        if not step.plugin.can_do(task):
            yield location, _cannot_do(context, step.plugin, task)
        elif step.control and not step.control.can_do(task):
            yield (
                location,
                f"{step.plugin.name} has a control. {_cannot_do(context, step.control, task)} Say "
                f"`control: false` to do without it.",
            )


def models(context: Context) -> Iterator[Mistake]:
    """Check that the settings of each step fit the models that it works on."""
    for name, step in context.steps.value.by_name.items():
        if name in context.steps.value.misfits:
            continue
        try:
            with installed().calling(step.plugin):
                step.config.check_models(context.given_models(step))
        except PupilaError as error:
            yield ("steps", name, "from"), str(error)


def own_classes(context: Context) -> Iterator[Mistake]:
    """Check that nothing learns on the data from a step whose model has classes of its own."""
    for name, step in context.steps.value.by_name.items():
        if not step.plugin.needs_data:
            continue
        for given in step.plugin.answering(step.section.inputs):
            if context.graph.has_own_classes(given):
                yield (
                    ("steps", name, "from"),
                    f"{step.plugin.name} works on the answers of {given!r} to these images, and "
                    f"its classes are {join_names(context.classes.get(given, ()))}, not those of "
                    f"the data: give it another model.",
                )


def against(context: Context) -> Iterator[Mistake]:
    """Check that what a step is compared with is another model, which can be evaluated."""
    graph = context.graph
    for name, step in context.steps.value.by_name.items():
        other = step.section.against
        if other is None:
            continue
        location = ("steps", name, "against")
        planned = context.steps.value.by_name.get(other)
        if planned and not planned.plugin.evaluated:
            yield (
                location,
                f"{other!r} uses {planned.plugin.name}, whose artifacts are not evaluated: name a "
                f"model.",
            )
        elif not graph.is_evaluated(name):
            yield (
                location,
                f"{step.plugin.name} makes no model, so {name!r} is compared with nothing: leave "
                f"`against` out.",
            )


def _cannot_do(context: Context, plugin: StepPlugin, task: str) -> str:
    able = [other.name for other in context.plugins.all(type(plugin)) if other.can_do(task)]
    return (
        f"{plugin.name} cannot do the task {task!r}, only {join_names(sorted(plugin.tasks))}: "
        f"leave it out, or use what can do it ({join_names(able) or 'nothing installed'})."
    )


def pages(context: Context) -> Iterator[Mistake]:
    """Check that no step takes as input a page that shows results on the test images.

    Pages with results are made last, after all evaluations.
    """
    steps = context.steps.value.by_name
    for name, step in steps.items():
        for input_name in step.section.inputs:
            plugin = steps[input_name].plugin if input_name in steps else None
            if isinstance(plugin, Exporter) and plugin.shows_metrics:
                yield (
                    ("steps", name, "from"),
                    f"{input_name!r} shows results on the test images, so nothing can be made from "
                    f"it: give {name!r} the models themselves.",
                )


def formats(context: Context) -> Iterator[Mistake]:
    """Check that each step accepts the formats of its inputs.

    If a step does not accept an input, the message suggests a plugin for a step in between.
    """
    for name in context.order.value:
        step = context.steps.value.by_name.get(name)
        if step is None or not step.plugin.accepts:
            continue  # a plugin that accepts no format takes no input; another check counts inputs
        for input_name in step.section.inputs:
            have = context.formats.get(input_name)
            if have and have not in step.plugin.accepts:
                yield ("steps", name, "from"), _mismatch(context, step, input_name, have)


def _mismatch(context: Context, step: PlannedStep, given: str, have: str) -> str:
    wanted = step.plugin.accepts
    between = [
        plugin.name
        for plugin in context.plugins.all(StepPlugin)
        if have in plugin.accepts and plugin.produces in wanted and plugin.produces != have
    ]
    hint = f" Put a step between that uses {' or '.join(between)}." if between else ""
    return (
        f"{step.plugin.name} works on {' or '.join(sorted(wanted))}, but {given!r} is {have}.{hint}"
        f"{context.plugins.skipped()}"
    )
