"""Steps that are shown a part of the images: `exclude: {source: [acrima]}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pupila.dataset import Dataset
from pupila.errors import join_names, nearest
from pupila_flows.recipe.source import Location

if TYPE_CHECKING:
    import pandas as pd

Exclude = Mapping[str, tuple[str, ...]]
"""Values by column of the manifest: images that have one of them are left out."""

MADE_FROM = "made_from"
"""Column of made images: SHA-256s of what each was made from, with a space between."""

_OF_EVERY_MANIFEST = ("path", "label", "split")


def shown(dataset: Dataset, exclude: Exclude) -> Dataset:
    """Return the images that a step is shown: all but those for the test and those left out.

    What was made from an image that is left out is left out too.
    """
    seen = dataset.without("test")
    out = _left_out(seen.frame, exclude)
    kept = seen.frame[~(out | _made_of(seen.frame, out))].reset_index(drop=True)
    return Dataset(kept, dataset.classes, dataset.cache)


def mistakes(frame: pd.DataFrame, exclude: Exclude) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with `exclude` for these images, and where in it."""
    columns = [name for name in frame.columns if name not in _OF_EVERY_MANIFEST]
    found = False
    for column, values in exclude.items():
        for place, message in _of_column(frame, columns, column, values):
            found = True
            yield (column, *place), message
    if not found:
        yield from (((), message) for message in _emptied(frame, exclude))


def _of_column(
    frame: pd.DataFrame, columns: Sequence[str], column: str, values: Sequence[str]
) -> Iterator[tuple[Location, str]]:
    if column not in columns:
        others = f"it has {join_names(columns)}" if columns else "it has none"
        known = f"the data has no column {column!r} beside path, label and split; {others}."
        yield (), known + nearest(column, columns)
        return
    present = sorted(set(frame[column].astype("str").tolist()))
    for number, value in enumerate(values):
        if value not in present:
            near = nearest(value, present)
            yield (
                (number,),
                f"no image has {column} {value!r}; there are: {join_names(present)}.{near}",
            )


def _emptied(frame: pd.DataFrame, exclude: Exclude) -> Iterator[str]:
    """Name each class of which nothing would be left."""
    for split in ("train", "validation"):
        before = frame[frame["split"] == split]
        after = before[~_left_out(before, exclude)]
        for label in sorted(set(before["label"]) - set(after["label"])):
            yield f"no image of {label!r} would be left in the split {split!r}."


def _left_out(frame: pd.DataFrame, exclude: Exclude) -> pd.Series[bool]:
    out = frame["split"].isin([])
    for column, values in exclude.items():
        out |= frame[column].astype("str").isin(list(values))
    return out


def _made_of(frame: pd.DataFrame, out: pd.Series[bool]) -> pd.Series[bool]:
    """Tell which images were made from one that is left out."""
    gone = set(frame["sha256"][out].tolist())
    if not gone or MADE_FROM not in frame:
        return frame["split"].isin([])
    return frame[MADE_FROM].map(lambda parents: not gone.isdisjoint(str(parents).split()))
