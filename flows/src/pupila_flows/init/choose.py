"""Chooses a pupil, its training and a gate that fit the images and a budget of bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pupila.errors import PupilaError
from pupila_flows.plan.reach import smallest_margins

_PUPILS = (("mobile-xs", 96, 170_000), ("mobile-s", 128, 500_000), ("residual-m", 128, 3_000_000))
"""Student, side of its input in pixels, and bytes of its int8 TFLite file, measured with two
classes; from small to large."""
_USUAL = 1
"""Index of the pupil without a budget."""
_IMAGES_SEEN = 12_000
"""Training images seen in all epochs together: five minutes on two cores at 128 px."""
_FEWEST_EPOCHS, _MOST_EPOCHS = 10, 60
_SMALLEST_MARGIN, _LARGEST_MARGIN = 0.05, 0.2
_NEGATIVE = frozenset(
    {"normal", "healthy", "negative", "none", "no", "control", "background", "other", "benign"}
)


@dataclass(frozen=True)
class Pupil:
    """A student, its input, and how it is trained."""

    student: str
    size: int
    epochs: int


def choose_pupil(budget: int | None, training_images: int, *, is_micro: bool = False) -> Pupil:
    """Return the largest pupil whose int8 file fits the budget in bytes.

    Raises:
        PupilaError: none fits.
    """
    fitting = [pupil for pupil in _PUPILS if budget is None or pupil[2] <= budget]
    if not fitting:
        raise PupilaError(
            f"The smallest pupil takes about {_PUPILS[0][2]:,} bytes in int8, more than "
            f"{budget:,}: raise --size, or write a student of your own (docs/plugins.md)."
        )
    student, size, _ = fitting[0 if is_micro else -1 if budget else min(_USUAL, len(fitting) - 1)]
    epochs = round(_IMAGES_SEEN / max(training_images, 1))
    return Pupil(student, size, min(max(epochs, _FEWEST_EPOCHS), _MOST_EPOCHS))


def choose_margins(test: Mapping[str, int], positive: str) -> dict[str, float]:
    """Return margins that an equally good pupil is likely to pass with these test images.

    A figure whose margin would be above 0.2 is left out: so few images cannot show anything.
    """
    metrics = ("accuracy", "auc") if len(test) == 2 else ("accuracy",)
    reached = smallest_margins(test, positive, metrics)
    rounded = {
        name: max(_SMALLEST_MARGIN, math.ceil(100 * least) / 100)
        for name, least in reached.items()
        if least is not None
    }
    return {name: margin for name, margin in rounded.items() if margin <= _LARGEST_MARGIN}


def choose_positive(classes: tuple[str, ...]) -> str:
    """Return the class whose sensitivity counts: the first that does not say `normal` or so."""
    return next((name for name in classes if name.lower() not in _NEGATIVE), classes[0])


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `500kB`, `1.5 MB` or `65536` names.

    Raises:
        PupilaError: it is not a size.
    """
    number, factor = text.strip().lower().removesuffix("b"), 1
    for suffix, bytes_of in (("k", 1000), ("m", 1_000_000)):
        if number.endswith(suffix):
            number, factor = number.removesuffix(suffix), bytes_of
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise PupilaError(f"--size is {text!r}: give a number of bytes, as 500kB or 1.5MB.")
    return round(value * factor)
