"""Candidates on disk: genome, parents, seed, weights, and the metrics of each stage of training.

Weights and metrics are written atomically, weights first. After a crash, a stage without metrics is
trained again. A stage with metrics is trained again only if its weights are damaged.
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
    """Metrics of a candidate after one stage of training."""

    stage: str
    epochs: int
    validation_loss: float
    validation_accuracy: float
    wrong: tuple[int, ...]
    """Rows of the validation images that the candidate answers wrong."""
    latency_ms: float | None
    """Latency in LiteRT, measured in the last stage before fine-tuning; None in earlier stages."""
    seconds: float
    """Time spent in this stage."""
    ended_seconds: float
    """When the stage ended, in seconds since the search began."""
    validation_fidelity: float | None = None
    """Fidelity to the teacher on altered validation images; None unless it is an objective."""

    @property
    def shortfall(self) -> float:
        """Value to minimise: 1 - fidelity if fidelity is an objective, else the validation loss."""
        fidelity = self.validation_fidelity
        return self.validation_loss if fidelity is None else 1 - fidelity

    @property
    def order(self) -> tuple[float, float]:
        """Key for sorting metrics, so that the best metrics come first.

        If fidelity is an objective, metrics are sorted by fidelity alone. Otherwise, they are
        sorted by accuracy, and metrics of equal accuracy by loss.
        """
        by_accuracy = self.validation_fidelity is None
        return (-self.validation_accuracy if by_accuracy else 0, self.shortfall)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> CandidateMetrics:
        """Return metrics from their JSON form, in which tuples are lists."""
        values: dict[str, Any] = stored | {"wrong": tuple(stored["wrong"])}
        return cls(**values)


@dataclass
class Candidate:
    """A genome in training, and its metrics so far."""

    number: int
    genome: Genome
    parents: tuple[int, ...]
    """Numbers of the parents, the fitter first; empty in the first generation."""
    change: str
    """The change from parent to candidate, as text."""
    preserved: bool
    """Whether the candidate computed the same as its parent before training."""
    born: int
    """Generation in which the candidate was created."""
    seed: int
    bytes: int
    """Estimated size of the int8 file."""
    macs: int
    folder: Path
    stages: list[CandidateMetrics] = field(default_factory=list[CandidateMetrics])
    failed: str | None = None
    """Why the candidate could not be trained; None if it did not fail."""

    @property
    def name(self) -> str:
        return f"c{self.number}"

    @property
    def metrics(self) -> CandidateMetrics:
        """Metrics of the best stage."""
        return min(self.stages, key=lambda metrics: metrics.shortfall)

    @property
    def latency_ms(self) -> float | None:
        """Latency from the stage that measured it; None if no stage has measured it yet."""
        return next((metrics.latency_ms for metrics in self.stages if metrics.latency_ms), None)

    def objective(self, name: str) -> float:
        """Return the value of the objective `name`; lower is better."""
        latency = self.latency_ms
        values = {
            "loss": self.metrics.shortfall,
            "fidelity": self.metrics.shortfall,
            "bytes": self.bytes,
            "macs": self.macs,
            "latency": math.inf if latency is None else latency,
        }
        return values[name]

    def weights(self) -> Weights:
        """Return the weights after the best stage."""
        return read_weights(self.weights_path(self.metrics.stage))

    def weights_path(self, stage: str) -> Path:
        return self.folder / f"{stage}.npz"

    def save(self, weights: Weights) -> None:
        """Write the candidate, with the weights that its training starts from."""
        write_weights(self.weights_path("start"), weights)
        record = {
            "genome": self.genome.model_dump(mode="json"),
            "parents": self.parents,
            "change": self.change,
            "preserved": self.preserved,
            "born": self.born,
            "seed": self.seed,
            "bytes": self.bytes,
            "macs": self.macs,
        }
        write_atomically(self.folder / "candidate.json", json.dumps(record).encode())

    def restore(self, stage: str) -> bool:
        """Restore the result of a stage from an earlier run; return whether there was a result.

        A stage with damaged weights counts as not trained, so that it is trained again.
        """
        if any(metrics.stage == stage for metrics in self.stages):
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
    def is_saved(self) -> bool:
        """Whether the candidate is on disk and its start weights are undamaged."""
        is_written = (self.folder / "candidate.json").exists()
        return is_written and read_archive(self.weights_path("start")) is not None

    def fail(self, stage: str, reason: str) -> None:
        """Record that the candidate failed in a stage, in memory and, for later runs, on disk."""
        self.failed = reason
        write_atomically(self._path(stage), json.dumps({"failed": reason}).encode())

    def save_stage(self, metrics: CandidateMetrics) -> None:
        """Write the metrics of a finished stage, and add them to `stages`."""
        write_atomically(self._path(metrics.stage), json.dumps(asdict(metrics)).encode())
        self.stages.append(metrics)

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"


def write_weights(path: Path, weights: Weights) -> None:
    """Write weights to a file, from which `read_weights` restores them."""
    stream = io.BytesIO()
    arrays = {f"{name}/{n}": array for name, of in weights.items() for n, array in enumerate(of)}
    np.savez(stream, **arrays)
    write_atomically(path, stream.getvalue())


def read_weights(path: Path) -> Weights:
    """Return the weights by layer name that `write_weights` wrote.

    Raises:
        PupilaError: the file is missing, or it is damaged and was put aside.
    """
    weights: Weights = {}
    stored = read_archive(path)
    if stored is None:
        raise PupilaError(f"{path} is missing or damaged: run again to have it made again.")
    for key, array in stored.items():  # in the order in which they were written
        weights.setdefault(key.rpartition("/")[0], []).append(array)
    return weights
