"""Runs the checks that packages bring."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import pandas as pd

from pupila.data_checks import Fact, Severity
from pupila.errors import PupilaError
from pupila.plugin import DataCheck
from pupila.plugin_registry import installed
from pupila_flows.data.validation.dataset_checks import SHOWN_IMAGES
from pupila_flows.recipe.expectations import Bounds


@dataclass(frozen=True)
class Expected:
    """An expectation of Great Expectations on the table of all images."""

    name: str
    severity: Severity
    expectation: Any


def checks_for(task: str) -> list[DataCheck]:
    """Return the installed checks that can check data of a task."""
    return [check for check in installed().all(DataCheck) if check.can_check(task)]


def plugin_checks(frame: pd.DataFrame, bounds: Bounds, task: str) -> Iterator[Fact | Expected]:
    """Yield what the installed checks answer to the table of all images.

    Raises:
        PupilaError: a check answers neither a `Fact` nor an expectation.
        PluginFailed: the code of a check raised an error.
    """
    for check in checks_for(task):
        with installed().calling(check):
            config = check.config.model_validate(bounds.checks.get(check.name, {}))
            answer = check.load()(frame.copy(), config)
        yield _named(check, answer)


def _named(check: DataCheck, answer: Any) -> Fact | Expected:
    """Return an answer whose name says which check of which package it is from."""
    expectations: Any = import_module("great_expectations.expectations")
    origin = installed().origin(check)
    source = f"({check.name} of {origin.distribution})"
    if isinstance(answer, Fact) and _is_number(answer.value):
        return replace(
            answer,
            name=f"{answer.name} {source}",
            column=check.name,
            value=float(answer.value),
            images=tuple(answer.images)[:SHOWN_IMAGES],
        )
    if isinstance(answer, expectations.Expectation):
        title = getattr(answer, "description", None) or check.summary
        stops = bool(answer.severity == "critical")
        return Expected(f"{title} {source}", "error" if stops else "warning", answer)
    raise PupilaError(
        f"{origin.title} answered {answer!r}, where a `Fact` with a finite value or an expectation "
        f"of Great Expectations was expected: correct the plugin, or uninstall it."
    )


def _is_number(value: object) -> bool:
    try:
        return math.isfinite(float(value))  # pyright: ignore[reportArgumentType] - that is asked
    except (TypeError, ValueError):
        return False
