"""Features of images: of a frozen teacher they are kept, of what was trained they are not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, InputSpec, PupilaError, Step
from pupila.digest import short_digest
from pupila.training.batches import Images
from pupila.views import Augmentation
from pupila_oneclass.config import OneClass

_BATCH_IMAGES = 16
_CHUNK_IMAGES = 128
"""Pictures in memory at a time, where features are computed that are not kept."""

_Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Features(Images):
    """Features in the place of the pictures that they are of."""

    features: Sequence[NDArray[np.float32]] = ()
    """`(images, columns)` of each view."""

    def view(self, rows: NDArray[np.int64], number: int) -> NDArray[Any]:
        return np.asarray(self.features[number][rows])


def kept(
    step: Step[OneClass], images: Dataset, augmentation: Augmentation, net: Any
) -> list[NDArray[np.float32]]:
    """Return the teacher's features `(images, columns)` of each view, computed once for all runs.

    Raises:
        PupilaError: they are no numbers.
    """
    (teacher,), layer = step.inputs, step.config.layer
    views = step.predictions.compute(
        teacher,
        images,
        augmentation,
        step.progress,
        f"features of {layer or 'the last map'}",
        "pupila-oneclass",
        partial(_opened, net),
    )
    return [_checked(view[:], step) for view in views]


def computed(
    step: Step[OneClass], images: Dataset, size: InputSpec, net: Any
) -> NDArray[np.float32]:
    """Return the features `(images, columns)` of the images as they are.

    Raises:
        PupilaError: they are no numbers.
    """
    pixels, compute = images.pixels(size), _computing(net)
    starts = range(0, len(pixels), _CHUNK_IMAGES)
    parts = [compute(pixels[start : start + _CHUNK_IMAGES]) for start in starts]
    return _checked(np.concatenate(parts), step)


@contextmanager
def _opened(net: Any) -> Generator[_Compute]:
    yield _computing(net)


def _computing(net: Any) -> _Compute:
    net.compile(jit_compile=False)
    return partial(net.predict, batch_size=_BATCH_IMAGES, verbose=0)


def _checked(features: NDArray[np.float32], step: Step[OneClass]) -> NDArray[np.float32]:
    wrong = int((~np.isfinite(features)).any(axis=1).sum())
    if wrong:
        raise PupilaError(
            f"The {_source(step)} gives features that are NaN or infinite to {wrong} of "
            f"{len(features)} images, where numbers were expected. Check it for overflow, or name "
            f"another `layer`."
        )
    return features


def _source(step: Step[OneClass]) -> str:
    if not step.inputs:
        return f"student {step.config.student!r}"
    return f"teacher (artifact {short_digest(step.inputs[0].digest)})"
