"""The plan of a run: a recipe whose plugins, settings, files and teachers are checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pupila.artifact import Artifact
from pupila.data_source import AUTOMATIC, ReaderChoice
from pupila.errors import PupilaError, nearest
from pupila.pixel_scaling import Preprocess
from pupila.plugin import Config, Loader, StepPlugin
from pupila.plugin_registry import PluginRegistry, installed
from pupila.spec import OutputSpec
from pupila.store import read_artifact
from pupila_flows.data.external.listing import Listing
from pupila_flows.plan import class_rules
from pupila_flows.plan.view import mapping
from pupila_flows.recipe.external import ExternalSection
from pupila_flows.recipe.graph import Graph, Vertex
from pupila_flows.recipe.schema import Recipe, ScreenSection, StepSection, TeacherSection
from pupila_flows.recipe.source import Problem
from pupila_flows.recipe.tls import TlsFiles


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher that can be used: a model file that a loader reads, or an artifact."""

    name: str
    path: Path
    format: str
    spec: OutputSpec
    preprocess: Preprocess = "none"
    """Scaling of pixels outside the model file, which its loader builds into the model."""
    artifact: Artifact | None = None
    """The artifact, if the teacher already is one; None if its model file must be imported."""
    training_images: Path | None = None
    """File that lists the teacher's training images, if the teacher store has such a file."""


@dataclass(frozen=True)
class PlannedStep:
    """A step with its plugin and its validated settings."""

    name: str
    section: StepSection
    plugin: StepPlugin
    config: Config
    control: StepPlugin | None
    """Plugin that trains the control; None if the technique has none or `control` is false."""


@dataclass(frozen=True)
class PlannedExternal:
    """An external set of the recipe whose images were found."""

    name: str
    section: ExternalSection
    listing: Listing
    """Images of the evaluated split, with labels as written, not yet mapped to classes."""


@dataclass(frozen=True)
class Plan:
    """A checked recipe; each of `steps` comes after its inputs."""

    file: Path
    text: str
    recipe: Recipe
    data: Path
    teachers: tuple[PlannedTeacher, ...]
    steps: tuple[PlannedStep, ...]
    reader: ReaderChoice = AUTOMATIC
    """What reads the data."""
    near_misses: Path | None = None
    """Path of the images of other kinds, on which every artifact is evaluated as a filter."""
    address: str | None = None
    """Address of the cluster's scheduler; None if steps run on this machine."""
    external: tuple[PlannedExternal, ...] = ()
    """Images of other hospitals, on which models are only evaluated."""
    tls: TlsFiles | None = None
    """Certificates for connecting to the cluster; None to use Dask's own configuration."""
    registry: str | None = None
    """Address of the registry that `publish` names; None if it names none."""
    warnings: tuple[Problem, ...] = ()
    """What a user should know of steps before a run, with their lines; nothing is wrong."""

    def bound(self, teacher: str) -> str | None:
        """Return why a teacher must have the classes of the data; None if it need not have them."""
        screened = screens(self.recipe.data.screen, teacher)
        return class_rules.bound(teacher, self.graph, screens=screened)

    def gives_no_answers(self, teacher: str) -> bool:
        """Tell whether steps use a teacher, but not its answers to the images of the data."""
        return class_rules.gives_no_answers(teacher, self.graph)

    @property
    def unproven(self) -> tuple[str, ...]:
        """Names of the teachers that need not be above chance."""
        sections = self.recipe.teachers.items()
        return tuple(name for name, section in sections if section.unproven)

    @cached_property
    def graph(self) -> Graph:
        """The graph of the steps."""
        return Graph(
            {step.name: vertex(step.section, step.plugin, step.config) for step in self.steps}
        )

    @property
    def reads(self) -> tuple[Path, ...]:
        """Paths that must exist on every machine that runs a step."""
        return self.data, *(teacher.path for teacher in self.teachers)

    def swept(self, step: str) -> dict[str, tuple[str, ...]]:
        """Map each key of `sweep` that varies a setting of `step` to the path of that setting."""
        split = {key: split_key(key, self.recipe.steps) for key in self.recipe.sweep}
        return {key: path for key, (name, path) in split.items() if name == step}


def vertex(section: StepSection, plugin: StepPlugin | None, config: Config | None) -> Vertex:
    """Return the vertex of a step in a graph."""
    return Vertex(
        section.inputs,
        plugin,
        excludes=bool(section.exclude),
        against=section.against,
        own_classes=config is not None and config.own_classes is not None,
    )


def screens(section: ScreenSection | None, teacher: str) -> bool:
    """Tell whether a teacher is the filter that screens the data, by the section `data.screen`."""
    return section is not None and section.teacher == teacher


def split_key(key: str, steps: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Split `step.setting` into the name of the step and the path of the setting.

    Names of steps may have dots, and settings may be nested.

    Raises:
        PupilaError: the key does not begin with the name of a step.
    """
    matches = [name for name in steps if key.startswith(f"{name}.")]
    if not matches:
        first = key.partition(".")[0]
        raise PupilaError(
            f"{key!r} must be `step.setting`, and {first!r} is not a step.{nearest(first, steps)}"
        )
    step = max(matches, key=len)
    return step, tuple(key.removeprefix(f"{step}.").split("."))


def configure(step: PlannedStep, changes: Mapping[tuple[str, ...], Any]) -> Config:
    """Return a step's settings with changes; `changes` maps paths of settings to new values.

    Raises:
        ValidationError: the changed settings are invalid.
    """
    config = step.config.model_dump()
    for path, value in changes.items():
        within = config
        for name in path[:-1]:
            within[name] = mapping(within.get(name))
            within = within[name]
        within[path[-1]] = value
    with installed().calling(step.plugin, ValidationError):
        return step.plugin.config.model_validate(config)


def planned_artifact(name: str, path: Path, registry: PluginRegistry) -> PlannedTeacher:
    """Return a teacher that already is an artifact, published or from another workspace.

    Raises:
        PupilaError: the artifact was altered, or no installed plugin runs its format.
    """
    artifact = read_artifact(path)
    registry.runner(artifact.format)
    return PlannedTeacher(name, path, artifact.format, artifact.record.output, artifact=artifact)


def preprocess_fault(loader: Loader, path: Path, preprocess: Preprocess) -> str | None:
    """Return why a scaling of pixels cannot be built into a model file; None if it can."""
    if preprocess == "none" or loader.builds_in_scaling:
        return None
    return (
        f"preprocess: {preprocess!r} cannot be built into {str(path)!r}, as the loader "
        f"{loader.name!r} builds no scaling in: put it inside the model in the program that made "
        f"it, save the model again and leave `preprocess` out."
    )


def contradictions(
    section: TeacherSection, spec: OutputSpec, whose: str = "the artifact's"
) -> Iterator[tuple[str, str]]:
    """Yield the name of each field of `section` that contradicts a model's record, and a message.

    Any `preprocess` does, since a model with a record has its scaling built in.
    `spec` is the model's output as the record states it. In the message, `whose` stands before the
    word "record".
    """
    differing: dict[str, tuple[object, object]] = {}
    if section.task not in (None, spec.task):
        differing["task"] = section.task, spec.task
    if section.classes not in (None, spec.classes):
        differing["classes"] = list(section.classes), list(spec.classes)
    if section.output not in (None, spec.kind):
        differing["output"] = section.output, spec.kind
    for name, (given, recorded) in differing.items():
        reason = f"{given!r} is not what {whose} record says, {recorded!r}"
        yield name, f"{name}: {reason}: leave it out."
    if section.preprocess != "none":
        yield (
            "preprocess",
            f"preprocess: {whose} model takes raw RGB 0..255 already, as any scaling was built in "
            f"when it was made or added: leave it out.",
        )
