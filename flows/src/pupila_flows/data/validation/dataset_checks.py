"""Facts about the data as a whole, each with the range that its value should lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from pupila.data_checks import Fact
from pupila.dataset import LABELLED_SPLITS, UNLABELLED
from pupila.errors import join_names
from pupila_flows.data.validation.duplicates import in_two_splits, near_duplicates
from pupila_flows.data.validation.shortcuts import MINIMUM_IMAGES, colour_auc, size_auc
from pupila_flows.recipe.expectations import Bounds

SHOWN_IMAGES = 20
"""Largest number of offending images that a check lists."""

_AUGMENT = (
    "A model may learn this instead of the finding, and fail on images from elsewhere: {remedy}, "
    "and evaluate the pupil on another site's images."
)

_MOVE = (
    "Move images between the splits by hand (a patient's together), add some, or lower "
    "`minimum_images`."
)

_Counts = dict[str, dict[str, int]]
"""Numbers of images by split, then by class."""


def facts(
    frame: pd.DataFrame, classes: Sequence[str], positive: str, bounds: Bounds
) -> Iterator[Fact]:
    """Yield the facts about the data as a whole; most facts count only images that decode.

    In tasks without classes, `classes` is empty.
    """
    decoded = frame[frame["error"] == ""]
    labelled = decoded[decoded["split"] != UNLABELLED]
    unlabelled = len(decoded) - len(labelled)
    if classes:
        counts = _counts(labelled, classes)
        yield _smallest_class(counts, unlabelled, bounds)
        yield _class_ratio(counts, bounds)
    else:
        yield _smallest_split(Counter(labelled["split"].tolist()), unlabelled, bounds)
    yield _copies(frame)
    yield _near_copies(decoded, bounds)
    if "patient" in frame:
        yield _patients(frame)
    if classes:
        yield from _shortcuts(labelled, positive, bounds)


def _counts(labelled: pd.DataFrame, classes: Sequence[str]) -> _Counts:
    seen = Counter(zip(labelled["split"].tolist(), labelled["label"].tolist(), strict=True))
    return {split: {name: seen[split, name] for name in classes} for split in LABELLED_SPLITS}


def _smallest_class(counts: _Counts, unlabelled: int, bounds: Bounds) -> Fact:
    return Fact(
        f"Every class has {bounds.minimum_images} images or more in every split",
        "error",
        "images_of_the_smallest_class_and_split",
        min(count for row in counts.values() for count in row.values()),
        "; ".join(f"{split}: {_listed(row)}" for split, row in counts.items())
        + _and_unlabelled(unlabelled),
        _MOVE,
        minimum=bounds.minimum_images,
    )


def _smallest_split(counts: Mapping[str, int], unlabelled: int, bounds: Bounds) -> Fact:
    sizes = {split: counts.get(split, 0) for split in LABELLED_SPLITS}
    return Fact(
        f"Every split has {bounds.minimum_images} labelled images or more",
        "error",
        "images_of_the_smallest_split",
        min(sizes.values()),
        "; ".join(f"{split}: {count}" for split, count in sizes.items())
        + _and_unlabelled(unlabelled),
        _MOVE,
        minimum=bounds.minimum_images,
    )


def _and_unlabelled(images: int) -> str:
    return f"; {UNLABELLED}: {images}" if images else ""


def _listed(row: dict[str, int]) -> str:
    return join_names(f"{name} {count}" for name, count in row.items())


def _class_ratio(counts: _Counts, bounds: Bounds) -> Fact:
    train = counts["train"]
    ratio = max(train.values()) / max(min(train.values()), 1)
    return Fact(
        f"The largest class is at most {bounds.maximum_class_ratio:g} times the smallest",
        "warning",
        "class_ratio_in_train",
        ratio,
        f"{ratio:.2f} times in train ({_listed(train)})",
        "Add images of the small class; a pupil trained on these leans to the large one.",
        maximum=bounds.maximum_class_ratio,
    )


def _use(frame: pd.DataFrame) -> pd.Series[str]:
    """Return the split of each image, but `train` for `unlabelled`: pupils learn from both.

    So an image may be in both `train` and `unlabelled`, but an image of another split may not be in
    either of them.
    """
    return frame["split"].replace(UNLABELLED, "train")


def _copies(frame: pd.DataFrame) -> Fact:
    shared = in_two_splits(frame["sha256"], _use(frame))
    copies = frame[shared].sort_values(["sha256", "path"], kind="stable")
    return Fact(
        "No image is in two splits",
        "error",
        "files_with_a_copy_in_another_split",
        len(copies),
        f"{len(copies)} of {len(frame)} files have the same contents as one in another split",
        "Keep each image in one split: a model is not tested on what it was trained on.",
        images=tuple(copies["path"][:SHOWN_IMAGES]),
        maximum=0,
    )


def _near_copies(decoded: pd.DataFrame, bounds: Bounds) -> Fact:
    exact = in_two_splits(decoded["sha256"], _use(decoded))
    rest = decoded[~exact]
    splits = np.array([LABELLED_SPLITS.index(split) for split in _use(rest)], np.int64)
    twins = near_duplicates(rest["phash"].tolist(), splits, bounds.near_duplicate_distance)
    paths: list[str] = rest["path"].tolist()
    pairs = [(row, int(twins[row])) for row in np.flatnonzero(twins >= 0).tolist()]
    shown = dict.fromkeys(paths[row] for pair in pairs for row in pair)
    return Fact(
        "No image nearly repeats one of another split",
        "warning",
        "images_with_a_near_duplicate_in_another_split",
        len(pairs),
        f"{len(pairs)} of {len(rest)} images differ by {bounds.near_duplicate_distance} bits of "
        f"perceptual hash or less from one in another split",
        "Look at these side by side: if they show the same eye, put them into one split.",
        images=tuple(shown)[:SHOWN_IMAGES],
        maximum=0,
    )


def _patients(frame: pd.DataFrame) -> Fact:
    shared = frame[in_two_splits(frame["patient"], _use(frame))].sort_values(
        ["patient", "path"], kind="stable"
    )
    names = list(dict.fromkeys(shared["patient"]))
    return Fact(
        "No patient is in two splits",
        "error",
        "patients_in_two_splits",
        len(names),
        f"{len(names)} of {frame['patient'].nunique()} patients, with {len(shared)} images, are "
        f"in more than one split" + (f": {', '.join(names[:5])}" if names else ""),
        "Keep all images of a patient in one split.",
        images=tuple(shared["path"][:SHOWN_IMAGES]),
        maximum=0,
    )


def _shortcuts(decoded: pd.DataFrame, positive: str, bounds: Bounds) -> Iterator[Fact]:
    truth = np.asarray(decoded["label"] == positive, np.bool_)
    enough = min(truth.sum(), (~truth).sum()) >= MINIMUM_IMAGES
    too_few = f"not measured: fewer than {MINIMUM_IMAGES} images of {positive!r} or of the others"
    sizes = size_auc(decoded, truth) if enough else {"none": 0.5}
    colour = colour_auc(decoded, truth) if enough else 0.5
    yield Fact(
        "The size of an image does not tell its class",
        "warning",
        "auc_of_image_size",
        max(sizes.values()),
        ", ".join(f"AUC of {name} alone {auc:.2f}" for name, auc in sizes.items())
        if enough
        else too_few,
        _AUGMENT.format(remedy="bring all images to one size and format"),
        maximum=bounds.shortcut_auc,
        shortcut=True,
    )
    yield Fact(
        "The mean colour of an image does not tell its class",
        "warning",
        "auc_of_mean_colour",
        colour,
        f"AUC of mean red, green and blue alone {colour:.2f} (cross-validated)"
        if enough
        else too_few,
        _AUGMENT.format(remedy="use colour augmentation"),
        maximum=bounds.shortcut_auc,
        shortcut=True,
    )
