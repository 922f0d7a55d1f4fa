"""A model that was opened in its runtime, and how long work tells how far it is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Startup


class Progress(Protocol):
    """Told how far a long step is; `done` out of `total`, in units that `what` names.

    A terminal shows the first line of `what`; below it may stand Markdown, such as a table of what
    was found so far, which is shown on Prefect's page too.
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
