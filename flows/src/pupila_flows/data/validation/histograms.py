"""Histograms of what a scan measured of the images: sizes, brightness and sharpness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pupila.intervals import Floats
from pupila_flows.recipe.expectations import Bounds

BINS = 24


@dataclass(frozen=True)
class Histogram:
    """How often each value occurs; positions and heights are fractions 0..1 of the drawing."""

    title: str
    images: int
    heights: tuple[float, ...]
    most: int
    """Number of images in the highest bar."""
    low: str
    middle: str
    """The median."""
    high: str
    limits: tuple[float, ...]
    """Where the limits of the recipe's expectations are that lie between `low` and `high`."""


def histograms(frame: pd.DataFrame, bounds: Bounds) -> tuple[Histogram, ...]:
    """Return a histogram for each number that the scan measured of the images that decode.

    Numbers that are the same for all images have a single bar in the middle.
    """
    limits: dict[str, tuple[str, list[float]]] = {
        "width": ("width, pixels", [bounds.minimum_width]),
        "height": ("height, pixels", [bounds.minimum_height]),
        "brightness": (
            "brightness, 0 to 255",
            [bounds.minimum_brightness, bounds.maximum_brightness],
        ),
        "sharpness": ("sharpness, 0 is blank", [bounds.minimum_sharpness]),
        "bytes": ("file size, bytes", []),
    }
    decoded = frame[frame["error"] == ""]
    columns = (
        (title, np.asarray(decoded[name], np.float64), at) for name, (title, at) in limits.items()
    )
    return tuple(_histogram(title, values, at) for title, values, at in columns if len(values))


def _histogram(title: str, values: Floats, limits: Iterable[float]) -> Histogram:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, BINS)
    most = int(counts.max())
    return Histogram(
        title=title,
        images=len(values),
        heights=tuple((counts / most).tolist()),
        most=most,
        low=_written(low),
        middle=_written(float(np.median(values))),
        high=_written(high),
        limits=tuple((at - low) / (high - low) for at in limits if low < at < high),
    )


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
