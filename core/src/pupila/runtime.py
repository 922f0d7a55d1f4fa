"""Interfaces of a model that is opened in its runtime, and of a callback for progress reports."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Startup


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
