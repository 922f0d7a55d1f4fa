"""How images of another place differ from those at home: families of alterations, in three steps.

A family is a plugin (`Shift`): core brings those below, and a package can add its own. They are of
the kinds of Hendrycks and Dietterich 2019 (arXiv 1903.12261), and those by which cameras, light and
the framing of hospitals differ. What is drawn for an image is the direction of an alteration; the
severity says how far it goes. Amounts are relative to the sides of an image, so that teacher and
pupil may be asked at different resolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.hookspecs import hookimpl
from pupila.plugin import Shift
from pupila.plugin_registry import installed

Severity = Literal["mild", "middle", "strong"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_OWN = {
    "light": {
        "white-balance": "Warmer or colder light, by gains of red and blue",
        "gamma": "Another tone curve: a power of the values",
        "exposure": "Longer or shorter exposure, by one gain",
        "hue": "Colours turned round the grey axis",
        "grey": "Less colour, up to none",
        "camera-matrix": "Another camera's mixture of red, green and blue; white stays white",
        "vignette": "Corners darker than the centre",
        "illumination": "Light from one side",
    },
    "detail": {
        "blur": "Out of focus: a Gaussian blur",
        "sharpening": "A camera that sharpens: an unsharp mask",
        "noise": "Noise of the sensor",
        "jpeg": "Compression by JPEG",
        "resolution": "Fewer pixels, enlarged again",
        "fourier": "Low frequencies as strong as in another image (FDA, Yang and Soatto 2020)",
    },
    "geometry": {
        "rotation": "Turned, with mirrored borders",
        "framing": "Nearer or farther, and off the centre, with mirrored borders",
    },
}
"""Families of core: in which module of this package, name, and summary."""

FAMILIES = tuple(name for families in _OWN.values() for name in families)
"""Names of the families of core: a suite's, unless a recipe names others, so that its value does
not depend on what else is installed."""


@hookimpl
def pupila_shifts() -> Iterator[Shift]:
    """Yield the families of core."""
    for module, families in _OWN.items():
        for name, summary in families.items():
            place = f"{__name__}.{module}:{name.replace('-', '_')}"
            yield Shift(name=name, summary=summary, implementation=place)


def alter(
    family: Shift, images: NDArray[np.uint8], severity: Severity, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return images `(n, height, width, 3)`, uint8, as a family alters them at a severity.

    Raises:
        PupilaError: the family's plugin gives back something else than such images.
    """
    altered = np.asarray(family.load()(images, severity, random))
    if altered.shape != images.shape or not np.isfinite(altered).all():
        raise PupilaError(
            f"Shift {family.name!r} of {installed().origin(family).distribution} made an array of "
            f"shape {altered.shape} of images {images.shape}: it must keep the shape, with finite "
            f"values in 0..255. Mend the plugin."
        )
    return np.clip(np.rint(altered), 0, 255).astype(np.uint8)
