"""Writes the hard negatives of a recipe, once for the same training images, settings and seed."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.images import decode
from pupila.plugin import Progress
from pupila.scanning import NUMBERS
from pupila_flows.negatives.kinds import KINDS, Random
from pupila_flows.results import Check

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
            f"another; the training images are of {sorted(labels)}."
        )


def write_negatives(
    train: Dataset, label: str, images: int, seed: int, folder: Path, progress: Progress
) -> None:
    """Write `<kind>/<number>.jpg` for about as many images of each kind.

    An image follows from its number, the seed and the training images. The folder appears whole or
    not at all.
    """
    labels = np.array(train.frame["label"].tolist(), dtype=np.str_)
    own, other = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    for number in range(images):
        random = np.random.default_rng([seed, number])
        kind = list(KINDS)[number % len(KINDS)]
        pair = _pixels(train, own, random), _pixels(train, other, random)
        made = np.clip(np.rint(KINDS[kind](*pair, random)), 0, 255).astype(np.uint8)
        file = draft / kind / f"{number:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(made).save(file, quality=int(random.integers(*_QUALITIES, endpoint=True)))
        progress(number + 1, images, "images made")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def written(folder: Path) -> list[tuple[str, str]]:
    """List file and kind of what `write_negatives` wrote."""
    return [
        (str(file), kind)
        for kind in KINDS
        if (folder / kind).is_dir()
        for file in sorted((folder / kind).iterdir())
    ]


def added(dataset: Dataset, folder: Path, label: str) -> tuple[Dataset, Check]:
    """Return the data with what was written, as training images, and a line that counts it."""
    import pandas as pd

    from pupila import manifest

    found = written(folder)
    rows = [(file, label, "train", f"made-{kind}") for file, kind in found]
    listing = pd.DataFrame(rows, columns=["path", "label", "split", "source"])
    made = manifest.scan(listing, dataset.cache, _silent)
    both = pd.concat([dataset.frame, made], ignore_index=True)
    for name in [str(name) for name in both.columns if name not in NUMBERS]:
        values: list[object] = both[name].astype(object).tolist()
        both[name] = [value if isinstance(value, str) else "" for value in values]
    each = Counter(kind for _, kind in found)
    check = Check(
        name="Hard negatives were made from the training images",
        severity="warning",
        passed=True,
        found=f"{len(found)} training images of {label!r} were made: "
        + ", ".join(f"{number} {kind}" for kind, number in each.items()),
    )
    return Dataset.of(both, dataset.classes, dataset.cache), check


def _silent(done: int, total: int, what: str) -> None:
    del done, total, what


def _pixels(train: Dataset, rows: NDArray[np.int64], random: Random) -> NDArray[np.float32]:
    """Return one of these images, no larger than need be."""
    image = decode(train.paths[int(random.choice(rows))])
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)
