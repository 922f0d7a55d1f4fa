"""Descriptors: what a plugin declares about itself, without importing its implementation.

`implementation` names a callable as `"module:attribute"`; it is imported only in the process that
runs it. Listing plugins therefore never imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every plugin's settings: frozen, refuses unknown fields, infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    former_names: ClassVar[Mapping[str, str]] = {}
    """Settings that were renamed, as `{"old": "new"}`: the error for a recipe with the old name
    gives the new one. Those of base classes count too."""
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """The same for values that were renamed, by setting: `{"setting": {"old": "new"}}`."""

    def uses(self) -> Sequence[Plugin]:
        """Return the other plugins that the result depends on.

        When one of them has a new version, the step runs again.
        """
        return ()

    def check_inputs(self, count: int) -> None:
        """Make sure, before a run, that these settings fit a step of `count` inputs.

        Raises:
            PupilaError: they do not.
        """

    def check_classes(self, classes: Sequence[str]) -> None:
        """Make sure, before a run, that these settings fit data of these classes.

        Raises:
            PupilaError: they do not.
        """


def import_object(name: str) -> Callable[..., Any]:
    """Import and return what `"module:attribute"` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What every kind of plugin has: a name, a one-line summary, and where its code is."""

    kind: ClassVar[str]
    name: str
    summary: str
    implementation: str
    environment: Callable[[], str] | None = None
    """Returns what results depend on besides the Python packages that the plugin's package
    requires: a browser's version, JavaScript packages. When it changes, results are made again."""

    def load(self) -> Callable[..., Any]:
        """Import and return the implementation."""
        return import_object(self.implementation)


ANY_FORMAT = frozenset({"*"})
"""Formats of a step that asks its inputs for no more than answers: all that a runner opens."""


@dataclass(frozen=True, kw_only=True)
class StepPlugin(Plugin):
    """A plugin that a recipe's step can name; its implementation maps `Step` to `StepResult`."""

    accepts: frozenset[str]
    """Formats of the inputs; empty with `max_inputs=0`. `ANY_FORMAT` stands for all formats that
    installed runners open: `PluginRegistry` replaces it by those."""
    produces: str
    """Format of the output; empty where it is the format of its one input."""
    config: type[Config] = Config
    min_inputs: int = 1
    max_inputs: int | None = 1
    """None means any number."""
    needs_data: bool = False
    evaluated: bool = True
    """Whether the output is a model that can be evaluated; a site, for example, is not."""
    features_only: bool = False
    """Whether it uses the features of its inputs and not their answers: their classes may then
    differ from those of the data. The output has the classes of the data."""
    uses_workers: bool = False
    """Whether `Step.worker_pool` does its work in subtasks, for which it mostly waits."""

    def output_format(self, input_formats: Sequence[str]) -> str:
        """Return the format of the output for inputs of these formats; empty if unknown."""
        return self.produces or (input_formats[0] if input_formats else "")


@dataclass(frozen=True, kw_only=True)
class Technique(StepPlugin):
    """Makes a better model from models and data: distill, quantize-…, prune-…"""

    kind: ClassVar[str] = "technique"
    seeded: bool = False
    """Whether another seed gives another model: `repeat` then runs it with several."""
    control: str | None = None
    """Technique without inputs that trains in the same way but without a teacher.

    Its settings are a subset of this one's; with them it takes as many steps per epoch. It is run
    too, unless a recipe says `control: false`, so that the report shows what the teacher adds.
    """


@dataclass(frozen=True, kw_only=True)
class Exporter(StepPlugin):
    """Converts one model to another format without changing its answers: export-…"""

    kind: ClassVar[str] = "exporter"
    shows_metrics: bool = False
    """Whether the output shows the metrics of its inputs on the test images, as a site does: the
    step then runs after they are evaluated, and gets them as `Step.input_metrics`. The output must
    not be a model."""


@dataclass(frozen=True, kw_only=True)
class Student(Plugin):
    """A small architecture by name.

    Its implementation is `build(input: InputSpec, classes: int) -> keras.Model`, which takes
    raw RGB `(batch, height, width, 3)` in 0..255 and returns logits `(batch, classes)`.
    `pupila.training.student.build_student` calls it, and refuses any other kind of model.
    """

    kind: ClassVar[str] = "student"
    size: int
    """Rows and columns of the input in pixels, unless the recipe sets them."""


@dataclass(frozen=True, kw_only=True)
class Loader(Plugin):
    """Reads a model file that a user brings.

    `recognises` looks at names and magic bytes only. The implementation is
    `load(source: Path, output: OutputSpec, folder: Path) -> StepResult`: it writes the model into
    `folder` in the format `produces`, and raises `PupilaError` for what it must refuse.
    """

    kind: ClassVar[str] = "loader"
    produces: str
    """Empty for a loader that refuses every file it recognises: recipes then fail at once."""
    recognises: Callable[[Path], bool]


@dataclass(frozen=True, kw_only=True)
class Runner(Plugin):
    """Opens artifacts of one format.

    Its implementation is `open(artifact: Artifact, threads: int) -> OpenModel`.
    """

    kind: ClassVar[str] = "runner"
    format: str
    primary: bool = True
    """Whether artifacts of its format are evaluated in it. Other runners are only checked, where
    a recipe names them in `evaluate.runtimes`."""
    threaded: bool = True
    """Whether it can compute with several threads."""
    check: str | None = None
    """Where the function `check(artifact: Artifact) -> None` is, as `"module:attribute"`. It is
    called before any artifact of its format is imported or opened, and raises `PupilaError` for one
    that would run code or reach outside the model."""


@dataclass(frozen=True, kw_only=True)
class Shift(Plugin):
    """A family of alterations: one way in which images from another site differ from the data.

    Its implementation is `alter(images, severity, random) -> images`: it takes uint8
    `(n, height, width, 3)` and returns values 0..255 of the same shape and any type. `severity` is
    `mild`, `middle` or `strong`. All random numbers come from `random`, a `numpy.random.Generator`,
    so that a seed always gives the same images. `pupila.shift.alter` calls it.
    """

    kind: ClassVar[str] = "shift"
