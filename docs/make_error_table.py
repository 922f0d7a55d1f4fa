"""Simulates comparisons of mean errors at the margin, and writes the table into `docs/gate.md`.

    python docs/make_error_table.py

Takes about four minutes on one core.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.noninferiority import LEVEL, check_proportion
from pupila.noninferiority.clustered import mean_test
from pupila.noninferiority.tilting import student_tail

SEED = 20
RUNS = 1_000
PAGE = Path(__file__).parent / "gate.md"
MARGIN = 0.2
RADIUS = 6.4
"""True radius of every disc, in percent of the width."""
LIMIT = RADIUS / 2
TYPICAL = 0.45
"""Median error."""
SPREAD, ALIKE = 0.6, 0.5
"""Standard deviation of the logarithms of errors, and their correlation between the models."""
FAR = 0.01
"""Fraction of the images on which either model answers somewhere else, independently."""
TRIMMED = 0.1
"""Fraction of the differences that the trimmed mean leaves out at either end."""
Floats = NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True)
class Loss:
    """One way in which a model becomes worse."""

    words: str
    apply: Callable[[Random, Floats, float], Floats]
    """Returns worse errors, given a random generator, errors `(images,)`, and how much worse."""
    most: float
    """The largest argument of `apply` that is tried."""


def _chosen(random: Random, errors: Floats, fraction: float) -> NDArray[np.bool_]:
    return random.random(len(errors)) < fraction


def _elsewhere(random: Random, errors: Floats, fraction: float) -> Floats:
    far = random.uniform(10, 60, len(errors))
    return np.where(_chosen(random, errors, fraction), far, errors)


def _beside(random: Random, errors: Floats, fraction: float) -> Floats:
    added = RADIUS * random.uniform(0.3, 0.9, len(errors))
    return np.where(_chosen(random, errors, fraction), errors + added, errors)


LOSSES = (
    Loss("a little on every image", lambda _, errors, more: errors * (1 + more), 5),
    Loss(
        "the same on one image of ten",
        lambda random, errors, more: errors + more * _chosen(random, errors, 0.1),
        20,
    ),
    Loss("0.3 to 0.9 radii on a few images", _beside, 0.5),
    Loss("somewhere else on a few images", _elsewhere, 0.5),
)


def draw(random: Random, images: int, loss: Loss, more: float) -> tuple[Floats, Floats]:
    """Draw the errors of a model that is worse, and of its reference, `(images,)` each."""
    shared, *own = random.standard_normal((3, images))
    ours, theirs = (
        TYPICAL * np.exp(SPREAD * (math.sqrt(ALIKE) * shared + math.sqrt(1 - ALIKE) * noise))
        for noise in own
    )
    ours, theirs = (_elsewhere(random, errors, FAR) for errors in (ours, theirs))
    return loss.apply(random, ours, more), theirs


def counted(ours: Floats, theirs: Floats) -> Floats:
    """Return the differences of the errors that count."""
    return np.minimum(ours, LIMIT) - np.minimum(theirs, LIMIT)


def whole(ours: Floats, theirs: Floats) -> Floats:
    """Return the differences of the errors without a limit."""
    return ours - theirs


def tilting(differences: Floats) -> bool:
    """Return whether the gate's test passes, as in `compare_errors`."""
    members = np.arange(len(differences))
    test, distance = mean_test(-differences / LIMIT, members, -MARGIN / LIMIT, minimum=-1)
    return test.p_value(distance) <= LEVEL


def student(differences: Floats) -> bool:
    """Return whether Student's t rejects that the mean is the margin or more."""
    images = len(differences)
    error = differences.std(ddof=1) / math.sqrt(images)
    return student_tail(float((MARGIN - differences.mean()) / error), images - 1) <= LEVEL


def trimmed(differences: Floats) -> bool:
    """Return whether the test of the trimmed mean passes (Tukey and McLaughlin 1963)."""
    images, cut = len(differences), round(TRIMMED * len(differences))
    ordered = np.sort(differences)
    kept = ordered[cut : images - cut]
    spread = np.clip(ordered, kept[0], kept[-1]).std(ddof=1)
    error = spread * math.sqrt((images - 1) / (len(kept) * (len(kept) - 1)))
    return student_tail(float((MARGIN - kept.mean()) / error), len(kept) - 1) <= LEVEL


def median(differences: Floats) -> bool:
    """Return whether the sign test passes: most differences are below the margin."""
    return check_proportion(differences < MARGIN, 0.5).above


def at_margin(loss: Loss, differences: Callable[[Floats, Floats], Floats]) -> float:
    """Return how much worse a model must be for the true mean difference to be the margin."""
    low, high = 0.0, loss.most
    for _ in range(14):
        middle = (low + high) / 2
        drawn = draw(np.random.default_rng(SEED), 400_000, loss, middle)
        low, high = (middle, high) if differences(*drawn).mean() < MARGIN else (low, middle)
    return high


def passing(
    images: int,
    loss: Loss,
    more: float,
    differences: Callable[[Floats, Floats], Floats],
    *tests: Callable[[Floats], bool],
) -> list[float]:
    """Return the share of runs in which each test passes."""
    random, passed = np.random.default_rng(SEED), np.zeros(len(tests))
    for _ in range(RUNS):
        drawn = differences(*draw(random, images, loss, more))
        passed += [test(drawn) for test in tests]
    return (passed / RUNS).tolist()


def table() -> str:
    """Return the table as Markdown."""
    lines = [
        f"{RUNS:,} runs a row, seed {SEED}; margin {MARGIN} % of the width. Both models have "
        f"lognormal errors with a median of {TYPICAL} % (standard deviation {SPREAD} of the "
        f"logarithm, correlation {ALIKE}), and answer {100 * FAR:.0f} % of the images somewhere "
        f"else, 10 to 60 % off. The radius is {RADIUS} %, so that errors count up to {LIMIT} %.",
        "",
        "| n | how the model at the margin loses | false pass | power | mean without a limit: "
        "false pass | trimmed mean passes | median passes |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for loss in LOSSES:
        more, more_of_whole = (at_margin(loss, kind) for kind in (counted, whole))
        for images in (40, 77, 300):
            ours, cut, middle = passing(images, loss, more, counted, tilting, trimmed, median)
            (power,) = passing(images, loss, 0.0, counted, tilting)
            (unlimited,) = passing(images, loss, more_of_whole, whole, student)
            shares = (ours, power, unlimited, cut, middle)
            cells = [str(images), loss.words, *(f"{100 * share:.1f} %" for share in shares)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write() -> None:
    """Write the table between the marks of the page."""
    made, marks = table(), r"(<!-- errors -->\n).*(<!-- end of errors -->)"
    page = PAGE.read_text()
    PAGE.write_text(
        re.sub(marks, lambda marked: f"{marked[1]}\n{made}\n\n{marked[2]}", page, flags=re.DOTALL)
    )


if __name__ == "__main__":
    write()
