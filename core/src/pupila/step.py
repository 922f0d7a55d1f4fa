"""What a technique or exporter is given, what it returns, and who helps it."""

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
    """The process of a part crashed twice, or took every machine along; the message says how."""


class WorkerPool(Protocol):
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
            SubTaskFailed: its process crashed twice, on two machines where there are two, or each
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
    unproven: bool = False
    """Whether its teachers need not be above chance: the recipe says so of one behind it."""
    worker_pool: WorkerPool | None = None
    """Machines for parts of it, where its plugin `uses_workers` and the run has some."""
    input_metrics: tuple[Metrics | None, ...] = ()
    """Of each input on the test images, where its plugin `shows_metrics`; None of one that was not
    judged, as it tells other classes apart, was never trained, or failed."""

    @property
    def images(self) -> Dataset:
        """The dataset of a plugin that needs one.

        Raises:
            PupilaError: there is none.
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
            PupilaError: there is no dataset, or a split has no image.
        """
        return self.images.select(*names)


_KEPT = ("input", "output", "parameters", "macs", "sparsity", "untrained")


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a technique or exporter returns: a description of the files it wrote."""

    format: str
    input: InputSpec
    output: OutputSpec
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
    measured: Measured = field(default_factory=Measured)
    """What was measured in the making: models of `pupila.measured`, and other figures as JSON."""

    @classmethod
    def like(cls, model: Artifact, *, format: str, **changes: Any) -> StepResult:
        """Describe another form of `model`: same contracts and cost unless `changes` says so."""
        kept = {name: getattr(model.record, name) for name in _KEPT}
        return cls(format=format, **(kept | changes))
