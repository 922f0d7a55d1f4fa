"""A check of the images: pictures without colour among those of a colour camera."""

from __future__ import annotations

import pandas as pd

from average_weights import GreyImages
from pupila import Fact

_COLOURS = ["mean_red", "mean_green", "mean_blue"]


def check(images: pd.DataFrame, config: GreyImages) -> Fact:
    """Return the fraction of grey images among those that decode."""
    decoded = images[images["error"] == ""]
    colours = decoded[_COLOURS].astype(float)
    spread = colours.max(axis=1) - colours.min(axis=1)
    grey = decoded[spread < config.least_difference]
    return Fact(
        name=f"A fraction of {config.maximum:g} of the images or less is grey",
        severity="warning",
        column="grey",
        value=len(grey) / max(len(decoded), 1),
        maximum=config.maximum,
        observed=f"{len(grey)} of {len(decoded)} images are grey",
        advice="Look at these images: a scan of a print is not what the camera sees.",
        images=tuple(grey["path"]),
    )
