"""Altered images of the accepted class, which a filter should still accept.

The alterations are the families of `pupila.shift` at full strength, mirroring and turning. A
person still sees at once what an altered image shows. A clinic's software also mirrors and turns
images.
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
from pupila_flows.data.generated import atomic_folder

_LONGEST_SIDE = 512
"""Images with a longer side, in pixels, are scaled down first.

Models do not see more detail, and scaling saves time.
"""
_QUALITY = 95
"""JPEG quality of the files; without chroma subsampling, it hardly alters an image."""
_ANOTHER_IMAGE = "fourier"
"""The family of alterations that needs a second image of the same size."""

Pixels = NDArray[np.uint8]
Alteration = Callable[[Pixels, np.random.Generator], Pixels]


def _by_family(name: str, image: Pixels, random: np.random.Generator) -> Pixels:
    return alter(installed().shift(name), image[np.newaxis], "strong", random)[0]


def _mirror(image: Pixels, random: np.random.Generator) -> Pixels:
    del random
    return image[:, ::-1]


def _turn(image: Pixels, random: np.random.Generator) -> Pixels:
    del random
    return np.rot90(image)


ALTERATIONS: dict[str, Alteration] = {
    **{name: partial(_by_family, name) for name in FAMILIES if name != _ANOTHER_IMAGE},
    "mirrored": _mirror,
    "turned by 90°": _turn,
}


def code() -> str:
    """Return a digest of the code on which the altered images depend."""
    return digest_code(__name__, "pupila.shift")


def write_altered(paths: Sequence[Path], folder: Path, progress: Progress) -> None:
    """Write every alteration of every image to a folder, which appears complete or not at all."""
    with atomic_folder(folder) as draft:
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


def list_altered(folder: Path) -> list[tuple[str, str, str]]:
    """Return file, alteration and split (`test`) of each image that `write_altered` wrote."""
    return [
        (str(file), name, "test")
        for number, name in enumerate(ALTERATIONS)
        for file in sorted((folder / str(number)).iterdir())
    ]
