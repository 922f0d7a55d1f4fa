"""What a label of localization must be: in a line of a CSV, and in its image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

import numpy as np

from pupila import Dataset, PupilaError
from pupila.label_columns import LISTED_SIZE
from pupila.task import LabelRule
from pupila_localization.columns import HALF_HEIGHT, HALF_WIDTH, Bools, Floats
from pupila_localization.labels import ABSENT, other_sizes

_FAR_FROM_USUAL = 4.0
"""Factor by which a mean half size, as a fraction of the width, may differ from the median of all
images before it is reported: people's discs differ by less than 2."""


def label_of(fields: Mapping[str, str]) -> str:
    """Return the label of a line of a CSV; `absent` if all of its fields are empty.

    `fields` has x, y, half width and half height, in this order.

    Raises:
        PupilaError: a field is empty or is not a number, or a half size is not positive.
    """
    texts = {name: text.strip() for name, text in fields.items()}
    if not any(texts.values()):
        return ABSENT
    for part, (name, text) in enumerate(texts.items()):
        if not text:
            raise PupilaError(
                f"has no {name!r}: give all of {', '.join(texts)} in pixels of the file, or none "
                f"of them where it is not there."
            )
        number, is_size = _number(text), part in (HALF_WIDTH, HALF_HEIGHT)
        if number is None or (is_size and number <= 0):
            more = " greater than 0" if is_size else ""
            raise PupilaError(f"has the {name} {text!r}: give a number of pixels{more}.")
    return " ".join(texts.values())


def label_rules(images: Dataset) -> Sequence[LabelRule]:
    """Return the rules on positions and sizes, which need the size of each image."""
    labels: list[str] = images.frame["label"].tolist()
    sides = [np.asarray(images.frame[name], np.float64) for name in ("width", "height")]
    numbers = np.array(
        [[np.nan] * 4 if label == ABSENT else list(map(float, label.split())) for label in labels]
    ).reshape(len(labels), 4)
    x, y, half_width, half_height = numbers.T
    width, height = sides
    outside = (x < 0) | (x > width) | (y < 0) | (y > height)
    too_large = (half_width > width / 2) | (half_height > height / 2)
    radius: Floats = (half_width + half_height) / 2 / width
    usual = float(np.nanmedian(radius)) if np.isfinite(radius).any() else np.nan
    odd = (radius > _FAR_FROM_USUAL * usual) | (radius < usual / _FAR_FROM_USUAL)

    def faults(rows: Bools) -> list[str]:
        files = zip(labels, rows.tolist(), width.tolist(), height.tolist(), strict=True)
        return [f"{label} of {w:g} × {h:g}" if wrong else "" for label, wrong, w, h in files]

    pixels = "Give x, y and half sizes in pixels of this very file, not of another size of it."
    return (
        *_size_rules(images),
        LabelRule(
            name="Every position is in its image",
            column="position",
            faults=faults(outside),
            advice=pixels,
        ),
        LabelRule(
            name="Nothing is larger than its image",
            column="size",
            faults=faults(too_large),
            advice=pixels,
        ),
        LabelRule(
            name="No size is far from the usual one",
            column="usual_size",
            faults=faults(odd),
            advice=f"Look at these: their size is less than 1/{_FAR_FROM_USUAL:g} or more than "
            f"{_FAR_FROM_USUAL:g} times the median. {pixels}",
            severity="warning",
        ),
    )


def _size_rules(images: Dataset) -> Iterator[LabelRule]:
    """Yield the rule on the sizes of files, if their CSV gives any."""
    if not images.frame.columns.isin(list(LISTED_SIZE.values())).any():
        return
    yield LabelRule(
        name="Every file has the size that the CSV gives",
        column="size_of_file",
        faults=other_sizes(images),
        advice="Give positions in pixels of this very file, and its own width and height.",
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
