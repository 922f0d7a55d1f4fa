"""Summarizes every step over all its seeds: the mean of each metric, and its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pupila.evaluation import Estimate
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact
from pupila_flows.report.predictions import RunPredictions
from pupila_flows.report.sections.seed_statistics import mean_over_images_and_seeds
from pupila_flows.results import Entry, RunResult


@dataclass(frozen=True)
class Spread:
    """Mean, lowest and highest value of a metric over seeds."""

    mean: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of `values`; None if `values` is empty."""
        return cls(sum(values) / len(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class SeedRuns:
    """An entry and its repeats with other seeds, if any."""

    entries: tuple[Entry, ...]

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def name(self) -> str:
        return self.first.name

    @property
    def evaluated(self) -> list[EvaluatedArtifact]:
        return [
            EvaluatedArtifact(entry, entry.evaluation) for entry in self.entries if entry.evaluation
        ]

    @property
    def failed(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.error]

    @property
    def accuracy(self) -> Spread | None:
        """Accuracy on the test images; None if no seed was evaluated."""
        return Spread.of(
            [artifact.evaluation.metrics.accuracy.value for artifact in self.evaluated]
        )

    @property
    def validation(self) -> Spread | None:
        """Accuracy on the validation images; None if any evaluated seed lacks this accuracy."""
        known = [artifact.evaluation.validation for artifact in self.evaluated]
        values = [estimate.value for estimate in known if estimate]
        return Spread.of(values) if len(values) == len(known) else None

    @property
    def fidelity(self) -> Spread | None:
        """Fidelity on altered validation images; None if any evaluated seed lacks this fidelity."""
        known = [
            artifact.entry.shift.validation if artifact.entry.shift else None
            for artifact in self.evaluated
        ]
        values = [estimate.value for estimate in known if estimate]
        return Spread.of(values) if len(values) == len(known) else None

    @property
    def test_fidelity(self) -> Spread | None:
        """Fidelity on altered test images, over the seeds whose fidelity is known."""
        known = [artifact.entry.shift for artifact in self.evaluated]
        return Spread.of([shift.value.value for shift in known if shift])

    @property
    def auc(self) -> Spread | None:
        """AUC on the test images, over the seeds whose AUC is known."""
        aucs = [artifact.evaluation.metrics.auc for artifact in self.evaluated]
        return Spread.of([auc.value for auc in aucs if auc])

    def interval(self, predictions: RunPredictions) -> Estimate | None:
        """Return the mean accuracy with its interval over images and seeds.

        With one evaluated seed, the interval is over images only. Return None if no seed was
        evaluated, or if predictions are missing.
        """
        artifacts = self.evaluated
        if len(artifacts) == 1:
            return artifacts[0].evaluation.metrics.accuracy
        if not artifacts or any(
            artifact.name not in predictions.probabilities for artifact in artifacts
        ):
            return None
        right = np.array([predictions.correct(artifact.name) for artifact in artifacts], np.float64)
        return mean_over_images_and_seeds(right, (1, 1, 0, 0), predictions.patients)


def group_by_seed(entries: Sequence[Entry]) -> list[SeedRuns]:
    """Group each entry with its repeats, in the order of the run."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.repeats or entry.name, []).append(entry)
    return [SeedRuns(tuple(group)) for group in by_name.values()]


def seeds_of(result: RunResult) -> list[int]:
    """Return the seeds of a run, the recipe's seed first."""
    others = [entry.seed for entry in result.entries if entry.repeats and entry.seed is not None]
    return list(dict.fromkeys([result.seed, *others]))


def seeds_note(result: RunResult) -> str:
    """Say which seed the page shows; empty if the run has only one seed."""
    seeds = seeds_of(result)
    if len(seeds) == 1:
        return ""
    return (
        f"{len(seeds)} seeds: {', '.join(map(str, seeds))}. Results below are those of seed "
        f"{seeds[0]} unless stated otherwise; the table “Over seeds” has all."
    )


@dataclass(frozen=True)
class SeedRow:
    """One row of the table over seeds, as text."""

    name: str
    seeds: str
    accuracy: str
    range: str
    interval: str
    auc: str
    auc_range: str
    errors: tuple[str, ...]


def seed_table(result: RunResult, predictions: RunPredictions) -> list[SeedRow]:
    """Return a row for every entry over all its seeds; empty if nothing was repeated."""
    all_runs = group_by_seed(result.entries)
    if all(len(runs.entries) == 1 for runs in all_runs):
        return []
    return [_row(runs, runs.interval(predictions)) for runs in all_runs]


def _row(runs: SeedRuns, interval: Estimate | None) -> SeedRow:
    accuracy, auc = runs.accuracy, runs.auc
    several = len(runs.evaluated) > 1
    return SeedRow(
        name=runs.name,
        seeds=seed_count(runs),
        accuracy=formatting.percent(accuracy.mean) if accuracy else formatting.NONE,
        range=percent_range(accuracy) if accuracy and several else "",
        interval=formatting.percent_interval(interval) if interval else "",
        auc=formatting.score(auc.mean) if auc else formatting.NONE,
        auc_range=f"{auc.lowest:.3f}–{auc.highest:.3f}" if auc and several else "",
        errors=tuple(f"{entry.name}: {entry.error}" for entry in runs.failed),
    )


def seed_count(runs: SeedRuns) -> str:
    """Write the number of seeds that an entry was evaluated with, such as `3` or `2 of 3`.

    If the entry does not depend on a seed, write a dash.
    """
    if runs.first.seed is None:
        return formatting.NONE
    evaluated, made = len(runs.evaluated), len(runs.entries)
    return str(evaluated) if evaluated == made else f"{evaluated} of {made}"


def percent_range(spread: Spread) -> str:
    """Write the lowest and the highest value as `94.4–97.2`, in percent."""
    return f"{spread.lowest * 100:.1f}–{spread.highest * 100:.1f}"
