"""What the teacher adds: the fraction right of each pupil minus that of its control.

It is over all seeds; in a classification, the fraction right is the accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pupila.evaluation import Estimate, Evaluation
from pupila_flows.report import formatting
from pupila_flows.report.figures import main_figure
from pupila_flows.report.predictions import RunPredictions, paired_difference
from pupila_flows.report.sections.seed_statistics import mean_over_images_and_seeds
from pupila_flows.report.sections.seeds import SeedRuns, Spread, group_by_seed
from pupila_flows.results import Entry

Shown = Literal["gain", "loss", "nothing"]


@dataclass(frozen=True)
class SeedPair:
    """The evaluations of a pupil and of its control with the same seed."""

    seed: int | None
    pupil: Evaluation
    control: Evaluation


@dataclass(frozen=True)
class Gain:
    """The comparison of a pupil with its control, which was made in the same way without a teacher.

    A loss is a negative gain.
    """

    pupil: str
    control: str
    pairs: tuple[SeedPair, ...]
    """One pair for each seed with which pupil and control were evaluated; at least one pair."""
    difference: Estimate | None
    """Fraction right of the pupil minus that of the control; None if predictions are missing."""

    @property
    def accuracies(self) -> tuple[list[float], list[float]]:
        """Fraction right with each seed: a list for the pupil, then a list for the control."""
        pupil = [pair.pupil.metrics.accuracy.value for pair in self.pairs]
        return pupil, [pair.control.metrics.accuracy.value for pair in self.pairs]

    @property
    def main(self) -> tuple[Spread | None, Spread | None]:
        """Main figure over all seeds: for the pupil, then for the control; None if not known."""
        pupil = [main_figure(pair.pupil.metrics) for pair in self.pairs]
        control = [main_figure(pair.control.metrics) for pair in self.pairs]
        return Spread.of_figures(pupil), Spread.of_figures(control)

    @property
    def value(self) -> float:
        """Mean fraction right of the pupil minus that of the control, over seeds, as a fraction."""
        pupil, control = self.accuracies
        return sum(pupil) / len(pupil) - sum(control) / len(control)

    @property
    def shown(self) -> Shown:
        """What the interval of the difference shows: `nothing` if it contains 0 or is missing."""
        if self.difference is None or self.difference.low <= 0 <= self.difference.high:
            return "nothing"
        return "gain" if self.difference.low > 0 else "loss"

    @property
    def verdict(self) -> str:
        """A statement of what the teacher added, as far as the interval shows it."""
        if self.difference is None:
            return "nothing is shown: predictions are no longer on disk, so the interval is unknown"
        interval = f"(95 % interval {formatting.points_interval(self.difference)} points)"
        if self.shown == "gain":
            return f"gain shown: it does better with the teacher {interval}"
        if self.shown == "loss":
            return f"loss shown: the control without a teacher does better {interval}"
        seeds = formatting.plural(len(self.pairs), "seed")
        images = formatting.plural(self.pairs[0].pupil.metrics.images, "image")
        return (
            f"no gain is shown: with {images} and {seeds}, the control without a teacher is not "
            f"shown to be worse {interval}"
        )


def gains(entries: Sequence[Entry], predictions: RunPredictions) -> list[Gain]:
    """Compare every pupil with its control, if both were evaluated with a common seed.

    With one common seed, the interval is over images, as in the gate. With several common seeds, it
    is over images and seeds.
    """
    by_name = {entry.name: entry for entry in entries}
    compared = [
        _gain(runs, by_name, predictions) for runs in group_by_seed(entries) if runs.first.control
    ]
    return [gain for gain in compared if gain]


def _gain(pupil: SeedRuns, by_name: dict[str, Entry], predictions: RunPredictions) -> Gain | None:
    both = [(entry, by_name[entry.control]) for entry in pupil.entries if entry.control in by_name]
    pairs = [
        (SeedPair(mine.seed, mine.evaluation, theirs.evaluation), mine.name, theirs.name)
        for mine, theirs in both
        if mine.evaluation and theirs.evaluation
    ]
    if not pairs:
        return None
    names = [(mine, theirs) for _, mine, theirs in pairs]
    return Gain(
        pupil=pupil.name,
        control=by_name[pairs[0][2]].repeats or pairs[0][2],
        pairs=tuple(pair for pair, _, _ in pairs),
        difference=_difference(names, predictions),
    )


def _difference(names: list[tuple[str, str]], predictions: RunPredictions) -> Estimate | None:
    if any(name not in predictions.answers for pair in names for name in pair):
        return None
    if len(names) == 1:
        mine, theirs = names[0]
        right = predictions.correct(mine), predictions.correct(theirs)
        return paired_difference(*right, predictions.patients)
    right = np.array([[predictions.correct(name) for name in pair] for pair in names], np.float64)
    return mean_over_images_and_seeds(right[:, 0] - right[:, 1], (1, -1), predictions.patients)
