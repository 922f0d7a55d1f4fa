"""Simulates the gate at its margin and away from it, and writes the tables into `docs/gate.md`.

    python docs/make_gate_table.py

Above each table are its seed and number of runs. Beside the simulated probabilities are those
computed by the exact test. Takes about six minutes on one core.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.noninferiority import (
    LEVEL,
    PairedAuc,
    critical_score,
    images_needed,
    power,
    score,
)
from pupila.noninferiority.clustered import mean_test

SEED = 20
RUNS = 100_000
SLOW_RUNS = 1_000
"""Runs of tests that take a millisecond or more each."""
FAR = 100.0
"""A score beyond all others: that of an image answered completely wrong."""
PAGE = Path(__file__).parent / "gate.md"
PROPORTIONS = [
    (images, margin, discordance)
    for margin, discordance in [(0.05, 0.05), (0.05, 0.1), (0.03, 0.05), (0.03, 0.1)]
    for images in (100, 400, 1000)
]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Areas:
    """Two classifiers with normal scores, and how one of them is worse."""

    positives: int
    negatives: int
    margin: float
    area: float
    """Of either, without the completely wrong answers."""
    correlation: float
    wrong: float = 0.0
    """Fraction of the positives that either answers completely wrong, independently."""
    gone: bool = False
    """Whether the worse one answers more of them completely wrong; otherwise its area is lower."""
    step: float = 0.0
    """Scores are rounded to multiples of this, and clipped to -3..3; 0: not rounded."""
    a_patient: int = 1
    """Images of each patient, of one class; their scores correlate by `alike`."""
    alike: float = 0.0


OLD = [
    Areas(images // 2 + images % 2, images // 2, margin, area, correlation, gone=correlation == 1)
    for area, margin in [(0.999, 0.02), (0.97, 0.05), (0.9, 0.05)]
    for correlation in (0.5, 0.95, 1.0)
    for images in (107, 400)
]
WRONG = [
    Areas(positives, negatives, 0.05, area, 0.8, wrong=wrong, gone=True)
    for positives, negatives in [(25, 25), (25, 250), (59, 48), (240, 245)]
    for area, wrong in [(1.0, 0.03), (0.97, 0.05), (0.97, 0.1)]
]
TIED = [
    Areas(59, 48, 0.05, 0.97, 0.8, step=1.0),
    Areas(240, 245, 0.05, 0.97, 0.8, wrong=0.05, gone=True, step=1.0),
]
CLUSTERED_AREAS = [
    Areas(positives, negatives, 0.05, 0.95, 0.8, wrong=0.05, gone=True, a_patient=3, alike=alike)
    for positives, negatives in [(60, 48), (240, 246)]
    for alike in (0.0, 0.5, 1.0)
]
CLUSTERED = [
    (patients, a_patient, 0.05, discordance, alike)
    for patients, a_patient in [(50, 2), (33, 3), (240, 2), (162, 3), (121, 4)]
    for discordance, alike in [(0.1, 0.0), (0.1, 0.5), (0.1, 1.0)]
]


def tables() -> str:
    """Return all tables as Markdown."""
    runs = f"{SLOW_RUNS:,} runs a row, seed {SEED}"
    return "\n".join(
        [
            f"Accuracy, sensitivity, specificity: {RUNS:,} runs a row, seed {SEED}.",
            "",
            "| n | margin | discordance | false pass, simulated | computed | largest there is | "
            "power, simulated | computed | n for 80 % |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *map(_proportion_row, PROPORTIONS),
            "",
            f"AUC: {runs}; the scores of each class are normal. “Wholly wrong” is the fraction of "
            "the positives that each model answers wholly wrong, independently of the other. Where "
            "it says “more”, the worse model loses its margin by more of them, else by a lower "
            "area.",
            "",
            "| positives + negatives | margin | AUC but for what is wholly wrong | correlation of "
            "scores | wholly wrong | false pass | power |",
            "|---:|---:|---:|---:|---:|---:|---:|",
            *map(_area_row, [*OLD, *WRONG, *TIED]),
            "",
            f"Several images a patient, accuracy: {runs}. “Alike” is the fraction of patients "
            "whose images are all answered alike by each model; the others' are independent.",
            "",
            "| patients × images | margin | discordance | alike | false pass, as if every image "
            "were another patient's | false pass, by patient | power, by patient |",
            "|---:|---:|---:|---:|---:|---:|---:|",
            *map(_clustered_row, CLUSTERED),
            "",
            f"Several images a patient, AUC: {runs}; three images of one class a patient, both "
            "models answer 5 % of the positives wholly wrong and the worse one more. “Alike” is "
            "the correlation within a patient, and the fraction of patients whose images are all "
            "answered wrong.",
            "",
            "| positives + negatives | margin | alike | false pass, as if every image were another "
            "patient's | false pass, by patient | power, by patient |",
            "|---:|---:|---:|---:|---:|---:|",
            *map(_clustered_area_row, CLUSTERED_AREAS),
        ]
    )


def _proportion_row(case: tuple[int, float, float]) -> str:
    images, margin, discordance = case
    critical = critical_score(images, margin)
    cells = [f"{images:,}", f"{margin}", f"{discordance}"]
    for difference in (-margin, 0.0):
        random = np.random.default_rng(SEED)
        won, gone = (discordance + difference) / 2, (discordance - difference) / 2
        counts = random.multinomial(images, [won, gone, 1 - discordance], RUNS)
        passed = score(counts[:, 0], counts[:, 1], images, -margin) >= critical - 1e-9
        cells += [
            _percent(float(passed.mean())),
            _percent(power(images, margin, discordance, difference)),
        ]
        if difference:
            grid = np.linspace(margin, 1, 60)
            largest = max(power(images, margin, discordance, -margin) for discordance in grid)
            cells.append(_percent(largest))
    asked = images_needed(1, 1, round(2 / discordance), margin)  # after one gained and one lost
    return _row(*cells, f"{asked:,}")


def _area_row(case: Areas) -> str:
    ties = f", in steps of {case.step:g}" if case.step else ""
    (false, _), (right, _) = (_areas_passed(case, loss) for loss in (case.margin, 0.0))
    return _row(
        f"{case.positives} + {case.negatives}",
        f"{case.margin}",
        f"{case.area}{ties}",
        f"{case.correlation}",
        f"{100 * case.wrong:.0f} %{', more' if case.gone else ''}",
        _percent(false),
        _percent(right),
    )


def _clustered_area_row(case: Areas) -> str:
    (false, naive), (right, _) = (_areas_passed(case, loss) for loss in (case.margin, 0.0))
    images = f"{case.positives} + {case.negatives}"
    shares = map(_percent, (naive, false, right))
    return _row(images, f"{case.margin}", f"{case.alike}", *shares)


def _areas_passed(case: Areas, loss: float) -> tuple[float, float]:
    """Return the share of runs that pass: by patient, and with images treated as independent."""
    random, passed = np.random.default_rng(SEED), np.zeros(2)
    for _ in range(SLOW_RUNS):
        scores, labels, patients = draw_areas(random, case, loss)
        first, second = (np.stack([column, -column], axis=1) for column in scores.T)
        ways = (patients, None) if case.a_patient > 1 else (None,)
        for way, clusters in enumerate(ways):
            areas = PairedAuc.of(first, second, labels, [0], clusters)
            passed[way] += areas.p_value(-case.margin) <= LEVEL
    return float(passed[0]) / SLOW_RUNS, float(passed[1]) / SLOW_RUNS


def draw_areas(
    random: np.random.Generator, case: Areas, loss: float
) -> tuple[Floats, Integers, Integers]:
    """Draw scores `(images, 2)` of the new one and the reference, labels and patients."""
    images = case.positives + case.negatives
    positive = np.arange(images) < case.positives
    patients = np.arange(images) // case.a_patient  # their images are of one class
    scores = _normal(random, case, patients)
    for column, area in enumerate([case.area - (0 if case.gone else loss), case.area]):
        scores[positive, column] += FAR / 2 if area == 1 else 2**0.5 * NormalDist().inv_cdf(area)
    if case.step:
        scores = np.clip(np.round(scores / case.step) * case.step, -3, 3)
    more = loss / case.area if case.gone else 0.0
    for column, fraction in enumerate([case.wrong + more, case.wrong]):
        scores[positive & _choose(random, fraction, case.alike, patients), column] = -FAR
    return scores, 1 - positive.astype(np.int64), patients


def _normal(random: np.random.Generator, case: Areas, patients: Integers) -> Floats:
    """Draw normal scores `(images, 2)`, correlated between the models and within patients."""

    def pairs(count: int) -> Floats:
        first, second = random.standard_normal((2, count))
        rest = (1 - case.correlation**2) ** 0.5
        return np.stack([first, case.correlation * first + rest * second], axis=1)

    shared = pairs(int(patients[-1]) + 1)[patients]
    return case.alike**0.5 * shared + (1 - case.alike) ** 0.5 * pairs(len(patients))


def _choose(
    random: np.random.Generator, fraction: float, alike: float, patients: Integers
) -> NDArray[np.bool_]:
    """Draw a fraction of the images; a fraction `alike` of the patients as a whole."""
    number = int(patients[-1]) + 1
    whole = random.random(number) < alike
    own, of_patient = random.random(len(patients)), random.random(number)
    return np.where(whole[patients], of_patient[patients], own) < fraction


def _clustered_row(case: tuple[int, int, float, float, float]) -> str:
    patients, a_patient, margin, discordance, alike = case
    (false, naive), (right, _) = (_clustered_passed(case, loss) for loss in (margin, 0.0))
    shares = map(_percent, (naive, false, right))
    return _row(f"{patients} × {a_patient}", f"{margin}", f"{discordance}", f"{alike}", *shares)


def _clustered_passed(
    case: tuple[int, int, float, float, float], loss: float
) -> tuple[float, float]:
    number, a_patient, margin, discordance, alike = case
    random, passed = np.random.default_rng(SEED), np.zeros(2)
    patients = np.repeat(np.arange(number), a_patient)
    images, critical = len(patients), critical_score(len(patients), margin)
    for _ in range(SLOW_RUNS):
        uniform = np.where(
            np.repeat(random.random(number) < alike, a_patient),
            np.repeat(random.random(number), a_patient),
            random.random(images),
        )
        gained = uniform < (discordance - loss) / 2
        lost = uniform > 1 - (discordance + loss) / 2
        test, distance = mean_test(1.0 * gained - lost, patients, -margin, minimum=-1)
        passed[0] += test.p_value(distance) <= LEVEL
        passed[1] += float(score(gained.sum(), lost.sum(), images, -margin)) >= critical - 1e-9
    return float(passed[0]) / SLOW_RUNS, float(passed[1]) / SLOW_RUNS


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"


def write() -> None:
    """Write the tables between the marks of the page."""
    page = PAGE.read_text()
    marks = r"(<!-- tables -->\n).*(<!-- end of tables -->)"
    PAGE.write_text(
        re.sub(
            marks, lambda marked: f"{marked[1]}\n{tables()}\n\n{marked[2]}", page, flags=re.DOTALL
        )
    )


if __name__ == "__main__":
    write()
