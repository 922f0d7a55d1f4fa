"""Descriptors: what a plugin tells about itself, without importing its implementation.

`implementation` names a callable as `"module:attribute"`; it is imported only in the process that
runs it. Listing plugins therefore never imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pupila.artifact import Artifact, Threshold
from pupila.contract import InputContract, OutputContract
from pupila.dataset import Dataset
from pupila.evaluation import Startup
from pupila.predictions import Predictions

ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """Base of every plugin's settings: frozen, refuses unknown fields, infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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


class Progress(Protocol):
    """Told how far a long step is; `done` out of `total`, in units that `what` names.

    A terminal shows the first line of `what`; below it may stand Markdown, such as a table of what
    was found so far, which is shown on Prefect's page too.
    """

    def __call__(self, done: int, total: int, what: str) -> None: ...


class PartFailed(Exception):
    """The process of a part crashed twice, or took every machine along; the message says how."""


class Crew(Protocol):
    """Other machines, which do parts of a step; each part in a process of its own."""

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what `target(progress=…, **arguments)` returns on a machine that is free.

        That machine sees the same files. `target` is a function of a module; arguments and answer
        are JSON values. Threads may call side by side. A machine that is lost costs this part
        alone, which another one begins anew: what it had written is there. Two tries of one `name`,
        which is part of a file's name, never run at once.

        Raises:
            PupilaError: the function raised one, or no machine can do it.
            PartFailed: its process crashed twice, on two machines where there are two, or each
                machine that did it was lost.
            Exception: of any other kind, when all machines were lost: let it pass, and the step is
                tried again.
        """
        ...


@dataclass(frozen=True)
class Step(Generic[ConfigT]):
    """All that a technique or exporter is given."""

    config: ConfigT
    inputs: tuple[Artifact, ...]
    output: Path
    """An empty folder: write the model's files here, and nothing else."""
    scratch: Path
    """A folder that outlives a crash: checkpoints go here, and a retry finds them."""
    seed: int
    dataset: Dataset | None
    """Training and validation images; None where the plugin declares `needs_data=False`.

    The test images are kept for judgement alone.
    """
    predictions: Predictions
    """Predictions of any artifact on any images, computed once and kept."""
    progress: Progress
    crew: Crew | None = None
    """Machines for parts of it, where its plugin `spreads` and the run has some."""


_KEPT = ("input", "output", "parameters", "macs", "sparsity", "untrained")


@dataclass(frozen=True, kw_only=True)
class Product:
    """What a technique or exporter returns: a description of the files it wrote."""

    format: str
    input: InputContract
    output: OutputContract
    parameters: int | None = None
    macs: int | None = None
    sparsity: float | None = None
    """Fraction of the weights that pruning set to 0; None where it did not."""
    untrained: bool = False
    """Whether the weights are random: size and speed are measured, answers are not judged."""
    shipped: str | None = None
    """Name of the one file that a device gets, where others only help to build."""
    threshold: Threshold | None = None
    """Operating threshold; it is of these very files, so another form of a model has none."""
    measured: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was measured in the making, as JSON. A sentence under `warning` the report shows."""

    @classmethod
    def like(cls, model: Artifact, *, format: str, **changes: Any) -> Product:
        """Describe another form of `model`: same contracts and cost unless `changes` says so."""
        kept = {name: getattr(model.record, name) for name in _KEPT}
        return cls(format=format, **(kept | changes))


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What all kinds of plugin have: a name, one line of summary, and where the code is."""

    kind: ClassVar[str]
    name: str
    summary: str
    implementation: str

    def load(self) -> Callable[..., Any]:
        """Import and return the implementation."""
        module, _, attribute = self.implementation.partition(":")
        return getattr(import_module(module), attribute)


@dataclass(frozen=True, kw_only=True)
class StepPlugin(Plugin):
    """A plugin that a recipe's step can name; its implementation maps `Step` to `Product`."""

    accepts: frozenset[str]
    """Formats of the inputs; empty with `max_inputs=0`."""
    produces: str
    """Format of what it makes; empty where that is the format of its one input."""
    config: type[Config] = Config
    min_inputs: int = 1
    max_inputs: int | None = 1
    """None means any number."""
    needs_data: bool = False
    judged: bool = True
    """Whether what it makes is a model that answers; a site, say, is none."""
    features_only: bool = False
    """Whether it uses the features of its inputs and not their answers: they may tell other classes
    apart than the data. What it makes tells those of the data apart."""
    spreads: bool = False
    """Whether it has its work done in parts by `Step.crew` and itself mostly waits for them."""


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


@dataclass(frozen=True, kw_only=True)
class Student(Plugin):
    """A small architecture by name.

    Its implementation is `build(input: InputContract, classes: int) -> keras.Model`, which takes
    raw RGB `(batch, height, width, 3)` in 0..255 and gives logits `(batch, classes)`.
    """

    kind: ClassVar[str] = "student"
    size: int
    """Rows and columns of the input where a recipe names none, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Loader(Plugin):
    """Reads a model file that a user brings.

    `recognises` looks at names and magic bytes only. The implementation is
    `load(source: Path, output: OutputContract, folder: Path) -> Product`: it writes the model into
    `folder` in the format `produces`, and raises `PupilaError` for what it must refuse.
    """

    kind: ClassVar[str] = "loader"
    produces: str
    """Empty for a loader that refuses all that it recognises: recipes are then told at once."""
    recognises: Callable[[Path], bool]


class OpenModel(Protocol):
    """A model opened in its runtime. Images are uint8 `(n, height, width, 3)`."""

    @property
    def runtime(self) -> str:
        """Name and version of what computes, with its backend: `"LiteRT 2.3.0, XNNPACK"`."""
        ...

    @property
    def threads(self) -> int:
        """How many threads compute: what was asked for, or what the runtime has."""
        ...

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs as float32 `(n, columns)` (dequantised where need be)."""
        ...

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Time `repeats` single-image inferences, after a warm-up, in milliseconds each."""
        ...

    def peak_memory_bytes(self) -> int | None:
        """Largest resident memory so far of what computes; None where it is not to be known."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class OpenPage(Protocol):
    """An open model that lies in a page, which had to be loaded first."""

    def startup(self) -> Startup: ...


@dataclass(frozen=True, kw_only=True)
class Runner(Plugin):
    """Opens artifacts of one format.

    Its implementation is `open(artifact: Artifact, threads: int) -> OpenModel`.
    """

    kind: ClassVar[str] = "runner"
    format: str
    judges: bool = True
    """Whether artifacts of its format are judged in it. In others they are only tried, where a
    recipe names them in `evaluate.runtimes`."""
    threaded: bool = True
    """Whether it can compute with several threads."""
    environment: Callable[[], str] | None = None
    """Tells what else answers and times depend on, a browser's version say: another one is tried
    anew."""
