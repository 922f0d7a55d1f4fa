"""Candidates on disk: genome, parents, seed, what each stage of training gave, and weights.

Weights are written before figures, both by rename: a stage without figures is trained again, and
one with figures never is.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pupila.arrays import read_archive
from pupila.damage import read_json
from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_search.genome import Genome
from pupila_search.morphism import Weights


@dataclass(frozen=True)
class CandidateMetrics:
    """What one stage of training gave."""

    stage: str
    epochs: int
    validation_loss: float
    validation_accuracy: float
    wrong: tuple[int, ...]
    """Validation images that it answers wrongly, by row."""
    latency_ms: float | None
    """None where the candidate did not get far enough to be measured."""
    seconds: float
    """Spent in this stage."""
    ended_seconds: float
    """On the clock of the search."""
    validation_fidelity: float | None = None
    """To the teacher on altered validation images, where that chooses."""

    @property
    def shortfall(self) -> float:
        """What is small where the stage was good: what fidelity lacks of 1, or the loss."""
        fidelity = self.validation_fidelity
        return self.validation_loss if fidelity is None else 1 - fidelity

    @property
    def order(self) -> tuple[float, float]:
        """By which the best come first: fidelity where that chooses; else accuracy, then loss."""
        by_accuracy = self.validation_fidelity is None
        return (-self.validation_accuracy if by_accuracy else 0, self.shortfall)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> CandidateMetrics:
        """Return figures from JSON, in which there are no tuples."""
        values: dict[str, Any] = stored | {"wrong": tuple(stored["wrong"])}
        return cls(**values)


@dataclass
class Candidate:
    """A genome that is tried, and how far it got."""

    number: int
    genome: Genome
    parents: tuple[int, ...]
    change: str
    preserved: bool
    born: int
    """Generation."""
    seed: int
    bytes: int
    """Of the int8 file, as estimated."""
    macs: int
    folder: Path
    stages: list[CandidateMetrics] = field(default_factory=list[CandidateMetrics])
    failed: str | None = None
    """Why it could not be trained."""

    @property
    def name(self) -> str:
        return f"c{self.number}"

    @property
    def figures(self) -> CandidateMetrics:
        """Of the best stage."""
        return min(self.stages, key=lambda each: each.shortfall)

    @property
    def latency_ms(self) -> float | None:
        """As measured after whichever stage."""
        return next((each.latency_ms for each in self.stages if each.latency_ms), None)

    def objective(self, name: str) -> float:
        """Return what is to be small."""
        latency = self.latency_ms
        values = {
            "loss": self.figures.shortfall,
            "fidelity": self.figures.shortfall,
            "bytes": self.bytes,
            "macs": self.macs,
            "latency": math.inf if latency is None else latency,
        }
        return values[name]

    def weights(self) -> Weights:
        """Return the weights after the stage that `figures` tells of."""
        return read_weights(self.weights_path(self.figures.stage))

    def weights_path(self, stage: str) -> Path:
        return self.folder / f"{stage}.npz"

    def keep(self, weights: Weights) -> None:
        """Write what it starts from."""
        write_weights(self.weights_path("start"), weights)
        told = {
            "genome": self.genome.model_dump(mode="json"),
            "parents": self.parents,
            "change": self.change,
            "preserved": self.preserved,
            "born": self.born,
            "seed": self.seed,
            "bytes": self.bytes,
            "macs": self.macs,
        }
        write_atomically(self.folder / "candidate.json", json.dumps(told).encode())

    def recall(self, stage: str) -> bool:
        """Take over what a stage gave, if it was trained before; tell whether it was.

        A stage whose weights were damaged is trained again.
        """
        if any(each.stage == stage for each in self.stages):
            return True
        stored = read_json(self._path(stage))
        if stored is None:
            return False
        if "failed" in stored:
            self.failed = stored["failed"]
            return True
        if read_archive(self.weights_path(stage)) is None:
            return False
        self.stages.append(CandidateMetrics.read(stored))
        return True

    @property
    def is_kept(self) -> bool:
        """Whether what it starts from was written, and is whole."""
        is_written = (self.folder / "candidate.json").exists()
        return is_written and read_archive(self.weights_path("start")) is not None

    def fail(self, stage: str, reason: str) -> None:
        """Mark it as failed, for good."""
        self.failed = reason
        write_atomically(self._path(stage), json.dumps({"failed": reason}).encode())

    def pass_stage(self, figures: CandidateMetrics) -> None:
        """Keep what a stage gave."""
        write_atomically(self._path(figures.stage), json.dumps(asdict(figures)).encode())
        self.stages.append(figures)

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"


def write_weights(path: Path, weights: Weights) -> None:
    """Write weights by layer name."""
    stream = io.BytesIO()
    arrays = {f"{name}/{n}": each for name, of in weights.items() for n, each in enumerate(of)}
    np.savez(stream, **arrays)
    write_atomically(path, stream.getvalue())


def read_weights(path: Path) -> Weights:
    """Return what `write_weights` wrote.

    Raises:
        PupilaError: the file is missing, or damaged and was put aside.
    """
    weights: Weights = {}
    stored = read_archive(path)
    if stored is None:
        raise PupilaError(f"{path} is missing or damaged: run again to have it made again.")
    for key, array in stored.items():  # in the order in which they were written
        weights.setdefault(key.rpartition("/")[0], []).append(array)
    return weights
