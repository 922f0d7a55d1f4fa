"""Checks of `data.expectations`: the settings of checks that packages bring."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from pupila.errors import PupilaError, join_names
from pupila.plugin import DataCheck
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.errors import mistakes


def settings(context: Context) -> Iterator[Mistake]:
    """Check that checks are installed, fit the task, and take the settings."""
    section = context.view.data.section if context.view.data else None
    for name, given in section.expectations.checks.items() if section else ():
        location = ("data", "expectations", "checks", name)
        try:
            check = context.plugins.find(DataCheck, name)
        except PupilaError as error:
            yield location, str(error)
            continue
        if not check.can_check(context.task_name):
            yield (
                location,
                f"{name} cannot check the task {context.task_name!r}, only "
                f"{join_names(sorted(check.tasks))}: leave it out.",
            )
            continue
        try:
            with context.plugins.calling(check, ValidationError):
                check.config.model_validate(given)
        except ValidationError as error:
            yield from mistakes(error, context.source, check.config, location)
