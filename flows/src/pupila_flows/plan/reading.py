"""Turns a recipe file into a plan that can run, and reports all mistakes at once, with lines.

Libraries that only steps need are not imported, so checking a recipe takes a fraction of a second.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pupila.data_source import AUTOMATIC
from pupila.plugin_registry import PluginRegistry, installed
from pupila_flows.plan.added_steps import add_steps
from pupila_flows.plan.checker import check_recipe
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import find_out
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.view import RecipeView
from pupila_flows.plan.warnings import warnings_of
from pupila_flows.recipe.errors import explain
from pupila_flows.recipe.overrides import Changes, apply_changes
from pupila_flows.recipe.requires import missing_packages
from pupila_flows.recipe.schema import Recipe
from pupila_flows.recipe.source import Problem, RecipeError, Source, read_source
from pupila_flows.teachers import TeacherStore


def read_plan(
    file: Path,
    registry: PluginRegistry | None = None,
    changes: Changes | None = None,
    teacher_store: TeacherStore | None = None,
    cache: Path | None = None,
) -> Plan:
    """Read and check a recipe file.

    Paths in the file are relative to its folder; `${NAME}` and `${NAME:-default}` stand for
    environment variables.

    Args:
        file: The recipe.
        registry: The available plugins; by default all installed plugins.
        changes: Changes that a run makes to the file's settings.
        teacher_store: Where teachers with a path `teacher:NAME` are looked up.
        cache: Folder below which a reader of the data may write image files.

    Raises:
        RecipeError: the recipe has mistakes; the error lists all of them.
        PupilaError: the file cannot be read.
    """
    source = read_source(file)
    source = apply_changes(source, changes) if changes else source
    if missing := list(missing_packages(source)):  # all other mistakes may follow from this one
        raise RecipeError(missing)
    plugins = registry or installed()
    context, problems = _read(source, plugins, teacher_store, cache)
    added = find_out(add_steps(context))
    if added.value:
        context, problems = _read(added.value, plugins, teacher_store, cache)
    source, recipe = context.source, context.recipe
    problems += [source.problem(location, message) for location, message in added.mistakes]
    problems += check_recipe(context)
    data = context.data.value
    if problems or recipe is None or data is None:
        raise RecipeError(problems)
    return Plan(
        file=source.file,
        text=source.text,
        recipe=recipe,
        data=data,
        teachers=context.teachers.value,
        steps=tuple(context.steps.value.by_name[name] for name in context.order.value),
        near_misses=context.near_misses.value,
        external=context.external.value,
        address=context.cluster.value,
        tls=context.tls.value,
        registry=context.model_registry.value,
        reader=context.reader.value or AUTOMATIC,
        warnings=tuple(source.problem(*warning) for warning in warnings_of(context)),
    )


def _read(
    source: Source, plugins: PluginRegistry, teacher_store: TeacherStore | None, cache: Path | None
) -> tuple[Context, list[Problem]]:
    """Return a recipe with what its checks need, and the problems with single fields."""
    recipe, wrong_fields = None, list[Problem]()
    try:
        recipe = Recipe.model_validate(source.value)
    except ValidationError as error:
        wrong_fields = explain(error, source, Recipe)
    view = RecipeView.of(source.value)
    if view.misfits:
        recipe = None
        wrong_fields += [source.problem(location, message) for location, message in view.misfits]
    return Context(source, view, recipe, plugins, teacher_store, cache), wrong_fields
