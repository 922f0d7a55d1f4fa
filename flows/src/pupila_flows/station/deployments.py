"""The deployments of a recipe, as plain values: flow, schedule, triggers and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pupila.errors import PupilaError, nearest
from pupila_flows.plan.form import form_of
from pupila_flows.plan.reading import read_plan
from pupila_flows.station.night import Night
from pupila_flows.station.retrained import resource_id
from pupila_flows.teachers import PREFIX, TeacherStore
from pupila_flows.workspace import Workspace

POOL = "pupila"
WORKER = "station"
"""Name of the worker that a station starts."""
TAG = "pupila-station"
"""Tag of a station's deployments, by which those of earlier recipes are found and removed."""


@dataclass(frozen=True)
class Deployment:
    """A Prefect deployment: a flow, its parameters, and what starts it."""

    name: str
    flow: Literal["compress", "sweep"]
    description: str
    tags: tuple[str, ...]
    parameters: dict[str, str]
    form: dict[str, Any]
    """JSON schema of the flow's parameter `changes`, which the UI shows as a form."""
    night: Night | None = None
    """When the deployment runs; None without a schedule."""
    teachers: tuple[str, ...] = ()
    """Resource ids of teachers; retraining one of them starts the deployment."""


def deployments_of(recipes: Sequence[Path], workspace: Path, night: Night) -> list[Deployment]:
    """Return the deployments of recipes: for runs by hand, at night, and after retraining.

    Raises:
        PupilaError: two recipes have the same name, or the time zone or cron schedule is invalid.
        RecipeError: a recipe cannot run.
    """
    _check_timezone(night.timezone)
    _check_cron(night.cron)
    plans = [
        read_plan(
            recipe.resolve(),
            teacher_store=TeacherStore.of(workspace),
            cache=Workspace(workspace).cache,
        )
        for recipe in recipes
    ]
    names = [plan.recipe.name for plan in plans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise PupilaError(
            f"Two recipes are named {twice!r}: their deployments would have the same names. "
            "Rename one."
        )
    deployments: list[Deployment] = []
    for plan in plans:
        name, tags = plan.recipe.name, (TAG, plan.recipe.name)
        deployment = partial(
            Deployment,
            parameters={"recipe": str(plan.file), "workspace": str(workspace)},
            form=form_of(plan),
        )
        deployments += [
            deployment(f"{name}-on-demand", "compress", f"Run {name}, with any changes.", tags),
            deployment(
                f"{name}-nightly",
                "compress",
                f"Remake what of {name} depends on new data or teachers; else do nothing.",
                (*tags, "nightly"),
                night=night,
            ),
        ]
        teachers = tuple(
            resource_id(teacher.path.removeprefix(PREFIX))
            for teacher in plan.recipe.teachers.values()
            if teacher.path.startswith(PREFIX)
        )
        if teachers:
            deployments.append(
                deployment(
                    f"{name}-retrained",
                    "compress",
                    f"Remake what of {name} depends on a teacher that was added to the store.",
                    (*tags, "retrained"),
                    teachers=teachers,
                )
            )
        if plan.recipe.sweep:
            description = f"Run {name} with every combination of the values in its `sweep`."
            deployments.append(deployment(f"{name}-on-demand", "sweep", description, tags))
    return deployments


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from zoneinfo import available_timezones

        raise PupilaError(
            f"{name!r} is not a time zone.{nearest(name, available_timezones())} "
            "Give a name like 'Europe/Berlin'."
        ) from None


def _check_cron(cron: str) -> None:
    if cron == Night.cron:
        return
    from prefect.client.schemas.schedules import CronSchedule  # takes seconds

    try:
        CronSchedule(cron=cron)
    except ValueError:
        raise PupilaError(
            f"{cron!r} is not a cron schedule: give minute, hour, day of month, month and day of "
            f"week, as in {Night.cron!r}."
        ) from None
