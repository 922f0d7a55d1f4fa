"""Writes the hard negatives of a recipe; the same images, settings and seed give the same files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.dataset import Dataset
from pupila.errors import PupilaError, list_names
from pupila.images import decode
from pupila.runtime import Progress
from pupila.scanning import NUMBERS
from pupila_flows.data.exclude import MADE_FROM
from pupila_flows.data.generated import atomic_folder
from pupila_flows.data.hard_negatives.kinds import KINDS, Random
from pupila_flows.data.reading import check_readable
from pupila_flows.results import Check

_LONGEST_SIDE = 512
"""Longest side of hard negatives, in pixels.

Models see far less, and drawing takes time in proportion to the area.
"""
_QUALITIES = (75, 95)
"""Range of JPEG qualities, as in photographs.

A filter must not recognise hard negatives by their lack of compression.
"""


def check_label(label: str, dataset: Dataset) -> None:
    """Check that hard negatives of the class `label` can be made from the training images.

    Raises:
        PupilaError: no training image is of the class, or all training images are.
    """
    labels = set(dataset.frame["label"][dataset.frame["split"] == "train"].tolist())
    if label not in labels or len(labels) < 2:
        raise PupilaError(
            f"Hard negatives of {label!r} are made from training images of that class and of "
            f"another; the training images are of {list_names(sorted(labels))}."
        )


def write_negatives(
    train: Dataset, label: str, images: int, seed: int, folder: Path, progress: Progress
) -> None:
    """Write `images` hard negatives of the class `label` as `<kind>/<number>.jpg` into a folder.

    Each kind gets about the same number of images. An image depends only on its number, the seed
    and the training images `train`. The folder appears complete or not at all.
    """
    parents = _Parents.of(train, label)
    with atomic_folder(folder) as draft:
        for number in range(images):
            random = np.random.default_rng([seed, number])
            kind = list(KINDS)[number % len(KINDS)]
            own, other = (_pixels(train.paths[row]) for row in parents.draw(random))
            pixels = np.clip(np.rint(KINDS[kind](own, other, random)), 0, 255).astype(np.uint8)
            file = draft / kind / f"{number:05}.jpg"
            file.parent.mkdir(exist_ok=True)
            quality = int(random.integers(*_QUALITIES, endpoint=True))
            Image.fromarray(pixels).save(file, quality=quality)
            progress(number + 1, images, "images made")


@dataclass(frozen=True)
class _Parents:
    """Rows of the training images from which hard negatives are made."""

    own: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(cls, train: Dataset, label: str) -> _Parents:
        labels = np.array(train.frame["label"].tolist(), dtype=np.str_)
        return cls(np.flatnonzero(labels == label), np.flatnonzero(labels != label))

    def draw(self, random: Random) -> tuple[int, int]:
        """Choose at random a row of the class and a row of another class.

        This must be the first use of `random` for an image, so that `_made_from` can repeat it.
        """
        return int(random.choice(self.own)), int(random.choice(self.other))


def list_negatives(folder: Path) -> list[tuple[str, str]]:
    """Return the file and the kind of each image that `write_negatives` wrote."""
    return [
        (str(file), kind)
        for kind in KINDS
        if (folder / kind).is_dir()
        for file in sorted((folder / kind).iterdir())
    ]


def add_negatives(dataset: Dataset, folder: Path, label: str, seed: int) -> tuple[Dataset, Check]:
    """Return the data with the hard negatives as training images, and a check that counts them.

    `folder`, `label` and `seed` must be those of `write_negatives`. The column `made_from` has the
    SHA-256s of the images from which a hard negative was made.

    Raises:
        PupilaError: a hard negative cannot be read.
    """
    import pandas as pd

    from pupila import manifest

    files = list_negatives(folder)
    rows = [(file, label, "train", f"made-{kind}") for file, kind in files]
    listing = pd.DataFrame(rows, columns=["path", "label", "split", "source"])
    names = [file for file, _ in files]
    listing[MADE_FROM] = _made_from(dataset.select("train"), names, label, seed)
    made = manifest.scan(listing, dataset.cache, _ignore_progress)
    check_readable(made, "hard negatives", f"Remove {str(folder)!r}: they are made again.")
    both = pd.concat([dataset.frame, made], ignore_index=True)
    for name in [str(name) for name in both.columns if name not in NUMBERS]:
        values: list[object] = both[name].astype(object).tolist()
        both[name] = [value if isinstance(value, str) else "" for value in values]
    dataset = Dataset.of(both, dataset.classes, dataset.cache, dataset.task)
    return dataset, _count_check(files, label)


def _made_from(train: Dataset, files: list[str], label: str, seed: int) -> list[str]:
    """Return for each file the SHA-256s of its two source images, separated by a space.

    The source images are found by drawing the same random numbers again.
    """
    parents, contents = _Parents.of(train, label), train.frame["sha256"].tolist()
    numbers = [int(Path(file).stem) for file in files]
    drawn = [parents.draw(np.random.default_rng([seed, number])) for number in numbers]
    return [" ".join(contents[row] for row in pair) for pair in drawn]


def _count_check(files: list[tuple[str, str]], label: str) -> Check:
    counts = Counter(kind for _, kind in files)
    return Check(
        name="Hard negatives were made from the training images",
        severity="warning",
        passed=True,
        observed=f"{len(files)} training images of {label!r} were made: "
        + ", ".join(f"{number} {kind}" for kind, number in counts.items()),
    )


def _ignore_progress(done: int, total: int, what: str) -> None:
    del done, total, what


def _pixels(path: Path) -> NDArray[np.float32]:
    """Read an image, and scale it down to at most 512 pixels a side."""
    image = decode(path)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)
