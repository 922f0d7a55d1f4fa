"""Plans the steps of a recipe: finds their plugins and validates their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from pydantic import ValidationError

from pupila.errors import PupilaError, nearest
from pupila.plugin import Config, StepPlugin, Technique
from pupila.plugin_registry import installed
from pupila_flows.plan.facts import Checking, RecipeFacts
from pupila_flows.plan.plan import PlannedStep
from pupila_flows.plan.view import RecipeView, ValidSection
from pupila_flows.recipe.errors import mistakes
from pupila_flows.recipe.schema import StepSection
from pupila_flows.recipe.source import Location


@dataclass(frozen=True)
class PlannedSteps:
    """The steps with an installed plugin and valid settings."""

    by_name: Mapping[str, PlannedStep]
    misfits: frozenset[str]
    """Steps whose settings do not fit their inputs, or the task or classes of the data."""


def plan_steps(facts: RecipeFacts) -> Checking[PlannedSteps]:
    """Return the steps with an installed plugin and valid settings, in the order of the recipe."""
    planned: dict[str, PlannedStep] = {}
    misfits: set[str] = set()
    for name, valid in facts.view.steps.items():
        location, section = ("steps", name), valid.section
        try:
            plugin = facts.plugins.step(section.use)
        except PupilaError as error:
            yield (*location, "use"), str(error)
            continue
        count_fits = valid.says("inputs") and (yield from _fits_count(location, section, plugin))
        control = yield from _control(facts, location, section, plugin)
        config = yield from _config(facts, location, valid, plugin)
        if config is None:
            continue
        within = (*location, "with")
        can_do = plugin.can_do(facts.task_name)  # if not, `checks.steps.tasks` refuses it
        fitted = (yield from fit_task(facts, within, plugin, config)) if can_do else config
        known = can_do and fitted is not None  # if not, classes would be another complaint
        classes_fit = not known or (yield from fits_classes(facts, within, plugin, config))
        inputs_fit = count_fits and (yield from fits_inputs(within, plugin, config, section))
        planned[name] = PlannedStep(name, section, plugin, fitted or config, control)
        misfits |= set() if fitted and classes_fit and inputs_fit else {name}
    return PlannedSteps(planned, frozenset(misfits))


def order_steps(view: RecipeView) -> Checking[tuple[str, ...]]:
    """Return the names of steps, each after its inputs; empty if the steps form a cycle."""
    graph: dict[str, list[str]] = {}
    for name, valid in view.steps.items():
        against = valid.section.against
        named = [("from", parent) for parent in valid.section.inputs]
        named += [("against", against)] if against else []
        graph[name] = [parent for _, parent in named if parent in view.steps]
        for field, parent in named:
            if view.names is not None and parent not in view.names:
                yield (
                    ("steps", name, field),
                    f"{parent!r} is neither a teacher nor a step.{nearest(parent, view.names)}",
                )
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        loop: list[str] = error.args[1]
        yield (
            ("steps", loop[0], "from"),
            f"steps depend on each other: {' → '.join(loop[::-1])}.",
        )
        return ()


def fit_task(
    facts: RecipeFacts, location: Location, plugin: StepPlugin, config: Config
) -> Checking[Config | None]:
    """Return settings as they are for the data's task; None if they do not fit it."""
    task = facts.task.value
    try:
        with installed().calling(plugin):
            return config.for_task(task) if task else config
    except PupilaError as error:
        yield location, str(error)
        return None


def fits_inputs(
    location: Location, plugin: StepPlugin, config: Config, section: StepSection
) -> Checking[bool]:
    """Return whether the settings of a step fit the number of its inputs."""
    try:
        with installed().calling(plugin):
            config.check_inputs(len(section.inputs))
    except PupilaError as error:
        yield location, str(error)
        return False
    return True


def fits_classes(
    facts: RecipeFacts, location: Location, plugin: StepPlugin, config: Config
) -> Checking[bool]:
    """Return whether settings fit the classes of the data; True if the classes are unknown."""
    if type(config).check_classes is Config.check_classes:
        return True  # no setting depends on them: the data need not be read
    labels = yield from facts.labels.check()
    try:
        with installed().calling(plugin):
            if labels:
                config.check_classes(labels)
    except PupilaError as error:
        yield location, str(error)
        return False
    return True


def _fits_count(location: Location, section: StepSection, plugin: StepPlugin) -> Checking[bool]:
    """Return whether a step has as many inputs as its plugin takes."""
    given, least, most = len(section.inputs), plugin.min_inputs, plugin.max_inputs
    fits = given >= least and (most is None or given <= most)
    if not fits:
        wanted = f"{least}" if most == least else f"{least} to {most}" if most else f"{least}+"
        inputs = "input" if wanted == "1" else "inputs"
        yield (
            (*location, "from"),
            f"{plugin.name} takes {wanted} {inputs} in `from`, not {given}.",
        )
    return fits


def _control(
    facts: RecipeFacts, location: Location, section: StepSection, plugin: StepPlugin
) -> Checking[StepPlugin | None]:
    """Return the technique that trains a step's control; None if there is none."""
    if not (isinstance(plugin, Technique) and plugin.control and section.control):
        return None
    try:
        return facts.plugins.step(plugin.control)
    except PupilaError as error:
        hint = "Say `control: false` to do without it."
        yield (*location, "use"), f"{plugin.name} has a control. {error} {hint}"
        return None


def _config(
    facts: RecipeFacts, location: Location, valid: ValidSection[StepSection], plugin: StepPlugin
) -> Checking[Config | None]:
    """Return a step's settings; None if they are wrong."""
    try:
        with installed().calling(plugin, ValidationError):
            return plugin.config.model_validate(valid.section.config)
    except ValidationError as error:
        if valid.says("config"):
            where = (*location, "with")
            yield from mistakes(error, facts.source, plugin.config, where)
        return None
