"""Simulates margins of metrics that packages add, and writes the table into `docs/gate.md`.

    python docs/make_metric_table.py

Above the table are its seed and number of runs. Takes about a minute and a half on one core.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.calibration import LEAST_PROBABILITY
from pupila.noninferiority import LEVEL, PairedErrors

SEED = 20
RUNS = 1_000
IMAGES = (50, 100, 300)
POPULATION = 100_000
"""Images from which it is computed how large a loss is the margin."""
CORRELATION = 0.8
"""Of the logits of both models."""
PAGE = Path(__file__).parent / "gate.md"
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A metric: the value of an image, given the probability of its true class."""

    title: str
    value: Callable[[Floats], Floats]
    worst: float
    margin: float


def _log_loss(chances: Floats) -> Floats:
    return -np.log(np.clip(chances, LEAST_PROBABILITY, 1))


SCORES = (
    Score("log loss, 0 to 5.5", _log_loss, float(-np.log(LEAST_PROBABILITY)), 0.3),
    Score("Brier score, 0 to 2", lambda chances: 2 * (1 - chances) ** 2, 2.0, 0.1),
    Score("cost of errors, 0 or 1", lambda chances: 1.0 * (chances < 0.5), 1.0, 0.1),
)
WAYS = ("a little on every image", "more on one image of five", "all there is on a few images")


def table() -> str:
    """Return the table as Markdown."""
    rows = [
        _row(score, images, way, a_patient)
        for score, a_patient in ((SCORES[0], 1), (SCORES[0], 3), (SCORES[1], 1), (SCORES[2], 1))
        for way in WAYS
        for images in IMAGES
    ]
    return "\n".join(
        [
            f"{RUNS:,} runs a row, seed {SEED}. The logit of the true class is normal (mean 2.5, "
            f"standard deviation 1.5), with a correlation of {CORRELATION} between the models; of "
            f"three images of a patient, half the variance is the patient's, and a loss on some "
            f"images is one on all images of some patients.",
            "",
            "| metric | margin | images | of a patient | how the model at the margin loses | "
            "false pass | power |",
            "|---|---:|---:|---:|---|---:|---:|",
            *rows,
        ]
    )


def _row(score: Score, images: int, way: str, a_patient: int) -> str:
    amount = _amount(score, way)
    false, power = (
        _passed(score, images, way, a_patient, amount, lost=lost) for lost in (True, False)
    )
    cells = (score.title, f"{score.margin:g}", images, a_patient, way, _percent(false))
    return f"| {' | '.join(map(str, cells))} | {_percent(power)} |"


def _passed(
    score: Score, images: int, way: str, a_patient: int, amount: float, *, lost: bool
) -> float:
    """Return the share of runs that pass; with `lost`, the new model is worse by the margin."""
    random, passed = np.random.default_rng(SEED), 0
    patients = np.arange(images) // a_patient
    clusters = patients if a_patient > 1 else None
    for _ in range(RUNS):
        new, reference = _draw(random, score, patients, way, amount if lost else 0.0)
        paired = PairedErrors.of(new, reference, np.full(images, score.worst), clusters)
        passed += paired.p_value(score.margin) <= LEVEL
    return passed / RUNS


def _draw(
    random: np.random.Generator, score: Score, patients: Integers, way: str, amount: float
) -> tuple[Floats, Floats]:
    """Draw values of the new model and of the reference, `(images,)` each."""
    number = int(patients[-1]) + 1

    def normal() -> Floats:
        alone = random.standard_normal(len(patients))
        if number == len(patients):
            return alone
        return (alone + random.standard_normal(number)[patients]) / 2**0.5

    first, second = normal(), normal()
    logits = 2.5 + 1.5 * first
    others = 2.5 + 1.5 * (CORRELATION * first + (1 - CORRELATION**2) ** 0.5 * second)
    uniform = random.random(number)[patients]
    if way == WAYS[0]:
        others = others - amount
    elif way == WAYS[1]:
        others = np.where(uniform < 0.2, others - amount, others)
    new, reference = (score.value(1 / (1 + np.exp(-given))) for given in (others, logits))
    return (np.where(uniform < amount, score.worst, new) if way == WAYS[2] else new), reference


@cache
def _amount(score: Score, way: str) -> float:
    """Return how much is lost in a way, so that the mean grows by the margin, by bisection."""
    patients = np.arange(POPULATION)
    low, high = 0.0, 1.0 if way == WAYS[2] else 200.0
    for _ in range(24):
        middle = (low + high) / 2
        random = np.random.default_rng(SEED)
        new, reference = _draw(random, score, patients, way, middle)
        low, high = (low, middle) if (new - reference).mean() > score.margin else (middle, high)
    return high


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def write() -> None:
    """Write the table between the marks of the page."""
    made = table()
    marks = r"(<!-- metrics -->\n).*(<!-- end of metrics -->)"

    def replaced(marked: re.Match[str]) -> str:
        return f"{marked[1]}\n{made}\n\n{marked[2]}"

    PAGE.write_text(re.sub(marks, replaced, PAGE.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    write()
