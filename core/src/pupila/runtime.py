"""Interfaces of a model opened in its runtime, and of progress reports."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Startup


class Progress(Protocol):
    """A callback for progress: `done` out of `total`, in the units that `what` names.

    A terminal shows the first line of `what`. Markdown may follow on further lines, such as a table
    of results so far; it is shown on Prefect's page.
    """

    def __call__(self, done: int, total: int, what: str) -> None: ...


def ignore_progress(done: int, total: int, what: str) -> None:
    """Show no progress."""


class OpenModel(Protocol):
    """A model opened in its runtime. Images are uint8 `(n, height, width, 3)`."""

    @property
    def runtime(self) -> str:
        """Name and version of what computes, with its backend: `"LiteRT 2.3.0, XNNPACK"`."""
        ...

    @property
    def threads(self) -> int:
        """Number of threads that compute: as requested, or what the runtime has."""
        ...

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs as float32 `(n, columns)`, dequantised if needed."""
        ...

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Return the times in milliseconds of `repeats` inferences of one image, after warm-up."""
        ...

    def peak_memory_bytes(self) -> int | None:
        """Return the largest resident memory so far of the computing process; None if unknown."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class OpenPage(Protocol):
    """An open model in a web page, which had to be loaded first."""

    def startup(self) -> Startup: ...
