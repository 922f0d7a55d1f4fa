"""Simulates how often intervals contain the true value, and writes the table of the docs.

    python docs/make_coverage_table.py

The table is in `docs/decisions/0003-intervals.md`, with the seed and the number of runs above it.
The true value of a figure is computed by its formula, or from a large sample.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.calibration import calibration
from pupila.evaluation import Estimate
from pupila.intervals import share
from pupila.roc import auc, auc_interval
from pupila.true_accepts import false_accepts

SEED = 20
NORMAL = NormalDist()
RUNS = 2_000
FEW_RUNS = 300
"""Of figures that are resampled: each run is 2,000 resamples."""
LARGE = 200_000
PAGE = Path(__file__).parent / "decisions" / "0003-intervals.md"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Drawn = tuple[Floats, Integers]
Random = np.random.Generator


def table() -> str:
    """Return the table as Markdown."""
    return "\n".join(
        [
            f"{RUNS:,} runs a row, of ECE and Brier score {FEW_RUNS:,}; seed {SEED}.",
            "",
            "| figure | drawn | images | interval before | interval now | its mean width |",
            "|---|---|---:|---:|---:|---:|",
            *areas(),
            *areas_of_three_classes(),
            *by_patient(),
            *true_accepts(),
            *calibrations(),
        ]
    )


def _row(
    figure: str,
    drawn: str,
    images: str,
    runs: int,
    truth: float,
    draw: Callable[[], tuple[Estimate, tuple[float, float] | None]],
) -> str:
    covered, before, width = 0, 0, 0.0
    for _ in range(runs):
        now, old = draw()
        covered += now.low <= truth <= now.high
        width += now.high - now.low
        before += old is not None and old[0] <= truth <= old[1]
    was = f"{before / runs:.3f}" if before else "–"
    return f"| {figure} | {drawn} | {images} | {was} | {covered / runs:.3f} | {width / runs:.3f} |"


def _required(estimate: Estimate | None) -> Estimate:
    if estimate is None:
        raise ValueError("a class has no image")
    return estimate


def areas() -> Iterator[str]:
    """Yield rows of the AUC of two classes, normal scores, some positives completely wrong."""
    for positives, negatives in ((25, 25), (59, 48), (240, 245)):
        for area, wrong in ((0.8, 0.0), (0.97, 0.0), (0.97, 0.03), (0.97, 0.1), (0.99, 0.1)):
            random = np.random.default_rng(SEED)
            shift, truth = (
                np.sqrt(2) * NORMAL.inv_cdf(area),
                np.repeat([0, 1], [positives, negatives]),
            )

            def draw(
                random: Random = random,
                shift: float = shift,
                truth: Integers = truth,
                wrong: float = wrong,
            ) -> tuple[Estimate, tuple[float, float]]:
                scores = random.normal((truth == 0) * shift)
                scores[(truth == 0) & (random.random(len(truth)) < wrong)] -= 30
                now = _required(auc(np.stack([scores, -scores], axis=1), truth, 0))
                sizes = np.bincount(truth).tolist()
                return now, auc_interval(now.value, *sizes)

            said = f"area {area}" + (
                f", {wrong:.0%} of the positives wholly wrong" if wrong else ""
            )
            true = area * (1 - wrong)
            yield _row("AUC", said, f"{positives} + {negatives}", RUNS, true, draw)


def areas_of_three_classes() -> Iterator[str]:
    """Yield rows of the mean area of three classes."""
    for shift, wrong in ((1.5, 0.0), (5.0, 0.0), (3.0, 0.03), (3.0, 0.1)):
        random = np.random.default_rng(SEED)

        def drawn(
            images: int, random: Random = random, shift: float = shift, wrong: float = wrong
        ) -> Estimate:
            truth = np.repeat([0, 1, 2], images)
            logits = random.normal(0, 1, (3 * images, 3)) + shift * np.eye(3)[truth]
            off = random.random(3 * images) < wrong
            logits[off] += 9 * np.eye(3)[(truth[off] + 1) % 3]
            odds = np.exp(logits)
            return _required(auc(odds / odds.sum(axis=1, keepdims=True), truth, 0))

        true = drawn(LARGE).value
        said = f"mean area {true:.3f}" + (f", {wrong:.0%} wholly wrong" if wrong else "")
        yield _row(
            "AUC, 3 classes", said, "3 × 40", RUNS, true, lambda drawn=drawn: (drawn(40), None)
        )


def by_patient() -> Iterator[str]:
    """Yield rows of accuracy and AUC with one to four images per patient."""
    for patients in (40, 150):
        for alike in (0.0, 0.3, 1.0):
            random = np.random.default_rng(SEED)

            def accuracy(
                random: Random = random, patients: int = patients, alike: float = alike
            ) -> tuple[Estimate, tuple[float, float]]:
                of = np.repeat(np.arange(patients), random.integers(1, 5, patients))
                shared = (random.random(patients) < 0.9)[of]
                copied = (random.random(patients) < alike)[of]
                hits = np.where(copied, shared, random.random(len(of)) < 0.9)
                plain = share(hits)
                return share(hits, of), (plain.low, plain.high)

            said = f".9, images of a patient alike to {alike}"
            yield _row("accuracy", said, f"{patients} patients", RUNS, 0.9, accuracy)
        for alike in (0.0, 0.9):
            random, true = np.random.default_rng(SEED), NORMAL.cdf(1.2 / 2**0.5)

            def area(
                random: Random = random, patients: int = patients, alike: float = alike
            ) -> tuple[Estimate, tuple[float, float]]:
                of = np.repeat(np.arange(patients), random.integers(1, 5, patients))
                truth = of % 2
                own = random.normal(0, np.sqrt(1 - alike), len(of))
                scores = random.normal(0, np.sqrt(alike), patients)[of] + own + 1.2 * (truth == 0)
                columns = np.stack([scores, -scores], axis=1)
                plain = _required(auc(columns, truth, 0))
                return _required(auc(columns, truth, 0, of)), (plain.low, plain.high)

            said = f"{true:.3f}, scores of a patient correlated by {alike}"
            yield _row("AUC", said, f"{patients} patients", RUNS, true, area)


def true_accepts() -> Iterator[str]:
    """Yield rows of the false accepts at 95 % true accepts."""
    for accepted, others in ((59, 48), (150, 150), (300, 1000)):
        for shift in (1.5, 3.0):
            random, true = np.random.default_rng(SEED), NORMAL.cdf(-shift - NORMAL.inv_cdf(0.05))

            def draw(
                random: Random = random,
                accepted: int = accepted,
                others: int = others,
                shift: float = shift,
            ) -> tuple[Estimate, tuple[float, float]]:
                ours, theirs = random.normal(shift, 1, accepted), random.normal(0, 1, others)
                now = false_accepts(ours, theirs)
                at = np.sort(ours)[int(0.05 * accepted + 1e-9)]
                fixed = share(theirs >= at)
                return now, (fixed.low, fixed.high)

            yield _row("FPR at 95 % TPR", f"{true:.3f}", f"{accepted} + {others}", RUNS, true, draw)


def calibrations() -> Iterator[str]:
    """Yield rows of ECE and Brier score of calibrated and of overconfident answers."""
    for name, sharp in (("calibrated", 1.0), ("too sure", 0.5)):
        for images in (107, 500):
            random = np.random.default_rng(SEED)

            def drawn(images: int, random: Random = random, sharp: float = sharp) -> Drawn:
                logit = random.normal(0, 2, images)
                said, true = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-logit * sharp))
                truth = (random.random(images) > true).astype(np.int64)
                return np.stack([said, 1 - said], axis=1), truth

            said, truth = drawn(LARGE)
            confidence, right = said.max(axis=1), said.argmax(axis=1) == truth
            bins = np.ceil(confidence * 15).astype(int)
            gaps = np.bincount(bins, weights=right - confidence)
            trues = (
                0.0 if sharp == 1 else float(np.abs(gaps).sum() / LARGE),
                float(np.square(said - np.eye(2)[truth]).sum(axis=1).mean()),
            )
            for which, figure in enumerate(("ECE", "Brier score")):

                def draw(
                    which: int = which, images: int = images, drawn: Callable[[int], Drawn] = drawn
                ) -> tuple[Estimate, None]:
                    return calibration(*drawn(images))[which], None

                said_of = f"{trues[which]:.3f}, {name}"
                yield _row(figure, said_of, f"{images}", FEW_RUNS, trues[which], draw)


if __name__ == "__main__":
    marks = re.compile(r"(<!-- coverage -->\n).*?(<!-- end of coverage -->)", re.DOTALL)
    text = PAGE.read_text()
    PAGE.write_text(marks.sub(lambda marked: f"{marked[1]}{table()}\n{marked[2]}", text))
