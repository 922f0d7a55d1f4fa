"""Accepted images as they come from a bad day: a gate should know them all the same.

They are altered by the families of `pupila.shift` at their strongest, at which a person still sees
at once what an image shows, and by what a clinic's software does to whole pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.digest import digest_code
from pupila.images import decode
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.shift import FAMILIES, alter
from pupila_flows.data.generated import whole

_LONGEST_SIDE = 512
"""Larger images are made smaller first: models see no more, and alterations cost by the pixel."""
_QUALITY = 95
"""JPEG quality at which they are written, with colours of every pixel: hardly an alteration."""
_ANOTHER_IMAGE = "fourier"
"""The family that needs another image of the same size."""

Pixels = NDArray[np.uint8]
Alteration = Callable[[Pixels, np.random.Generator], Pixels]


def _by_family(name: str, image: Pixels, random: np.random.Generator) -> Pixels:
    return alter(installed().shift(name), image[np.newaxis], "strong", random)[0]


def _mirrored(image: Pixels, random: np.random.Generator) -> Pixels:
    del random
    return image[:, ::-1]


def _turned(image: Pixels, random: np.random.Generator) -> Pixels:
    del random
    return np.rot90(image)


ALTERATIONS: dict[str, Alteration] = {
    **{name: partial(_by_family, name) for name in FAMILIES if name != _ANOTHER_IMAGE},
    "mirrored": _mirrored,
    "turned by 90°": _turned,
}


def code() -> str:
    """Return a digest of all that the altered images depend on beside the images."""
    return digest_code(__name__, "pupila.shift")


def write_altered(paths: Sequence[Path], folder: Path, progress: Progress) -> None:
    """Write every alteration of every image; the folder appears whole or not at all."""
    with whole(folder) as draft:
        for number in range(len(ALTERATIONS)):
            (draft / str(number)).mkdir()
        for row, path in enumerate(paths):
            image = decode(path)
            image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
            for number, alteration in enumerate(ALTERATIONS.values()):
                changed = alteration(np.asarray(image), np.random.default_rng([row, number]))
                file = draft / str(number) / f"{row:05}-{path.stem}.jpg"
                Image.fromarray(changed).save(file, quality=_QUALITY, subsampling=0)
            progress(row + 1, len(paths), "images altered")


def altered(folder: Path) -> list[tuple[str, str, str]]:
    """List file, alteration and split of what `write_altered` wrote."""
    return [
        (str(file), name, "test")
        for number, name in enumerate(ALTERATIONS)
        for file in sorted((folder / str(number)).iterdir())
    ]
