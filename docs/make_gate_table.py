"""Simulates the gate at its margin and away from it, and writes the tables into `docs/gate.md`.

    python docs/make_gate_table.py

Each row is drawn with the seed and the number of runs that stand above the table. Beside what was
simulated stands what is computed: the exact test knows both of its probabilities.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import NormalDist

import numpy as np

from pupila.noninferiority import (
    LEVEL,
    PairedAreas,
    critical_score,
    images_needed,
    power,
    score,
)

SEED = 20
RUNS = 100_000
AREA_RUNS = 1_000
RARE = 1.0
"""Correlation of scores that are the same, but for a few images that are answered wholly wrong."""
PAGE = Path(__file__).parent / "gate.md"
PROPORTIONS = [
    (images, margin, discordance)
    for margin, discordance in [(0.05, 0.05), (0.05, 0.1), (0.03, 0.05), (0.03, 0.1)]
    for images in (100, 400, 1000)
]
AREAS = [
    (images, margin, reference, correlation)
    for reference, margin in [(0.999, 0.02), (0.97, 0.05), (0.9, 0.05)]
    for correlation in (0.5, 0.95, RARE)
    for images in (107, 400)
]


def tables() -> str:
    """Return both tables as Markdown."""
    return "\n".join(
        [
            f"Accuracy, sensitivity: {RUNS:,} runs a row, seed {SEED}.",
            "",
            "| n | margin | discordance | false pass, simulated | computed | largest there is | "
            "power, simulated | computed | n for 80 % |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *map(_proportion_row, PROPORTIONS),
            "",
            f"AUC: {AREA_RUNS:,} runs a row, seed {SEED}; half of the images are positive, and the "
            "scores of each class normal.",
            "",
            "| n | margin | AUC of the reference | correlation of scores | false pass | power |",
            "|---:|---:|---:|---:|---:|---:|",
            *map(_area_row, AREAS),
        ]
    )


def _proportion_row(case: tuple[int, float, float]) -> str:
    images, margin, discordance = case
    critical = critical_score(images, margin)
    told = [f"{images:,}", f"{margin}", f"{discordance}"]
    for difference in (-margin, 0.0):
        random = np.random.default_rng(SEED)
        won, gone = (discordance + difference) / 2, (discordance - difference) / 2
        counts = random.multinomial(images, [won, gone, 1 - discordance], RUNS)
        passed = score(counts[:, 0], counts[:, 1], images, -margin) >= critical - 1e-9
        told += [
            _percent(float(passed.mean())),
            _percent(power(images, margin, discordance, difference)),
        ]
        if difference:
            every = np.linspace(margin, 1, 60)
            told.append(_percent(max(power(images, margin, each, -margin) for each in every)))
    asked = images_needed(1, 1, round(2 / discordance), margin)  # after one gained and one lost
    return f"| {' | '.join([*told, f'{asked:,}'])} |"


def _area_row(case: tuple[int, float, float, float]) -> str:
    images, margin, reference, correlation = case
    shares = [_passed(case, new) for new in (reference - margin, reference)]
    told = [f"{images:,}", f"{margin}", f"{reference}", _named(correlation), *map(_percent, shares)]
    return f"| {' | '.join(told)} |"


def _named(correlation: float) -> str:
    return "1, but for a few" if correlation == RARE else f"{correlation}"


def _passed(case: tuple[int, float, float, float], new: float) -> float:
    """Return the share of runs in which a classifier of that area passes."""
    images, margin, reference, correlation = case
    random, labels = np.random.default_rng(SEED), np.arange(images) % 2
    shifted = reference if correlation == RARE else new
    shifts = np.sqrt(2) * np.array([NormalDist().inv_cdf(each) for each in (shifted, reference)])
    covariance = [[1, correlation], [correlation, 1]]
    passed = 0
    for _ in range(AREA_RUNS):
        scores = random.multivariate_normal([0, 0], covariance, images)
        scores[labels == 0] += shifts
        if correlation == RARE:
            gone = random.random(images) < (reference - new) / reference
            scores[gone & (labels == 0), 0] = -100
        first, second = (np.stack([each, -each], axis=1) for each in scores.T)
        passed += PairedAreas.of(first, second, labels, [0]).p_value(-margin) <= LEVEL
    return passed / AREA_RUNS


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"


def write() -> None:
    """Put the tables between the marks of the page."""
    page = PAGE.read_text()
    marks = r"(<!-- tables -->\n).*(<!-- end of tables -->)"
    PAGE.write_text(
        re.sub(marks, lambda found: f"{found[1]}\n{tables()}\n\n{found[2]}", page, flags=re.DOTALL)
    )


if __name__ == "__main__":
    write()
