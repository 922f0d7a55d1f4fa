"""Writes numbers as text for the report; NaN and infinity become a dash."""

from __future__ import annotations

import math
from datetime import datetime

from pupila.evaluation import Estimate, Metrics, OperatingPoint

NONE = "–"
_SPACE = "\u00a0"
_DECIMAL_UNITS = ("B", "KB", "MB", "GB", "TB")
_COUNT_UNITS = ("", "k", "M", "G", "T")


def percent(fraction: float, digits: int = 1) -> str:
    """Write 0.953 as `95.3 %`."""
    return f"{fraction * 100:.{digits}f}{_SPACE}%" if math.isfinite(fraction) else NONE


def percent_interval(estimate: Estimate) -> str:
    """Write the interval of a fraction as `90.3–98.2`, in percent."""
    return _range(f"{estimate.low * 100:.1f}", f"{estimate.high * 100:.1f}", estimate)


def score(value: float) -> str:
    """Write an AUC or a calibration error with three decimals."""
    return f"{value:.3f}" if math.isfinite(value) else NONE


def score_interval(estimate: Estimate) -> str:
    """Write the interval of a score as `0.981–1.000`."""
    return _range(f"{estimate.low:.3f}", f"{estimate.high:.3f}", estimate)


def sensitivity_and_specificity(point: OperatingPoint, at: str | None = None) -> str:
    """Write an operating point as text: sensitivity and specificity with intervals, threshold.

    `at` is the threshold in words, by default its value.
    """
    return (
        f"sensitivity {percent(point.sensitivity.value)} ({percent_interval(point.sensitivity)}), "
        f"specificity {percent(point.specificity.value)} ({percent_interval(point.specificity)}) "
        f"at {at or score(point.threshold)}"
    )


def threshold(metrics: Metrics) -> str:
    """Write the threshold of a model's operating point, and how it was chosen.

    Examples: `0.668, shipped`; `0.412, chosen on 105 validation images`.
    """
    point = metrics.point
    if point is None:
        return NONE
    if metrics.shipped:
        return f"{score(point.threshold)}, shipped"
    images = plural(point.images, f"{point.chosen_on} image") if point.images else point.chosen_on
    return f"{score(point.threshold)}, chosen on {images}"


def threshold_origin(metrics: Metrics, specificity: float) -> str:
    """Say how the threshold of a model's operating point was chosen.

    If the threshold does not ship with the model, it was chosen to reach `specificity`.
    """
    point = metrics.point
    if point is None:
        return "No threshold could be chosen: images of both classes are needed."
    if metrics.shipped:
        return f"The threshold ships with the model; it was chosen on {point.chosen_on}."
    here = "the same images: optimistic" if point.chosen_on == "test" else "other images"
    return (
        f"The threshold was chosen for a specificity of {percent(specificity, 0)} on "
        f"{point.images or 'the'} {point.chosen_on} images ({here})."
    )


def independence(metrics: Metrics) -> str:
    """Say whether intervals treat patients or images as independent; give the patients' number."""
    if metrics.patients is None:
        return (
            "The data does not say which images are of the same patient: intervals treat every "
            "image as a different patient."
        )
    return f"Intervals are by patient: there are {metrics.patients:,}."


def points(difference: float) -> str:
    """Write a difference of fractions in percentage points, with its sign."""
    return f"{difference * 100:+.1f}".replace("-", "−") if math.isfinite(difference) else NONE


def points_interval(estimate: Estimate) -> str:
    """Write the interval of a difference as `−4.7 to +2.8`."""
    return f"{points(estimate.low)} to {points(estimate.high)}"


def difference(value: float) -> str:
    """Write a difference of probabilities with two significant digits: `0.00012`, `0.04`."""
    return f"{float(f'{value:.2g}'):.6f}".rstrip("0").rstrip(".") if math.isfinite(value) else NONE


def size(size_bytes: int | None) -> str:
    """Write bytes in decimal units: `837 KB`, `59.4 MB`; None as a dash."""
    return NONE if size_bytes is None else _scaled(size_bytes, _DECIMAL_UNITS)


def round_size(size_bytes: int) -> str:
    """Write a round number of bytes without decimals: `300 KB`, `1 MB`."""
    power = (len(str(size_bytes)) - 1) // 3
    return f"{size_bytes // 1000**power}{_SPACE}{_DECIMAL_UNITS[power]}"


def count(number: int | None) -> str:
    """Write a count as `3.42 M`; None as a dash."""
    return NONE if number is None else _scaled(number, _COUNT_UNITS).strip(_SPACE)


def milliseconds(value: float) -> str:
    """Write a time in milliseconds with three significant digits."""
    return f"{_significant(value)}{_SPACE}ms" if math.isfinite(value) else NONE


def ratio(large: float, small: float) -> str:
    """Write `large` divided by `small` as `71×`; a dash if `small` is 0."""
    if small <= 0:
        return NONE
    value = large / small
    return f"{value:.0f}×" if value >= 9.95 else f"{value:.1f}×"


def smaller(reference: float, own: float) -> str:
    """Compare two sizes: `71× smaller than`; the caller appends the name of the reference."""
    shrunk, grown = ratio(reference, own), ratio(own, reference)
    if shrunk == grown:
        return "about as large as"
    return f"{shrunk} smaller than" if own < reference else f"{grown} larger than"


def duration(seconds: float) -> str:
    """Write a duration as `0.4 s`, `42 s`, `3 min 20 s` or `2 h 05 min`."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < 9.95:
        return f"{seconds:.1f}{_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}{_SPACE}s"
    hours, minutes_left = divmod(minutes, 60)
    if not hours:
        return f"{minutes}{_SPACE}min {rest}{_SPACE}s"
    return f"{hours}{_SPACE}h {minutes_left:02d}{_SPACE}min"


def moment(iso: str) -> str:
    """Write an ISO 8601 time as `25 November 2026, 01:25 UTC`; other text is unchanged."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def listed(names: list[str]) -> str:
    """Join names as in a sentence: `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plural(number: int, noun: str) -> str:
    """Write `1 image`, `107 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def capitalised(text: str) -> str:
    """Write the first letter as a capital."""
    return text[:1].upper() + text[1:]


def shortened(name: str, characters: int) -> str:
    """Cut the middle out of a long name."""
    if len(name) <= characters:
        return name
    head = (characters - 1) * 2 // 3
    return f"{name[:head]}…{name[head + 1 - characters :]}"


def _range(low: str, high: str, estimate: Estimate) -> str:
    finite = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    return f"{low}–{high}" if finite else NONE


def _significant(value: float) -> str:
    """Write three significant digits without an exponent: `0.412`, `41.2`, `4120`."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(float(f"{abs(value):.3g}"))))
    return f"{value:.{min(digits, 4)}f}"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    """Scale by thousands; a value that would round to 1000 takes the next unit."""
    power = 0
    while number >= 999.5 and power < len(units) - 1:
        number /= 1000
        power += 1
    text = f"{number:.0f}" if power == 0 else _significant(number)
    return f"{text}{_SPACE}{units[power]}"
