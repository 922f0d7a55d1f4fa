"""Where candidates are tried: trained in workers, kept on disk, counted against the budget.

A search that was killed is run again from its seed: it draws the same candidates, and what was
trained before is read instead of trained. So it goes on where it was, with the time that it had
spent.
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
from pupila_search.genome import Space, int8_bytes, macs
from pupila_search.learning import Task
from pupila_search.luck import Luck
from pupila_search.morphism import Child
from pupila_search.selection import fronts
from pupila_search.standing import standing
from pupila_search.training_targets import Lesson
from pupila_search.workers import Workers

_TUNING_RATE = 0.1
_INHERITED_RATE = 0.5
"""Part of the rate for a child that computes what its parent did, so as not to undo it."""

_APART, _SEEDS = 100_003, 2**32
"""Candidates of two searches have different seeds, of which Keras takes 32 bits."""


class Population:
    """All candidates of one search, in a folder that outlives a crash."""

    def __init__(
        self, lesson: Lesson, folder: Path, seed: int, pool: Workers, progress: Progress
    ) -> None:
        self.config: Search = lesson.config
        self.candidates: list[Candidate] = []
        self.space = Space(
            lesson.config.input,
            len(lesson.train.classes),
            lesson.config.maximum_bytes if lesson.config.strategy == "evolve" else None,
            lesson.config.maximum_macs,
        )
        self._folder, self._seed, self._images = folder, seed, len(lesson.validation)
        self._pool, self._progress = pool, progress
        self._started, self._before = time.monotonic(), 0.0
        self._over_time = False

    def spent_seconds(self) -> float:
        """Return how long the search has taken, over all runs."""
        return self._before + time.monotonic() - self._started

    def goes_on(self) -> bool:
        """Tell whether there is budget for another candidate, and a reason."""
        most, target = self.config.max_candidates, self.config.target
        if self._over_time or (most is not None and len(self.candidates) >= most):
            return False
        return target is None or not any(
            each.figures.validation_accuracy >= target for each in self.affordable()
        )

    def admit(self, child: Child, parents: Sequence[Candidate], born: int) -> Candidate:
        """Give a child its number and its folder."""
        number = len(self.candidates)
        picture, classes = self.space.input, self.space.classes
        candidate = Candidate(
            number=number,
            genome=child.genome,
            parents=tuple(each.number for each in parents),
            change=child.change,
            preserved=child.preserved,
            born=born,
            seed=(self._seed * _APART + number) % _SEEDS,
            bytes=int8_bytes(child.genome, picture, classes),
            macs=macs(child.genome, picture, classes),
            folder=self._folder / f"{number:05}",
        )
        self.candidates.append(candidate)
        if not candidate.is_kept:
            candidate.keep(child.weights)
        return candidate

    def learn(self, candidates: Sequence[Candidate], stage: int) -> list[Candidate]:
        """Train a stage of some candidates and return those that came through.

        Raises:
            OSError: the disk is full.
        """
        epochs = self.config.epochs[stage]

        def schedule(candidate: Candidate) -> Schedule:
            part = _INHERITED_RATE if candidate.preserved else 1.0
            return self.config.schedule(epochs, part * self.config.learning_rate)

        return self._train(candidates, f"stage-{stage}", schedule, self._in_time)

    def tune(self, candidates: Sequence[Candidate]) -> None:
        """Train finalists at a lower rate: the first blocks frozen, then all.

        Raises:
            OSError: the disk is full.
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
        missing = [each for each in candidates if not each.recall(stage)]
        self._set_clock()
        tasks = [_task(each, stage, schedule(each), self._is_last(stage)) for each in missing]
        for place, came in self._pool.train(tasks, may_start):
            self._note(missing[place], stage, came)
            self._tell()
        done = [each for each in candidates if each.stages and each.stages[-1].stage == stage]
        return [each for each in done if each.failed is None]

    def _is_last(self, stage: str) -> bool:
        """Tell whether none but those of fine-tuning come after a stage."""
        return stage not in [f"stage-{number}" for number in range(len(self.config.epochs) - 1)]

    def _note(self, candidate: Candidate, stage: str, came: CandidateMetrics | str) -> None:
        if isinstance(came, CandidateMetrics):
            candidate.pass_stage(replace(came, ended_seconds=round(self.spent_seconds(), 2)))
        else:
            candidate.fail(stage, came)

    def _set_clock(self) -> None:
        """Go on from the time that the recalled trainings ended at."""
        ended = (each.ended_seconds for of in self.candidates for each in of.stages)
        latest = max(ended, default=0.0)
        self._before += max(0.0, latest - self.spent_seconds())

    @property
    def tried(self) -> list[Candidate]:
        """Candidates that were trained for a stage at least, and did not fail at once."""
        return [each for each in self.candidates if each.stages]

    @property
    def luck(self) -> Luck:
        """What the validation images have looked at: each epoch of each candidate."""
        looks = sum(figures.epochs for each in self.candidates for figures in each.stages)
        return Luck(self._images, looks)

    def affordable(self) -> list[Candidate]:
        """Return those within the bytes, best first; see `Figures.order`."""
        most = self.config.maximum_bytes
        within = [each for each in self.tried if most is None or each.bytes <= most]
        return sorted(within, key=lambda each: each.figures.order)

    def front(self) -> list[Candidate]:
        """Return those that none is better than in every objective, the best first.

        Of those that passed all stages; of all, as long as none did.
        """
        tried = [each for each in self.tried if each.latency_ms] or self.tried
        if not tried:
            return []
        values = [[each.objective(name) for name in self.config.objectives] for each in tried]
        first = [tried[place] for place in fronts(values)[0]]
        return sorted(first, key=lambda each: each.figures.shortfall)

    def _tell(self) -> None:
        tried, total = len(self.tried), self.config.max_candidates
        best = next(iter(self.affordable()), None)
        told = standing(tried, self.front(), best, self.luck)
        if total is None:
            total = round(60 * (self.config.minutes or 0))
            tried = round(self.spent_seconds())
        self._progress(min(tried, total), total, told)


def _task(candidate: Candidate, stage: str, schedule: Schedule, last: bool) -> Task:
    before = candidate.stages[-1].stage if candidate.stages else "start"
    return Task(
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
