"""Descriptors: what a plugin tells about itself, without importing its implementation.

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
    """Settings that were renamed, as `{"old": "new"}`: a recipe that has the old name is told the
    new one. Those of base classes count too."""
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """The same for values that were renamed, by setting: `{"setting": {"old": "new"}}`."""

    def uses(self) -> Sequence[Plugin]:
        """Return the other plugins that a result depends on: a new version of one remakes."""
        return ()

    def check_inputs(self, count: int) -> None:
        """Make sure that these settings fit a step of `count` inputs; asked before a run.

        Raises:
            PupilaError: they do not.
        """

    def check_classes(self, classes: Sequence[str]) -> None:
        """Make sure that these settings fit data of these classes; asked before a run.

        Raises:
            PupilaError: they do not.
        """


def import_object(name: str) -> Callable[..., Any]:
    """Import and return what `"module:attribute"` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What all kinds of plugin have: a name, one line of summary, and where the code is."""

    kind: ClassVar[str]
    name: str
    summary: str
    implementation: str
    environment: Callable[[], str] | None = None
    """Tells what results depend on beside the Python packages that the plugin's package requires: a
    browser's version, JavaScript packages. With another one they are made again."""

    def load(self) -> Callable[..., Any]:
        """Import and return the implementation."""
        return import_object(self.implementation)


ANY_FORMAT = frozenset({"*"})
"""Formats of a step that asks its inputs for no more than answers: all that a runner opens."""


@dataclass(frozen=True, kw_only=True)
class StepPlugin(Plugin):
    """A plugin that a recipe's step can name; its implementation maps `Step` to `StepResult`."""

    accepts: frozenset[str]
    """Formats of the inputs; empty with `max_inputs=0`. `ANY_FORMAT` stands for those of the
    installed runners: a `PluginRegistry` puts them in its place."""
    produces: str
    """Format of what it makes; empty where that is the format of its one input."""
    config: type[Config] = Config
    min_inputs: int = 1
    max_inputs: int | None = 1
    """None means any number."""
    needs_data: bool = False
    evaluated: bool = True
    """Whether what it makes is a model that answers; a site, say, is none."""
    features_only: bool = False
    """Whether it uses the features of its inputs and not their answers: they may tell other classes
    apart than the data. What it makes tells those of the data apart."""
    uses_workers: bool = False
    """Whether `Step.worker_pool` does its work in sub-tasks, for which it mostly waits."""

    def makes(self, given: Sequence[str]) -> str:
        """Return the format of what it makes of inputs of these formats; empty if unknown."""
        return self.produces or (given[0] if given else "")


@dataclass(frozen=True, kw_only=True)
class Technique(StepPlugin):
    """Makes a better model out of models and data: distill, quantize-…, prune-…"""

    kind: ClassVar[str] = "technique"
    seeded: bool = False
    """Whether another seed gives another model: `repeat` then runs it with several."""
    control: str | None = None
    """Technique without inputs that trains alike but learns from no teacher.

    Its settings are some of this one's; with them it takes as many steps an epoch. It is run beside
    this one, unless a recipe says `control: false`, so that a report can tell what the teacher is
    worth.
    """


@dataclass(frozen=True, kw_only=True)
class Exporter(StepPlugin):
    """Puts one model into another format without changing what it answers: export-…"""

    kind: ClassVar[str] = "exporter"
    shows_metrics: bool = False
    """Whether what it makes shows the figures of its inputs on the test images, as a site does: it
    is run once they are judged, and finds them in `Step.figures`. No model may be made so."""


@dataclass(frozen=True, kw_only=True)
class Student(Plugin):
    """A small architecture by name.

    Its implementation is `build(input: InputSpec, classes: int) -> keras.Model`, which takes
    raw RGB `(batch, height, width, 3)` in 0..255 and gives logits `(batch, classes)`.
    `pupila.training.student.build_student` calls it, and refuses another model.
    """

    kind: ClassVar[str] = "student"
    size: int
    """Rows and columns of the input where a recipe names none, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Loader(Plugin):
    """Reads a model file that a user brings.

    `recognises` looks at names and magic bytes only. The implementation is
    `load(source: Path, output: OutputSpec, folder: Path) -> StepResult`: it writes the model into
    `folder` in the format `produces`, and raises `PupilaError` for what it must refuse.
    """

    kind: ClassVar[str] = "loader"
    produces: str
    """Empty for a loader that refuses all that it recognises: recipes are then told at once."""
    recognises: Callable[[Path], bool]


@dataclass(frozen=True, kw_only=True)
class Runner(Plugin):
    """Opens artifacts of one format.

    Its implementation is `open(artifact: Artifact, threads: int) -> OpenModel`.
    """

    kind: ClassVar[str] = "runner"
    format: str
    primary: bool = True
    """Whether artifacts of its format are judged in it. In others they are only tried, where a
    recipe names them in `evaluate.runtimes`."""
    threaded: bool = True
    """Whether it can compute with several threads."""
    check: str | None = None
    """Where the function `check(artifact: Artifact) -> None` is, as `"module:attribute"`. Before an
    artifact of its format is taken over or opened, whoever made that, it raises `PupilaError` for
    what would run code, or reach outside the model."""


@dataclass(frozen=True, kw_only=True)
class Shift(Plugin):
    """A way in which images of another place differ from those at home: a family of alterations.

    Its implementation is `alter(images, severity, random) -> images`: uint8 `(n, height, width, 3)`
    become values 0..255 of the same shape, of any type. `severity` is `mild`, `middle` or `strong`;
    what is drawn comes from `random`, a `numpy.random.Generator`, so that the same seed makes the
    same images. `pupila.shift.alter` calls it.
    """

    kind: ClassVar[str] = "shift"
