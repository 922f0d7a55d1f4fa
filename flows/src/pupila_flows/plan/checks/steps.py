"""Checks of the section `steps`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.plugin import Exporter, StepPlugin
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.plan import PlannedStep


def settings(context: Context) -> Iterator[Mistake]:
    """Plugins must be installed, and take the settings and the number of inputs."""
    yield from context.steps.mistakes


def inputs(context: Context) -> Iterator[Mistake]:
    """Inputs must be teachers or steps, and steps must not depend on each other in a circle."""
    yield from context.order.mistakes


def pages(context: Context) -> Iterator[Mistake]:
    """Nothing may be made from what shows figures of the test images: it is made after all else."""
    steps = context.steps.value.by_name
    for name, step in steps.items():
        for each in step.section.inputs:
            plugin = steps[each].plugin if each in steps else None
            if isinstance(plugin, Exporter) and plugin.shows_metrics:
                yield (
                    ("steps", name, "from"),
                    f"{each!r} shows figures on the test images, so nothing can be made from it: "
                    f"give {name!r} the models themselves.",
                )


def formats(context: Context) -> Iterator[Mistake]:
    """Formats must fit along the graph; a mismatch names the step that is missing between."""
    for name in context.order.value:
        step = context.steps.value.by_name.get(name)
        if step is None or not step.plugin.accepts:
            continue  # a plugin that accepts nothing takes no input; another check counts these
        for each in step.section.inputs:
            have = context.formats.get(each)
            if have and have not in step.plugin.accepts:
                yield ("steps", name, "from"), _mismatch(context, step, each, have)


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
