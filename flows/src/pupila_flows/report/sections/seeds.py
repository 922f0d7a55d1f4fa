"""Summarizes every step over all its seeds: the mean of each metric, and its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pupila.evaluation import Estimate, Figure, Metrics
from pupila_flows.report import figures, formatting
from pupila_flows.report.figures import main_figure
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
    unit: str = ""
    """Unit of a figure; empty for a fraction."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of `values`; None if `values` is empty."""
        return cls(sum(values) / len(values), min(values), max(values)) if values else None

    @classmethod
    def of_figures(cls, by_seed: Sequence[Figure | None]) -> Spread | None:
        """Return the spread of a figure over the seeds for which it is known; None without any."""
        known = [figure for figure in by_seed if figure]
        spread = cls.of([figure.estimate.value for figure in known])
        return replace(spread, unit=known[0].unit) if spread else None


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
        """Fraction right on the test images; None if no seed was evaluated."""
        return Spread.of(
            [artifact.evaluation.metrics.accuracy.value for artifact in self.evaluated]
        )

    @property
    def validation(self) -> Spread | None:
        """Fraction right on the validation images; None if any evaluated seed lacks it."""
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
    def main(self) -> Spread | None:
        """Main figure on the test images, over the seeds for which it is known."""
        return Spread.of_figures([main_figure(metrics) for metrics in self.metrics])

    @property
    def metrics(self) -> list[Metrics]:
        """Metrics on the test images, of each evaluated seed."""
        return [artifact.evaluation.metrics for artifact in self.evaluated]

    def figure(self, name: str) -> Spread | None:
        """Return a figure of a task without classes, over the seeds for which it is known."""
        return Spread.of_figures(
            [
                figure
                for metrics in self.metrics
                for figure in metrics.figures
                if figure.name == name
            ]
        )

    def interval(self, predictions: RunPredictions) -> Estimate | None:
        """Return the mean fraction right with its interval over images and seeds.

        With one evaluated seed, the interval is over images only. Return None if no seed was
        evaluated, or if predictions are missing.
        """
        artifacts = self.evaluated
        if len(artifacts) == 1:
            return artifacts[0].evaluation.metrics.accuracy
        if not artifacts or any(artifact.name not in predictions.answers for artifact in artifacts):
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
    right: str
    range: str
    interval: str
    figures: tuple[tuple[str, str], ...]
    """Mean and range of each figure of the table."""
    errors: tuple[str, ...]


@dataclass(frozen=True)
class SeedTable:
    """Every entry over all its seeds; without rows if nothing was repeated."""

    titles: tuple[str, ...]
    """Title of each figure: the AUC, or all figures of another task."""
    rows: tuple[SeedRow, ...]


def seed_table(result: RunResult, predictions: RunPredictions) -> SeedTable:
    """Return a row for every entry over all its seeds."""
    all_runs = group_by_seed(result.entries)
    if all(len(runs.entries) == 1 for runs in all_runs):
        return SeedTable((), ())
    known = figures.known_figures(metrics for runs in all_runs for metrics in runs.metrics)
    has_classes = predictions.task.has_classes
    return SeedTable(
        titles=(figures.AUC,) if has_classes else tuple(map(figures.titled, known)),
        rows=tuple(
            _row(
                runs,
                runs.interval(predictions),
                [runs.main] if has_classes else [runs.figure(figure.name) for figure in known],
            )
            for runs in all_runs
        ),
    )


def _row(runs: SeedRuns, interval: Estimate | None, spreads: Sequence[Spread | None]) -> SeedRow:
    right, several = runs.accuracy, len(runs.evaluated) > 1
    return SeedRow(
        name=runs.name,
        seeds=seed_count(runs),
        right=formatting.percent(right.mean) if right else formatting.NONE,
        range=percent_range(right) if right and several else "",
        interval=formatting.percent_interval(interval) if interval else "",
        figures=tuple(figure_text(spread, several=several) for spread in spreads),
        errors=tuple(f"{entry.name}: {entry.error}" for entry in runs.failed),
    )


def figure_text(spread: Spread | None, *, several: bool) -> tuple[str, str]:
    """Write the mean of a figure and, for several seeds, the lowest and the highest value."""
    if spread is None:
        return formatting.NONE, ""
    ends = [figures.number(value, spread.unit) for value in (spread.lowest, spread.highest)]
    return figures.number(spread.mean, spread.unit), "–".join(ends) if several else ""


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
