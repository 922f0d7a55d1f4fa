"""Adds to a recipe the steps that settings of its steps ask for, such as a site's own filter.

They become part of the recipe before it is checked, so a run makes, remembers and shows them like
any others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pupila.errors import PupilaError
from pupila.plugin import AddedStep, Config, GivenModel
from pupila.plugin_registry import installed
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Checking, Mistake
from pupila_flows.plan.plan import PlannedStep
from pupila_flows.plan.view import mapping
from pupila_flows.recipe.source import Location, Source


def add_steps(context: Context) -> Checking[Source | None]:
    """Return the recipe with the steps that its settings ask for; None if they ask for none."""
    asked: dict[str, Sequence[AddedStep]] = {}
    for name, step in context.steps.value.by_name.items():
        added = yield from _asked(context, step)
        faults = [*_faults(context, name, added)]
        yield from faults
        asked |= {name: added} if added and not faults else {}
    return _with_steps(context.source, asked, context) if asked else None


def _asked(context: Context, step: PlannedStep) -> Checking[Sequence[AddedStep]]:
    """Return the steps that a step's settings ask for."""
    if type(step.config).added_steps is Config.added_steps:
        return ()
    try:
        with installed().calling(step.plugin):
            return step.config.added_steps(step.name, list(_behind(context, step)))
    except PupilaError as error:
        yield ("steps", step.name, "with"), str(error)
        return ()


def _behind(context: Context, step: PlannedStep) -> Iterator[GivenModel]:
    """Yield the first input of a step, then the first input of that, and so on."""
    seen: set[str] = set()
    inputs = step.section.inputs
    while inputs and inputs[0] not in seen:
        name = inputs[0]
        seen.add(name)
        yield context.given_model(name)
        before = context.view.steps.get(name)
        inputs = before.section.inputs if before else ()


def _faults(context: Context, step: str, added: Sequence[AddedStep]) -> Iterator[Mistake]:
    """Yield why steps cannot be added: a name is taken, or a plugin is not installed."""
    location = ("steps", step, "with")
    for extra in added:
        if extra.name in (context.view.names or ()):
            yield (
                location,
                f"{step!r} adds a step {extra.name!r}, and the recipe has that name already: give "
                f"yours another.",
            )
        try:
            context.plugins.step(extra.use)
        except PupilaError as error:
            yield location, f"{step!r} adds a step that uses {extra.use!r}. {error}"


def _with_steps(
    source: Source, asked: Mapping[str, Sequence[AddedStep]], context: Context
) -> Source:
    """Return a recipe with steps added, each before the step that asks for it, and on its line."""
    steps: dict[str, Any] = {}
    lines: dict[Location, int] = {}
    for name, section in mapping(source.value.get("steps")).items():
        added = asked.get(name, ())
        for extra in added:
            steps[extra.name] = _section(extra)
            lines["steps", extra.name] = source.problem(("steps", name, "with"), "").line
        if added:
            inputs = [*context.view.steps[name].section.inputs, added[-1].name]
            others = {key: value for key, value in section.items() if key != "inputs"}
            section = others | {"from": inputs}
        steps[name] = section
    return replace(source, value=source.value | {"steps": steps}, lines=source.lines | lines)


def _section(step: AddedStep) -> dict[str, Any]:
    return {"use": step.use, "from": list(step.inputs), "with": dict(step.config)}
