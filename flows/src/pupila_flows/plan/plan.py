"""The plan of a run: a recipe whose plugins, settings, files and teachers were checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pupila.artifact import Artifact
from pupila.errors import PupilaError, nearest
from pupila.plugin import Config, StepPlugin
from pupila.plugin_registry import PluginRegistry
from pupila.spec import OutputSpec
from pupila.store import read_artifact
from pupila_flows.data.external.listing import Listing
from pupila_flows.plan import class_rules
from pupila_flows.plan.view import mapping
from pupila_flows.recipe.external import ExternalSection
from pupila_flows.recipe.graph import Graph, Vertex
from pupila_flows.recipe.schema import Recipe, ScreenSection, StepSection, TeacherSection
from pupila_flows.recipe.tls import TlsFiles


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher whose file exists and is known by a loader, or is an artifact already."""

    name: str
    path: Path
    format: str
    contract: OutputSpec
    artifact: Artifact | None = None
    """Where it lies elsewhere; None where there is a model file to be read."""
    training_images: Path | None = None
    """File that tells which images it was trained on, where the store of teachers has one."""


@dataclass(frozen=True)
class PlannedStep:
    """A step whose plugin, settings and inputs fit."""

    name: str
    section: StepSection
    plugin: StepPlugin
    config: Config
    control: StepPlugin | None
    """What trains alike without a teacher, where there is such a thing and it is wanted."""


@dataclass(frozen=True)
class PlannedExternal:
    """Images of another place that are there."""

    name: str
    section: ExternalSection
    listing: Listing
    """Of the split that is judged; labels as they are written."""


@dataclass(frozen=True)
class Plan:
    """A checked recipe; `steps` stand in an order in which they can run."""

    file: Path
    text: str
    recipe: Recipe
    data: Path
    teachers: tuple[PlannedTeacher, ...]
    steps: tuple[PlannedStep, ...]
    near_misses: Path | None = None
    """Images of other kinds on which every artifact is judged as a gate."""
    address: str | None = None
    """Scheduler of the cluster that steps run on; None where they run on this machine."""
    external: tuple[PlannedExternal, ...] = ()
    """Images of other places, by which models are only judged."""
    tls: TlsFiles | None = None
    """Certificates for talking to it; None for those of Dask's own configuration."""
    registry: str | None = None
    """Where `publish` says that it publishes to; None where it says nothing, or there is none."""

    def bound(self, teacher: str) -> str | None:
        """Say why a teacher must tell the classes of the data apart; None where it need not."""
        screened = screens(self.recipe.data.screen, teacher)
        return class_rules.bound(teacher, self.graph, screens=screened)

    def gives_only_features(self, teacher: str) -> bool:
        """Tell whether steps use the features of a teacher, and none its answers."""
        return class_rules.gives_only_features(teacher, self.graph)

    @property
    def unproven(self) -> tuple[str, ...]:
        """Teachers that need not be above chance."""
        sections = self.recipe.teachers.items()
        return tuple(name for name, section in sections if section.unproven)

    @cached_property
    def graph(self) -> Graph:
        """The steps, to be asked about."""
        return Graph({step.name: vertex(step.section, step.plugin) for step in self.steps})

    @property
    def reads(self) -> tuple[Path, ...]:
        """What every machine that a step runs on must see."""
        return self.data, *(teacher.path for teacher in self.teachers)

    def swept(self, step: str) -> dict[str, tuple[str, ...]]:
        """Return the setting's path by each key of `sweep` that speaks of a step."""
        split = {key: split_key(key, self.recipe.steps) for key in self.recipe.sweep}
        return {key: path for key, (name, path) in split.items() if name == step}


def vertex(section: StepSection, plugin: StepPlugin | None) -> Vertex:
    """Return a step of a recipe as a graph sees it."""
    return Vertex(section.inputs, plugin, excludes=bool(section.exclude))


def screens(section: ScreenSection | None, teacher: str) -> bool:
    """Tell whether a teacher screens the data."""
    return section is not None and section.teacher == teacher


def split_key(key: str, steps: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Split `step.setting` (names of steps may have dots, settings lie in settings).

    Raises:
        PupilaError: it begins with the name of no step.
    """
    found = [name for name in steps if key.startswith(f"{name}.")]
    if not found:
        first = key.partition(".")[0]
        raise PupilaError(
            f"{key!r} must be `step.setting`, and there is no step {first!r}."
            f"{nearest(first, steps)}"
        )
    step = max(found, key=len)
    return step, tuple(key.removeprefix(f"{step}.").split("."))


def configured(step: PlannedStep, changes: Mapping[tuple[str, ...], Any]) -> Config:
    """Return a step's settings with some of them replaced, by path.

    Raises:
        ValidationError: they cannot be so.
    """
    config = step.config.model_dump()
    for path, value in changes.items():
        within = config
        for name in path[:-1]:
            within[name] = mapping(within.get(name))
            within = within[name]
        within[path[-1]] = value
    return step.plugin.config.model_validate(config)


def planned_artifact(name: str, path: Path, registry: PluginRegistry) -> PlannedTeacher:
    """Return a teacher that is an artifact, of another workspace or published.

    Raises:
        PupilaError: it was altered, or no installed plugin runs its format.
    """
    artifact = read_artifact(path)
    registry.runner(artifact.format)
    return PlannedTeacher(name, path, artifact.format, artifact.record.output, artifact)


def contradictions(
    section: TeacherSection, contract: OutputSpec, whose: str = "the artifact's"
) -> Iterator[tuple[str, str]]:
    """Yield each field that says of a model what a record of it does not, and a sentence."""
    said: dict[str, tuple[object, object]] = {}
    if section.classes not in (None, contract.classes):
        said["classes"] = list(section.classes), list(contract.classes)
    if "output" in section.model_fields_set and section.output != contract.kind:
        said["output"] = section.output, contract.kind
    for name, (given, recorded) in said.items():
        reason = f"{given!r} is not what {whose} record says, {recorded!r}"
        yield name, f"{name}: {reason}: leave it out."
