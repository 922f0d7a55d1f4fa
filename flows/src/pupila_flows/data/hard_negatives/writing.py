"""Writes the hard negatives of a recipe, once for the same training images, settings and seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.dataset import Dataset
from pupila.errors import PupilaError, list_names
from pupila.images import decode
from pupila.runtime import Progress
from pupila.scanning import NUMBERS
from pupila_flows.data.exclude import MADE_FROM
from pupila_flows.data.generated import whole
from pupila_flows.data.hard_negatives.kinds import KINDS, Random
from pupila_flows.results import Check

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_SIDE = 512
"""Pixels: models see far less, and drawing takes time in proportion to the area."""
_QUALITIES = (75, 95)
"""JPEG qualities, as photographs have: that a file was never compressed must tell nothing."""


def check_label(label: str, dataset: Dataset) -> None:
    """Make sure that there are images to make hard negatives of.

    Raises:
        PupilaError: the training images are not both of that class and of another.
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
    """Write `<kind>/<number>.jpg` for about as many images of each kind.

    An image follows from its number, the seed and the training images. The folder appears whole or
    not at all.
    """
    parents = _Parents.of(train, label)
    with whole(folder) as draft:
        for number in range(images):
            random = np.random.default_rng([seed, number])
            kind = list(KINDS)[number % len(KINDS)]
            own, other = (_pixels(train.paths[row]) for row in parents.draw(random))
            made = np.clip(np.rint(KINDS[kind](own, other, random)), 0, 255).astype(np.uint8)
            file = draft / kind / f"{number:05}.jpg"
            file.parent.mkdir(exist_ok=True)
            quality = int(random.integers(*_QUALITIES, endpoint=True))
            Image.fromarray(made).save(file, quality=quality)
            progress(number + 1, images, "images made")


@dataclass(frozen=True)
class _Parents:
    """Rows of the training images that hard negatives are made from."""

    own: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(cls, train: Dataset, label: str) -> _Parents:
        labels = np.array(train.frame["label"].tolist(), dtype=np.str_)
        return cls(np.flatnonzero(labels == label), np.flatnonzero(labels != label))

    def draw(self, random: Random) -> tuple[int, int]:
        """Return one of the class, and one of another; the first that an image's numbers draw."""
        return int(random.choice(self.own)), int(random.choice(self.other))


def written(folder: Path) -> list[tuple[str, str]]:
    """List file and kind of what `write_negatives` wrote."""
    return [
        (str(file), kind)
        for kind in KINDS
        if (folder / kind).is_dir()
        for file in sorted((folder / kind).iterdir())
    ]


def added(dataset: Dataset, folder: Path, label: str, seed: int) -> tuple[Dataset, Check]:
    """Return the data with what was written, as training images, and a line that counts it.

    The column `made_from` names what each was made from, by its SHA-256.

    Raises:
        PupilaError: one of them cannot be read.
    """
    import pandas as pd

    from pupila import manifest

    found = written(folder)
    rows = [(file, label, "train", f"made-{kind}") for file, kind in found]
    listing = pd.DataFrame(rows, columns=["path", "label", "split", "source"])
    listing[MADE_FROM] = _made_from(dataset.select("train"), [f for f, _ in found], label, seed)
    made = manifest.scan(listing, dataset.cache, _silent)
    _check_readable(made, folder)
    both = pd.concat([dataset.frame, made], ignore_index=True)
    for name in [str(name) for name in both.columns if name not in NUMBERS]:
        values: list[object] = both[name].astype(object).tolist()
        both[name] = [value if isinstance(value, str) else "" for value in values]
    return Dataset.of(both, dataset.classes, dataset.cache), _counted(found, label)


def _made_from(train: Dataset, files: list[str], label: str, seed: int) -> list[str]:
    """Draw once more what each file was made from: SHA-256s, with a space between."""
    parents, contents = _Parents.of(train, label), train.frame["sha256"].tolist()
    numbers = [int(Path(file).stem) for file in files]
    drawn = [parents.draw(np.random.default_rng([seed, number])) for number in numbers]
    return [" ".join(contents[row] for row in pair) for pair in drawn]


def _check_readable(made: pd.DataFrame, folder: Path) -> None:
    broken = made[made["error"] != ""]
    if len(broken):
        first = broken.iloc[0]
        raise PupilaError(
            f"{len(broken)} of the {len(made)} hard negatives cannot be read, first "
            f"{first['path']!r}: {first['error']}. Remove {str(folder)!r}: they are made again."
        )


def _counted(found: list[tuple[str, str]], label: str) -> Check:
    each = Counter(kind for _, kind in found)
    return Check(
        name="Hard negatives were made from the training images",
        severity="warning",
        passed=True,
        found=f"{len(found)} training images of {label!r} were made: "
        + ", ".join(f"{number} {kind}" for kind, number in each.items()),
    )


def _silent(done: int, total: int, what: str) -> None:
    del done, total, what


def _pixels(path: Path) -> NDArray[np.float32]:
    """Return an image, no larger than need be."""
    image = decode(path)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)
