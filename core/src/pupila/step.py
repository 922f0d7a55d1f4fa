"""What a technique or exporter receives and returns, and the workers it may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pupila.artifact import Artifact, Threshold
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import Metrics
from pupila.measured import Measured
from pupila.plugin import Config
from pupila.predictions import Predictions
from pupila.runtime import Progress
from pupila.spec import InputSpec, OutputSpec

ConfigT = TypeVar("ConfigT", bound="Config")


class SubTaskFailed(Exception):
    """A subtask's process crashed twice, or every machine that ran it was lost."""


class WorkerPool(Protocol):
    """Other machines, which run subtasks of a step, each in its own process."""

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what `target(progress=…, **arguments)` returns on a free machine.

        That machine sees the same files. `target` is a module-level function; arguments and result
        are JSON values. Several threads may call at once. If a machine is lost, another one starts
        this subtask again and finds the files written so far. `name` becomes part of a file name;
        two attempts with one `name` never run at the same time.

        Raises:
            PupilaError: the function raised one, or no machine can run it.
            SubTaskFailed: its process crashed twice (on two machines if there are two), or every
                machine that ran it was lost.
            Exception: any other, when all machines were lost. Do not catch it: the step is retried.
        """
        ...


@dataclass(frozen=True)
class Step(Generic[ConfigT]):
    """Everything that a technique or exporter receives."""

    config: ConfigT
    inputs: tuple[Artifact, ...]
    output: Path
    """An empty folder: write the model's files here and nothing else."""
    scratch: Path
    """A folder that survives a crash: put checkpoints here, and a retry finds them."""
    seed: int
    dataset: Dataset | None
    """Training and validation images; None where the plugin declares `needs_data=False`.

    The test images are only for evaluation.
    """
    predictions: Predictions
    """Predictions of any artifact on any images, computed once and cached."""
    progress: Progress
    unproven: bool = False
    """Whether its teachers may be no better than chance: the recipe allows it for one of them."""
    worker_pool: WorkerPool | None = None
    """Machines for subtasks, where its plugin `uses_workers` and the run has some."""
    input_metrics: tuple[Metrics | None, ...] = ()
    """Metrics of each input on the test images, where its plugin `shows_metrics`; None for an input
    that was not evaluated: it has other classes than the data, was never trained, or failed."""

    @property
    def images(self) -> Dataset:
        """The dataset, for a plugin that needs one.

        Raises:
            PupilaError: the step has no dataset.
        """
        if self.dataset is None:
            raise PupilaError(
                "The step was given no images: declare `needs_data=True` of its plugin, and give "
                "it a dataset."
            )
        return self.dataset

    def split(self, *names: str) -> Dataset:
        """Return the images of one split, or of several as one dataset.

        Raises:
            PupilaError: the step has no dataset, or a split has no image.
        """
        return self.images.select(*names)


_KEPT = ("input", "output", "parameters", "macs", "sparsity", "untrained")


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """Describes the files that a technique or exporter wrote; it returns this."""

    format: str
    input: InputSpec
    output: OutputSpec
    parameters: int | None = None
    macs: int | None = None
    sparsity: float | None = None
    """Fraction of the weights that pruning set to 0; None where it did not."""
    untrained: bool = False
    """Whether the weights are random: size and speed are measured, answers are not evaluated."""
    shipped: str | None = None
    """Name of the one file that goes to a device, where the others are only needed to build it."""
    threshold: Threshold | None = None
    """Operating threshold of exactly these files: another format of the model has its own."""
    measured: Measured = field(default_factory=Measured)
    """What the step measured: models of `pupila.measured`, and other values as JSON."""

    @classmethod
    def like(cls, model: Artifact, *, format: str, **changes: Any) -> StepResult:
        """Describe `model` in another format: input, output and cost are its own.

        `changes` replaces fields, or adds others.
        """
        kept = {name: getattr(model.record, name) for name in _KEPT}
        return cls(format=format, **(kept | changes))
