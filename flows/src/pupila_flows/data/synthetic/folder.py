"""Writes synthetic images into a folder per split and class, as recipes read them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pupila import Progress, PupilaError
from pupila.dataset import LABELLED_SPLITS
from pupila_flows.data.synthetic.eye import CLASSES, draw_eye
from pupila_flows.data.synthetic.render import render

README_NAME = "README.txt"
_TITLE = "SYNTHETIC IMAGES - NOT MEDICAL"
_JPEG_QUALITY = 92


def write_images(
    folder: Path, counts: Mapping[str, int], seed: int, progress: Progress, size: int = 224
) -> None:
    """Write images as `<split>/<class>/synthetic_0001.jpg` and so on, and a README.

    If the folder already holds exactly these images, nothing is written. Images that were written
    with other arguments are replaced. The folder appears complete or not at all.

    `counts` has the number of images per class for each split (`train`, `validation`, `test`), and
    `size` is the side of an image in pixels. The same arguments give the same bytes, if NumPy and
    Pillow have the same versions. An image depends only on its position and the seed, not on the
    number of images.

    Raises:
        PupilaError: a count is invalid, or the folder holds something other than synthetic images.
    """
    _check(folder, counts)
    readme = _readme(counts, seed, size)
    positions = list(_positions(counts))
    if _is_complete(folder, readme, positions, seed, size):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        unfinished = Path(scratch) / "new"
        _draw(unfinished, positions, seed, size, progress)
        (unfinished / README_NAME).write_text(readme)
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        unfinished.rename(folder)


def is_synthetic(data: Path) -> bool:
    """Tell from the README in a folder whether `write_images` made the images there."""
    readme = data / README_NAME
    return readme.is_file() and readme.read_text(errors="replace").startswith(_TITLE)


@dataclass(frozen=True)
class Position:
    """Position of an image in a set; position and seed determine what the image shows."""

    split: str
    label: str
    number: int

    @property
    def file_name(self) -> str:
        return f"{self.split}/{self.label}/synthetic_{self.number:04}.jpg"

    def random(self, seed: int) -> np.random.Generator:
        """Return the random generator of this image."""
        position = [LABELLED_SPLITS.index(self.split), CLASSES.index(self.label), self.number]
        return np.random.default_rng([seed, *position])


def photograph(position: Position, seed: int, size: int) -> bytes:
    """Render one image; return the content of its JPEG file."""
    random = position.random(seed)
    pixels = render(draw_eye(position.label, random), size, random)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def _draw(
    folder: Path, positions: list[Position], seed: int, size: int, progress: Progress
) -> None:
    for done, position in enumerate(positions, start=1):
        file = folder / position.file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photograph(position, seed, size))
        progress(done, len(positions), "synthetic images")


def _positions(counts: Mapping[str, int]) -> Iterator[Position]:
    for split, count in counts.items():
        for label in CLASSES:
            for number in range(1, count + 1):
                yield Position(split, label, number)


def _check(folder: Path, counts: Mapping[str, int]) -> None:
    if not counts or min(counts.values()) < 1 or not {*counts} <= {*LABELLED_SPLITS}:
        raise PupilaError(
            f"Synthetic images cannot be counted as {dict(counts)!r}: give at least 1 per class "
            f"for one or more of {', '.join(LABELLED_SPLITS)}."
        )
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder)):
        raise PupilaError(
            f"{str(folder)!r} holds something other than synthetic images, and is left as it is: "
            f"name an empty or a new folder."
        )


def _is_ours(folder: Path) -> bool:
    readme = folder / README_NAME
    return readme.is_file() and readme.read_text().startswith(_TITLE)


def _is_complete(
    folder: Path, readme: str, positions: list[Position], seed: int, size: int
) -> bool:
    """Tell whether the folder holds exactly this set of images.

    The first image is rendered again and compared, because another version of this program may
    render images differently.
    """
    first = folder / positions[0].file_name
    return (
        _is_ours(folder)
        and (folder / README_NAME).read_text() == readme
        and all((folder / position.file_name).is_file() for position in positions)
        and first.read_bytes() == photograph(positions[0], seed, size)
    )


def _readme(counts: Mapping[str, int], seed: int, size: int) -> str:
    listed = "".join(f"  {split}: {count} of each class\n" for split, count in counts.items())
    return f"""{_TITLE}

A program drew these pictures of optic discs from random numbers. They show no patient and no
real eye. A model trained on them knows nothing about glaucoma: it must never be used, and its
figures never be quoted, for anything medical. They exist to try Pupila without other images.

"glaucoma" and "normal" mean only that the cup was drawn large or small against the disc.

Seed {seed}, {size} x {size} pixels:
{listed}"""
