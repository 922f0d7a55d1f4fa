"""Families of alterations, which imitate how images from other hospitals differ.

A family is a plugin (`Shift`). Core has the families in `FAMILIES`; a package can add its own. Some
families are kinds of corruption from Hendrycks and Dietterich 2019 (arXiv 1903.12261); others
imitate how cameras, light and framing differ between hospitals. The direction of an alteration is
random for each image, and a severity sets its amount. Distances are relative to the sides of an
image, so that teacher and pupil can read different resolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
"""Families of core by module of this package: the name and the summary of each family."""

FAMILIES = tuple(name for families in _OWN.values() for name in families)
"""Names of the families of core.

A shift suite uses these families by default, so that its value does not depend on which plugins are
installed.
"""


@hookimpl
def pupila_shifts() -> Iterator[Shift]:
    """Yield the families of core."""
    for module, families in _OWN.items():
        for name, summary in families.items():
            implementation = f"{__name__}.{module}:{name.replace('-', '_')}"
            yield Shift(name=name, summary=summary, implementation=implementation)


def alter(
    family: Shift, images: NDArray[np.uint8], severity: Severity, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return images `(n, height, width, 3)`, uint8, altered by a family at a severity.

    Raises:
        PupilaError: the family's plugin returns another shape, or values that are not finite.
    """
    with installed().calling(family):
        altered = np.asarray(family.load()(images, severity, random))
    if altered.shape != images.shape or not np.isfinite(altered).all():
        raise PupilaError(
            f"Shift {family.name!r} of {installed().origin(family).distribution} made an array of "
            f"shape {altered.shape} from images {images.shape}: it must keep the shape, with "
            f"finite values in 0..255. Fix the plugin."
        )
    return np.clip(np.rint(altered), 0, 255).astype(np.uint8)


def alter_each(
    family: Shift,
    images: Sequence[NDArray[np.uint8]],
    severity: Severity,
    random: np.random.Generator,
) -> list[NDArray[np.uint8]]:
    """Return images `(height, width, 3)`, which may differ in size, altered as `alter` does.

    Images of one size are altered together, the size of the first image first.
    """
    altered = list(images)
    for shape in dict.fromkeys(image.shape for image in images):
        rows = [row for row, image in enumerate(images) if image.shape == shape]
        batch = alter(family, np.stack([images[row] for row in rows]), severity, random)
        for row, image in zip(rows, batch, strict=True):
            altered[row] = image
    return altered
