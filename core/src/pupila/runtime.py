"""Interfaces of a model that is opened in its runtime, and of a callback for progress reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Threshold
from pupila.evaluation import Startup
from pupila.spec import OutputSpec


class Progress(Protocol):
    """A callback for progress: `done` out of `total`, in the units that `what` names.

    A terminal shows the first line of `what`. Further lines may be Markdown for Prefect's page,
    such as a table of the results so far.
    """

    def __call__(self, done: int, total: int, what: str) -> None: ...


def ignore_progress(done: int, total: int, what: str) -> None:
    """Ignore a progress report."""


class OpenModel(Protocol):
    """A model opened in its runtime. Images are uint8 `(n, height, width, 3)`."""

    @property
    def runtime(self) -> str:
        """Name, version and backend of the runtime: `"LiteRT 2.3.0, XNNPACK"`."""
        ...

    @property
    def threads(self) -> int:
        """Number of threads that compute: as requested, or as the runtime decides."""
        ...

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs as float32 `(n, columns)`, dequantised if needed."""
        ...

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Return the times in milliseconds of `repeats` inferences of one image, after warm-up."""
        ...

    def peak_memory_bytes(self) -> int | None:
        """Return the peak resident memory of the process that computes; None if unknown."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class OpenPage(Protocol):
    """An open model that runs in a web page; `startup` returns how long the page takes to start."""

    def startup(self) -> Startup: ...


class Fate(IntEnum):
    """What a stage of a model did with an image."""

    NOT_REACHED = 0
    """An earlier stage turned it away, or it skipped this stage."""
    PASSED = 1
    TURNED_AWAY = 2
    RECOGNISED = 3
    """It is a crop already, so it skips the stages that would crop it."""


@dataclass(frozen=True)
class Stage:
    """A stage of a model of several stages: its name, and what it answers."""

    name: str
    output: OutputSpec
    threshold: Threshold | None = None
    """The threshold that ships with the stage, if any."""


class StagedModel(OpenModel, Protocol):
    """An open model of several stages, which may turn images away.

    The runner of its format names a function that returns the stages: see `pupila.plugin.Runner`.
    """

    def trace(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return what each stage did with each image, `(n, columns)`.

        For each stage in order, the first column is a `Fate`. The next ones are the stage's answers
        (see `pupila.task`), or NaN for images that did not reach it. The answers of the last stage
        are left out: they are those of the whole model.
        """
        ...
