"""Checks of the section `steps`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.plugin import Exporter, StepPlugin
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.plan import PlannedStep


def settings(context: Context) -> Iterator[Mistake]:
    """Check that each step's plugin is installed, and accepts its settings and number of inputs."""
    yield from context.steps.mistakes


def inputs(context: Context) -> Iterator[Mistake]:
    """Check that inputs are teachers or steps, and that steps do not form a cycle."""
    yield from context.order.mistakes


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
