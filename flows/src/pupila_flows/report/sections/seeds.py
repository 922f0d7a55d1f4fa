"""Every step with all its seeds: what the figures are in the mean, and how far they scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pupila.evaluation import Estimate
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact
from pupila_flows.report.predictions import Answers
from pupila_flows.report.sections.seed_statistics import mean_over_images_and_seeds
from pupila_flows.results import Entry, RunResult


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    mean: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of at least one value; of none, None."""
        return cls(sum(values) / len(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class SeedRuns:
    """An entry with those that repeat it with other seeds; a single one where nothing does."""

    entries: tuple[Entry, ...]

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def name(self) -> str:
        return self.first.name

    @property
    def judged(self) -> list[EvaluatedArtifact]:
        return [
            EvaluatedArtifact(each, each.evaluation) for each in self.entries if each.evaluation
        ]

    @property
    def failed(self) -> list[Entry]:
        return [each for each in self.entries if each.error]

    @property
    def accuracy(self) -> Spread | None:
        return Spread.of([each.evaluation.metrics.accuracy.value for each in self.judged])

    @property
    def validation(self) -> Spread | None:
        """Accuracy on the validation images; None where it is not known of every seed judged."""
        known = [each.evaluation.validation for each in self.judged]
        values = [each.value for each in known if each]
        return Spread.of(values) if len(values) == len(known) else None

    @property
    def fidelity(self) -> Spread | None:
        """On altered validation images; None where it is not known of every seed judged."""
        known = [each.entry.shift.validation if each.entry.shift else None for each in self.judged]
        values = [each.value for each in known if each]
        return Spread.of(values) if len(values) == len(known) else None

    @property
    def test_fidelity(self) -> Spread | None:
        """On altered test images, of the seeds of which it is known."""
        known = [each.entry.shift for each in self.judged]
        return Spread.of([each.value.value for each in known if each])

    @property
    def auc(self) -> Spread | None:
        every = [each.evaluation.metrics.auc for each in self.judged]
        return Spread.of([each.value for each in every if each])

    def interval(self, answers: Answers) -> Estimate | None:
        """Return the accuracy over images and seeds; None where predictions are gone."""
        judged = self.judged
        if len(judged) == 1:
            return judged[0].evaluation.metrics.accuracy
        if not judged or any(each.name not in answers.probabilities for each in judged):
            return None
        right = np.array([answers.correct(each.name) for each in judged], np.float64)
        return mean_over_images_and_seeds(right, (1, 1, 0, 0), answers.patients)


def trials(entries: Sequence[Entry]) -> list[SeedRuns]:
    """Group entries by the one that they repeat, in the order of the run."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.repeats or entry.name, []).append(entry)
    return [SeedRuns(tuple(each)) for each in found.values()]


def seeds_of(result: RunResult) -> list[int]:
    """Return the seeds of a run, that of the recipe first."""
    others = [entry.seed for entry in result.entries if entry.repeats and entry.seed is not None]
    return list(dict.fromkeys([result.seed, *others]))


def seeds_note(result: RunResult) -> str:
    """Say of a run with several seeds which of them the page shows; of one, nothing."""
    seeds = seeds_of(result)
    if len(seeds) == 1:
        return ""
    return (
        f"{len(seeds)} seeds: {', '.join(map(str, seeds))}. The figures below are those of seed "
        f"{seeds[0]}, unless they say otherwise; the table “Over seeds” has all."
    )


@dataclass(frozen=True)
class SeedRow:
    """One row of the table over seeds, as it is shown."""

    name: str
    seeds: str
    accuracy: str
    range: str
    interval: str
    auc: str
    auc_range: str
    errors: tuple[str, ...]


def seed_table(result: RunResult, answers: Answers) -> list[SeedRow]:
    """Return a row for every entry with all its seeds; none where nothing was repeated."""
    every = trials(result.entries)
    if all(len(each.entries) == 1 for each in every):
        return []
    return [_row(each, each.interval(answers)) for each in every]


def _row(each: SeedRuns, interval: Estimate | None) -> SeedRow:
    accuracy, auc = each.accuracy, each.auc
    several = len(each.judged) > 1
    return SeedRow(
        name=each.name,
        seeds=seed_count(each),
        accuracy=formatting.percent(accuracy.mean) if accuracy else formatting.NONE,
        range=percent_range(accuracy) if accuracy and several else "",
        interval=formatting.percent_interval(interval) if interval else "",
        auc=formatting.score(auc.mean) if auc else formatting.NONE,
        auc_range=f"{auc.lowest:.3f}–{auc.highest:.3f}" if auc and several else "",
        errors=tuple(f"{entry.name}: {entry.error}" for entry in each.failed),
    )


def seed_count(each: SeedRuns) -> str:
    """Write with how many seeds an entry was judged: `3`, `2 of 3`; a dash if no seed matters."""
    if each.first.seed is None:
        return formatting.NONE
    judged, made = len(each.judged), len(each.entries)
    return str(judged) if judged == made else f"{judged} of {made}"


def percent_range(spread: Spread) -> str:
    """Write the lowest and the highest as `94.4–97.2`, in percent."""
    return f"{spread.lowest * 100:.1f}–{spread.highest * 100:.1f}"
