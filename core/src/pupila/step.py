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
    """The process of a subtask crashed twice, or every machine that ran the subtask was lost."""


class WorkerPool(Protocol):
    """Machines that run subtasks of a step, each subtask in its own process."""

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Run `target(progress=…, **arguments)` on a free machine and return its result.

        The machine sees the same files as the caller. `target` is a module-level function;
        arguments and result are JSON values. Several threads may call this method at once. If a
        machine is lost, another machine starts the subtask again and finds the files written so
        far. `name` becomes part of a file name; two attempts with the same `name` never run at the
        same time.

        Raises:
            PupilaError: `target` raised it, or no machine can run `target`.
            SubTaskFailed: the subtask's process crashed twice (on two machines if there are two),
                or every machine that ran this subtask was lost.
            Exception: the whole pool was lost. Do not catch this exception: the step is retried.
        """
        ...


@dataclass(frozen=True)
class Step(Generic[ConfigT]):
    """Everything that a technique or exporter receives."""

    config: ConfigT
    """The settings, of the class that the descriptor names."""
    inputs: tuple[Artifact, ...]
    """The models of the step's `from`, in its order. Their files are read, never written."""
    output: Path
    """An empty folder: write the model's files here and nothing else."""
    scratch: Path
    """A folder that survives a crash: put checkpoints here, and a retry finds them."""
    seed: int
    """Seed of everything random: the same seed must give the same artifact."""
    dataset: Dataset | None
    """Training and validation images; None if the plugin declares `needs_data=False`.

    The test images are only for evaluation.
    """
    predictions: Predictions
    """Predictions of any artifact on any images, computed once and cached."""
    progress: Progress
    """Callback for progress: `step.progress(done, total, "epochs")`."""
    unproven: bool = False
    """Whether teachers may be no better than chance; true if the recipe allows it for one teacher.
    """
    worker_pool: WorkerPool | None = None
    """Machines for subtasks, if the plugin declares `uses_workers` and the run has any."""
    input_metrics: tuple[Metrics | None, ...] = ()
    """Metrics of each input on the test images, if the plugin declares `shows_metrics`. None stands
    for an input that was not evaluated: its classes are not those of the data, it was never
    trained, or it failed."""

    @property
    def images(self) -> Dataset:
        """The step's dataset, for plugins that declare `needs_data=True`.

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
        """Return the images of one or several splits as one dataset.

        Raises:
            PupilaError: the step has no dataset, or a split has no image.
        """
        return self.images.select(*names)


_KEPT = ("input", "output", "parameters", "macs", "sparsity", "untrained")


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a technique or exporter returns: a description of the files that it wrote."""

    format: str
    """Format of the files, as the descriptor declares it."""
    input: InputSpec
    """What images the model takes."""
    output: OutputSpec
    """What the model gives."""
    parameters: int | None = None
    """Number of trained values; None if it is not known."""
    macs: int | None = None
    """Number of multiplications of one inference; None if it is not known."""
    sparsity: float | None = None
    """Fraction of the weights that pruning set to 0; None without such pruning."""
    untrained: bool = False
    """Whether the weights are random; then only size and speed are measured, not answers."""
    shipped: str | None = None
    """Name of the one file that goes to a device, if the other files only serve to build it."""
    threshold: Threshold | None = None
    """Operating threshold of exactly these files; the model in another format needs its own."""
    measured: Measured = field(default_factory=Measured)
    """What the step measured: models of `pupila.measured`, and other values as JSON."""

    @classmethod
    def like(cls, model: Artifact, *, format: str, **changes: Any) -> StepResult:
        """Describe files that a step made from `model`; input, output and cost are the model's.

        `format` is the format of the new files. `changes` sets other fields of the result, or
        replaces values that come from the model.
        """
        kept = {name: getattr(model.record, name) for name in _KEPT}
        return cls(format=format, **(kept | changes))
