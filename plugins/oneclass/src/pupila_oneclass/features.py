"""Computes features of images; the features of a frozen teacher are cached."""

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
"""Number of images in memory at once when features are computed without the cache."""

_Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Features(Images):
    """Images whose augmented views are given as features instead of pixels."""

    features: Sequence[NDArray[np.float32]] = ()
    """Features `(images, columns)` of each view."""

    def view(self, rows: NDArray[np.int64], number: int) -> NDArray[Any]:
        return np.asarray(self.features[number][rows])


def cached_features(
    step: Step[OneClass], images: Dataset, augmentation: Augmentation, net: Any
) -> list[NDArray[np.float32]]:
    """Return the teacher's features `(images, columns)` of each view, from the cache if possible.

    `net` is the extractor that computes the features. All runs share the cache.

    Raises:
        PupilaError: some features are NaN or infinite.
    """
    (teacher,), layer = step.inputs, step.config.layer
    views = step.predictions.compute(
        teacher,
        images,
        augmentation,
        step.progress,
        f"features of {layer or 'the last map'}",
        "pupila-oneclass",
        partial(_open, net),
    )
    return [_check_finite(view[:], step) for view in views]


def compute_features(
    step: Step[Any], images: Dataset, size: InputSpec, net: Any
) -> NDArray[np.float32]:
    """Return the features `(images, columns)` that `net` computes from images without augmentation.

    Raises:
        PupilaError: some features are NaN or infinite.
    """
    pixels, compute = images.pixels(size), _predictor(net)
    starts = range(0, len(pixels), _CHUNK_IMAGES)
    chunks = [compute(pixels[start : start + _CHUNK_IMAGES]) for start in starts]
    return _check_finite(np.concatenate(chunks), step)


@contextmanager
def _open(net: Any) -> Generator[_Compute]:
    yield _predictor(net)


def _predictor(net: Any) -> _Compute:
    net.compile(jit_compile=False)
    return partial(net.predict, batch_size=_BATCH_IMAGES, verbose=0)


def _check_finite(features: NDArray[np.float32], step: Step[Any]) -> NDArray[np.float32]:
    wrong = int((~np.isfinite(features)).any(axis=1).sum())
    if wrong:
        raise PupilaError(
            f"The {_source(step)} gives features that are NaN or infinite to {wrong} of "
            f"{len(features)} images, where numbers were expected. Check it for overflow, or name "
            f"another `layer`."
        )
    return features


def _source(step: Step[Any]) -> str:
    if not step.inputs:
        return f"student {step.config.student!r}"
    return f"teacher (artifact {short_digest(step.inputs[0].digest)})"
