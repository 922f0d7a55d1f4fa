"""Simulates how often one of many bad models passes on the same test images.

`python docs/make_verdict_table.py` writes the table into `docs/gate.md`.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.noninferiority import LEVEL, critical_score, score

IMAGES, MARGIN, REFERENCE = 485, 0.05, 0.95
NIGHTS = (1, 10, 50, 365)
LATENT = (0.0, 0.8, 0.975)
"""Correlations between models of how hard an image is."""
YEARS, SEED = 2000, 20
PAGE = Path(__file__).with_name("gate.md")
MARKS = ("<!-- verdicts -->", "<!-- end of verdicts -->")


def passes(random: np.random.Generator, latent: float) -> tuple[NDArray[np.bool_], float]:
    """Return which models pass `(years, nights)`, and the correlation of their errors.

    Each is worse than the reference by exactly the margin. The images answered wrongly are those
    with the highest hardness, which is partly the same for all models.
    """
    lowest = critical_score(IMAGES, MARGIN)
    passed = np.empty((YEARS, max(NIGHTS)), np.bool_)
    correlations: list[float] = []
    for year in range(YEARS):
        shared = random.standard_normal(IMAGES)
        own = random.standard_normal((max(NIGHTS) + 1, IMAGES))
        hardness = np.sqrt(latent) * shared + np.sqrt(1 - latent) * own
        reference = hardness[0] > _cut(1 - REFERENCE)
        wrong = hardness[1:] > _cut(1 - REFERENCE + MARGIN)
        gained, lost = (~wrong & reference).sum(axis=1), (wrong & ~reference).sum(axis=1)
        passed[year] = score(gained, lost, IMAGES, -MARGIN) >= lowest
        correlations.append(float(np.corrcoef(wrong[0], wrong[1])[0, 1]))
    return passed, float(np.nanmean(correlations))


def _cut(rate: float) -> float:
    """Return the value that a standard normal variable exceeds with probability `rate`."""
    return NormalDist().inv_cdf(1 - rate)


def table() -> str:
    """Return the table as Markdown: a row for the upper bound, one for each correlation."""
    head = ["correlation of errors", *(f"{nights} model{'s' * (nights > 1)}" for nights in NIGHTS)]
    rows = [["upper figure, `1 − 0.975ᵏ`", *(f"{100 * bound(k):.1f} %" for k in NIGHTS)]]
    random = np.random.default_rng(SEED)
    for latent in LATENT:
        passed, correlation = passes(random, latent)
        any_of = [100 * float(passed[:, :nights].any(axis=1).mean()) for nights in NIGHTS]
        rows.append([f"{abs(correlation):.2f}", *(f"{percentage:.1f} %" for percentage in any_of)])
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bound(models: int) -> float:
    """Return the probability that at least one of `models` independent models passes."""
    return 1 - (1 - LEVEL) ** models


def main() -> None:
    """Write the table into the page."""
    page = PAGE.read_text()
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    PAGE.write_text(f"{before}{MARKS[0]}\n\n{table()}\n\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
