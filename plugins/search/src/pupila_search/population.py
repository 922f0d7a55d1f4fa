"""The candidates of a search: trained by workers, kept on disk, counted against the budget.

A killed search resumes by repeating its random choices from the seed. Candidates that were already
trained are read from disk instead of trained again, and the time spent on them counts against the
budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pupila import Progress
from pupila.training.schedule import Schedule
from pupila_search.candidates import Candidate, CandidateMetrics
from pupila_search.config import Search
from pupila_search.genome import Space
from pupila_search.morphism import Child
from pupila_search.multiple_comparisons import MultipleComparisons
from pupila_search.progress_text import describe_progress
from pupila_search.selection import fronts
from pupila_search.stage_training import SubTask
from pupila_search.training_targets import TrainingTargets
from pupila_search.workers import Workers

_TUNING_RATE = 0.1
_INHERITED_RATE = 0.5
"""Factor of the learning rate for a child that at first computes the same as its parent: the full
rate would undo what the child inherits."""

_APART, _SEEDS = 100_003, 2**32
"""A candidate's seed is (seed of the search · `_APART` + number) mod `_SEEDS`. It differs between
searches, and fits the 32 bits that Keras takes."""


class Population:
    """All candidates of one search, in a folder that survives a crash."""

    def __init__(
        self, targets: TrainingTargets, folder: Path, seed: int, pool: Workers, progress: Progress
    ) -> None:
        self.config: Search = targets.config
        self.candidates: list[Candidate] = []
        self.space = Space(
            targets.config.input,
            len(targets.train.classes),
            targets.config.max_bytes if targets.config.strategy == "evolve" else None,
            targets.config.max_macs,
            task=targets.task,
        )
        self._folder, self._seed, self._images = folder, seed, len(targets.validation)
        self._pool, self._progress = pool, progress
        self._started, self._before = time.monotonic(), 0.0
        self._over_time = False

    def spent_seconds(self) -> float:
        """Return the seconds that the search has taken so far, over all its runs."""
        return self._before + time.monotonic() - self._started

    def has_budget(self) -> bool:
        """Return whether another candidate may be added.

        A search adds no candidate after its time is over, after it has `max_candidates`, or after a
        candidate within `max_bytes` has reached the accuracy `target`.
        """
        most, target = self.config.max_candidates, self.config.target
        if self._over_time or (most is not None and len(self.candidates) >= most):
            return False
        return target is None or not any(
            candidate.metrics.validation_accuracy >= target for candidate in self.within_bytes()
        )

    def add(self, child: Child, parents: Sequence[Candidate], born: int) -> Candidate:
        """Add a child as a candidate of generation `born`, with a number and a folder."""
        number = len(self.candidates)
        candidate = Candidate(
            number=number,
            genome=child.genome,
            parents=tuple(parent.number for parent in parents),
            change=child.change,
            preserved=child.preserved,
            born=born,
            seed=(self._seed * _APART + number) % _SEEDS,
            bytes=self.space.int8_bytes(child.genome),
            macs=self.space.macs(child.genome),
            folder=self._folder / f"{number:05}",
        )
        self.candidates.append(candidate)
        if not candidate.is_saved:
            candidate.save(child.weights)
        return candidate

    def train_stage(self, candidates: Sequence[Candidate], stage: int) -> list[Candidate]:
        """Train these candidates in stage `stage`, and return the candidates that finished it.

        Stages are counted from 0.

        Raises:
            OSError: a file cannot be read or written, most often because the disk is full.
        """
        epochs = self.config.epochs[stage]

        def schedule(candidate: Candidate) -> Schedule:
            fraction = _INHERITED_RATE if candidate.preserved else 1.0
            return self.config.schedule(epochs, fraction * self.config.learning_rate)

        return self._train(candidates, f"stage-{stage}", schedule, self._in_time)

    def fine_tune(self, candidates: Sequence[Candidate]) -> None:
        """Train finalists at a tenth of the learning rate, in two stages.

        In the first stage the first half of the blocks is frozen; in the second, nothing is.

        Raises:
            OSError: a file cannot be read or written, most often because the disk is full.
        """
        rate = _TUNING_RATE * self.config.learning_rate
        schedule = self.config.schedule(self.config.tuning_epochs, rate)
        for stage in ("tune-last", "tune-all"):
            self._train(candidates, stage, lambda _: schedule, lambda: True)

    def _in_time(self) -> bool:
        minutes = self.config.minutes
        if minutes is not None and self.spent_seconds() >= 60 * minutes:
            self._over_time = True
        return not self._over_time

    def _train(
        self,
        candidates: Sequence[Candidate],
        stage: str,
        schedule: Callable[[Candidate], Schedule],
        may_start: Callable[[], bool],
    ) -> list[Candidate]:
        missing = [candidate for candidate in candidates if not candidate.restore(stage)]
        self._set_clock()
        subtasks = [
            _subtask(candidate, stage, schedule(candidate), self._is_last(stage))
            for candidate in missing
        ]
        for index, outcome in self._pool.train(subtasks, may_start):
            self._record(missing[index], stage, outcome)
            self._report()
        done = [
            candidate
            for candidate in candidates
            if candidate.stages and candidate.stages[-1].stage == stage
        ]
        return [candidate for candidate in done if candidate.failed is None]

    def _is_last(self, stage: str) -> bool:
        """Return whether no stage except fine-tuning follows this stage."""
        return stage not in [f"stage-{number}" for number in range(len(self.config.epochs) - 1)]

    def _record(self, candidate: Candidate, stage: str, outcome: CandidateMetrics | str) -> None:
        if isinstance(outcome, CandidateMetrics):
            candidate.save_stage(replace(outcome, ended_seconds=round(self.spent_seconds(), 2)))
        else:
            candidate.fail(stage, outcome)

    def _set_clock(self) -> None:
        """Move the clock of the search forward to the end of the last restored stage."""
        ended = (
            metrics.ended_seconds for candidate in self.candidates for metrics in candidate.stages
        )
        latest = max(ended, default=0.0)
        self._before += max(0.0, latest - self.spent_seconds())

    @property
    def trained(self) -> list[Candidate]:
        """Candidates that finished at least one stage."""
        return [candidate for candidate in self.candidates if candidate.stages]

    @property
    def comparisons(self) -> MultipleComparisons:
        """Corrects accuracies for the number of models that were evaluated on the same images.

        Each epoch of each candidate counts as a model.
        """
        looks = sum(metrics.epochs for candidate in self.candidates for metrics in candidate.stages)
        return MultipleComparisons(self._images, looks)

    def within_bytes(self) -> list[Candidate]:
        """Return the trained candidates of at most `max_bytes`, sorted best first."""
        most = self.config.max_bytes
        within = [
            candidate for candidate in self.trained if most is None or candidate.bytes <= most
        ]
        return sorted(within, key=lambda candidate: candidate.metrics.order)

    def front(self) -> list[Candidate]:
        """Return the Pareto front over the objectives, lowest loss or highest fidelity first.

        Only candidates that reached the last stage count, because latency is measured in that
        stage. Until a candidate has reached that stage, all trained candidates count.
        """
        tried = [candidate for candidate in self.trained if candidate.latency_ms] or self.trained
        if not tried:
            return []
        values = [
            [candidate.objective(name) for name in self.config.objectives] for candidate in tried
        ]
        first = [tried[index] for index in fronts(values)[0]]
        return sorted(first, key=lambda candidate: candidate.metrics.shortfall)

    def _report(self) -> None:
        tried, total = len(self.trained), self.config.max_candidates
        best = next(iter(self.within_bytes()), None)
        text = describe_progress(tried, self.front(), best, self.comparisons)
        if total is None:
            total = round(60 * (self.config.minutes or 0))
            tried = round(self.spent_seconds())
        self._progress(min(tried, total), total, text)


def _subtask(candidate: Candidate, stage: str, schedule: Schedule, last: bool) -> SubTask:
    before = candidate.stages[-1].stage if candidate.stages else "start"
    return SubTask(
        genome=candidate.genome,
        folder=candidate.folder,
        stage=stage,
        source=candidate.weights_path(before),
        schedule=schedule,
        seed=candidate.seed,
        frozen=stage == "tune-last",
        latency_ms=candidate.latency_ms,
        last=last,
    )
