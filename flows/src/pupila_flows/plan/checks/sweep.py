"""Checks of the section `sweep`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from pupila.errors import PupilaError
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.plan import PlannedStep, configure, split_key
from pupila_flows.plan.steps import fit_task, fits_classes, fits_inputs
from pupila_flows.recipe.errors import explain

_Path = tuple[str, ...]


def axes(context: Context) -> Iterator[Mistake]:
    """Check that each axis varies a setting of a step, and that no setting has two axes."""
    if context.recipe is None:
        return
    known: dict[str, _Path] = {}
    for key, values in context.recipe.sweep.items():
        try:
            name, path = split_key(key, context.recipe.steps)
        except PupilaError as error:
            yield ("sweep", key), str(error)
            continue
        for other, whole in known.items():
            if _lies_within((name, *path), whole) or _lies_within(whole, (name, *path)):
                yield (
                    ("sweep", key),
                    f"{other!r} and {key!r} name the same setting: keep one of them.",
                )
        known[key] = name, *path
        step = context.steps.value.by_name.get(name)
        if step:
            yield from _values(context, key, values, step, path)


def chosen(context: Context) -> Iterator[Mistake]:
    """Check that the recipe has a section `shift` if `choose_by` is `fidelity`."""
    recipe = context.recipe
    if recipe and recipe.choose_by == "fidelity" and recipe.shift is None:
        yield (
            ("choose_by",),
            "`choose_by` is 'fidelity', but that is measured on altered images, only with a "
            "section `shift`: add `shift: {}`, or choose by `accuracy`.",
        )


def _values(
    context: Context, key: str, values: Iterable[Any], step: PlannedStep, path: _Path
) -> Iterator[Mistake]:
    """Check that each value is valid for the setting, and that no two are equal."""
    known: dict[str, Any] = {}
    for number, value in enumerate(values):
        location = ("sweep", key, number)
        try:
            config = configure(step, {path: value})
        except ValidationError as error:
            within = ("steps", step.name, "with")
            problems = explain(error, context.source, step.plugin.config, within)
            yield location, problems[0].message
            continue
        if step.name not in context.steps.value.misfits:
            yield from fit_task(context, location, step.plugin, config)
            yield from fits_inputs(location, step.plugin, config, step.section)
            yield from fits_classes(context, location, step.plugin, config)
        made = config.model_dump_json()
        if made in known:
            same = f"{value!r} is the same setting as {known[made]!r}: keep one of them."
            yield location, same
        known[made] = value


def _lies_within(path: _Path, whole: _Path) -> bool:
    return path[: len(whole)] == whole
