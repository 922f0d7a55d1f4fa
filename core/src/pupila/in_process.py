"""Base class of models that compute in this process, one image at a time."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from pupila.memory import peak_memory_bytes
from pupila.pinning import pin
from pupila.runtime import Progress

_WARM_UP_RUNS = 5


class InProcessModel(ABC):
    """An `OpenModel` that a library runs in this process.

    A subclass opens the model in `__init__`, sets `runtime` and `threads` (see `OpenModel`), and
    defines `set_image`, `invoke`, `values` and `close`. Timing, pinning and memory are done here. A
    library that computes several images at once also overrides `predict`.
    """

    runtime: str
    threads: int

    @abstractmethod
    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Put one image `(height, width, 3)` where the model reads it; this is not timed."""

    @abstractmethod
    def invoke(self) -> None:
        """Compute the image that was set; this is timed."""

    @abstractmethod
    def values(self) -> NDArray[np.float32]:
        """Return a copy of the raw outputs `(columns,)` of the last image, dequantised."""

    @abstractmethod
    def close(self) -> None:
        """Free the model."""

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`."""
        outputs: list[NDArray[np.float32]] = []
        for done, image in enumerate(images, start=1):
            self.set_image(image)
            self.invoke()
            outputs.append(self.values())
            progress(done, len(images), "images")
        return np.stack(outputs)

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Return the milliseconds of each of `repeats` runs, after five untimed runs.

        `image` is uint8 `(height, width, 3)`. All threads, which the untimed runs start, are pinned
        to as many cores as the model has threads. Only `invoke` is timed. The image is set before
        each run, since a run may overwrite its input.
        """
        for _ in range(_WARM_UP_RUNS):
            self._timed_ms(image)
        with pin(self.threads):
            return [self._timed_ms(image) for _ in range(repeats)]

    def peak_memory_bytes(self) -> int:
        """Return the peak resident memory of this process in bytes."""
        return peak_memory_bytes()

    def _timed_ms(self, image: NDArray[np.uint8]) -> float:
        self.set_image(image)
        start = time.perf_counter()
        self.invoke()
        return (time.perf_counter() - start) * 1000
