"""Excludes images from a step, as in `exclude: {source: [acrima]}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pupila.dataset import Dataset
from pupila.errors import join_names, nearest
from pupila.plugin import CLASSIFICATION
from pupila_flows.recipe.source import Location

if TYPE_CHECKING:
    import pandas as pd

Exclude = Mapping[str, tuple[str, ...]]
"""Values by manifest column; an image with one of these values is excluded."""

MADE_FROM = "made_from"
"""Column with the SHA-256s, separated by a space, of a hard negative's source images."""

_OF_EVERY_MANIFEST = ("path", "label", "split")


def images_for_step(dataset: Dataset, exclude: Exclude) -> Dataset:
    """Return the images that a step may use: all except test images and excluded images.

    Hard negatives that were made from an excluded image are excluded too.
    """
    seen = dataset.without("test")
    out = _is_excluded(seen.frame, exclude)
    kept = seen.frame[~(out | _is_made_from(seen.frame, out))]
    return dataset.of_frame(kept)


def mistakes(
    frame: pd.DataFrame, exclude: Exclude, task: str = CLASSIFICATION
) -> Iterator[tuple[Location, str]]:
    """Yield a location in `exclude` and a message for each mistake in `exclude`.

    A mistake is a column or a value that the images in `frame` do not have. If `exclude` has only
    known columns and values, each class that would lose all its training or validation images is a
    mistake; in a task without classes, each split that would.
    """
    wrong = [
        ((column, *location), message)
        for column, values in exclude.items()
        for location, message in _wrong_values(frame, column, values)
    ]
    yield from wrong or (((), message) for message in _emptied_classes(frame, exclude, task))


def unknown_column(column: str, frame: pd.DataFrame) -> str | None:
    """Return a message about a column that the images lack; None if they have the column.

    The columns of every manifest, `path`, `label` and `split`, count as missing.
    """
    columns = [name for name in frame.columns if name not in _OF_EVERY_MANIFEST]
    if column in columns:
        return None
    others = f"it has {join_names(columns)}" if columns else "it has none"
    known = f"the data has no column {column!r} beside path, label and split; {others}."
    return known + nearest(column, columns)


def _wrong_values(
    frame: pd.DataFrame, column: str, values: Sequence[str]
) -> Iterator[tuple[Location, str]]:
    if message := unknown_column(column, frame):
        yield (), message
        return
    present = sorted(set(frame[column].astype("str").tolist()))
    for number, value in enumerate(values):
        if value not in present:
            near = nearest(value, present)
            yield (
                (number,),
                f"no image has {column} {value!r}; there are: {join_names(present)}.{near}",
            )


def _emptied_classes(frame: pd.DataFrame, exclude: Exclude, task: str) -> Iterator[str]:
    """Yield a message for each class, or each split, that would have no images left."""
    for split in ("train", "validation"):
        before = frame[frame["split"] == split]
        after = before[~_is_excluded(before, exclude)]
        if task != CLASSIFICATION:
            if len(before) and not len(after):
                yield f"no image would be left in the split {split!r}."
            continue
        for label in sorted(set(before["label"]) - set(after["label"])):
            yield f"no image of {label!r} would be left in the split {split!r}."


def _is_excluded(frame: pd.DataFrame, exclude: Exclude) -> pd.Series[bool]:
    out = frame["split"].isin([])
    for column, values in exclude.items():
        out |= frame[column].astype("str").isin(list(values))
    return out


def _is_made_from(frame: pd.DataFrame, out: pd.Series[bool]) -> pd.Series[bool]:
    """Tell for each image whether it was made from an excluded image."""
    gone = set(frame["sha256"][out].tolist())
    if not gone or MADE_FROM not in frame:
        return frame["split"].isin([])
    return frame[MADE_FROM].map(lambda parents: not gone.isdisjoint(str(parents).split()))
