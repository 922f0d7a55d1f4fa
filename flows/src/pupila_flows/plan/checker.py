"""Runs every check of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pupila_flows.plan.checks import (
    expectations,
    external,
    gate,
    images,
    plugins,
    publish,
    runtimes,
    shift,
    steps,
    sweep,
    teachers,
)
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.source import Problem

Check = Callable[[Context], Iterator[Mistake]]

CHECKS: tuple[Check, ...] = (
    images.task,
    images.reader,
    images.data,
    images.classes,
    teachers.names,
    teachers.models,
    steps.settings,
    teachers.tasks,
    teachers.classes,
    images.positive,
    images.screen,
    expectations.settings,
    images.excluded,
    images.open_set,
    runtimes.cluster,
    publish.artifacts,
    publish.destination,
    images.hard_negatives,
    images.specificity,
    external.images,
    external.margins,
    steps.inputs,
    steps.tasks,
    steps.models,
    steps.own_classes,
    steps.against,
    sweep.axes,
    sweep.chosen,
    runtimes.installed,
    runtimes.runners,
    gate.asks,
    gate.steps,
    gate.published,
    gate.groups,
    gate.margins,
    gate.limits,
    shift.families,
    publish.withheld,
    steps.formats,
    steps.pages,
    plugins.code,
)
"""Independent checks of every recipe; mistakes on the same line are reported in this order."""
CHECKS_OF_A_VALID_RECIPE: tuple[Check, ...] = (runtimes.used,)
"""Checks that would mislead in a recipe with other mistakes; they run only if there are none."""


def check_recipe(context: Context) -> list[Problem]:
    """Return the problems of a recipe that pydantic's validation of single fields does not find."""
    problems = run_checks(context, CHECKS)
    if problems or context.recipe is None:
        return problems
    return run_checks(context, CHECKS_OF_A_VALID_RECIPE)


def run_checks(context: Context, checks: Iterable[Check]) -> list[Problem]:
    """Run the checks and return the problems found.

    If several checks need the same fact (see `Fact`), mistakes in that fact are reported once.
    """
    mistakes = [mistake for check in checks for mistake in check(context)]
    once = {id(mistake): mistake for mistake in mistakes}  # see `Fact.check`
    return [context.source.problem(location, message) for location, message in once.values()]
