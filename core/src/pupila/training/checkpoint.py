"""Training state on disk after each epoch, so that a killed run goes on where it was."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.arrays import read_archive
from pupila.store import write_atomically
from pupila.training.average import Average

Arrays = list[NDArray[Any]]
EpochMetrics = dict[str, float]


@dataclass
class TrainingHistory:
    """How training went so far."""

    history: list[EpochMetrics] = field(default_factory=list[EpochMetrics])
    """Per epoch: loss, accuracy, val_loss, val_accuracy; val_fidelity where that chooses."""
    best: Arrays = field(default_factory=list[NDArray[Any]])
    """The model's variables after the best epoch."""
    seconds: float = 0.0
    """Spent in training and validation, over all runs."""

    @property
    def best_epoch(self) -> int:
        """Index of the first epoch of the highest fidelity, or else of the lowest loss."""

        def badness(epoch: int) -> float:
            figures = self.history[epoch]
            return -figures["val_fidelity"] if "val_fidelity" in figures else figures["val_loss"]

        return min(range(len(self.history)), key=badness)

    def followed_by(self, later: TrainingHistory) -> TrainingHistory:
        """Return both courses as one; the caller keeps the variables of the best epoch."""
        return TrainingHistory(self.history + later.history, [], self.seconds + later.seconds)


@dataclass(frozen=True)
class Checkpoint:
    """One file that holds the whole state of a model, its optimizer, its mean and its course."""

    path: Path
    key: str
    """Digest of all that determines the run: a file of another key is ignored."""

    def save(self, model: Any, course: TrainingHistory, average: Average | None = None) -> None:
        """Replace the file: a reader finds the last epoch's state or this one's."""
        state = {"key": self.key, "history": course.history, "seconds": course.seconds}
        groups = {"model": _values(model), "optimizer": _values(model.optimizer)}
        means = {"average": _values(average)} if average else {}
        arrays = _numbered(groups | means | {"best": course.best})
        stream = io.BytesIO()
        np.savez(stream, state=np.array(json.dumps(state)), **arrays)
        write_atomically(self.path, stream.getvalue())

    def restore(self, model: Any, average: Average | None = None) -> TrainingHistory:
        """Put all into the saved state; return a new course if there is none."""
        stored = read_archive(self.path)
        state = json.loads(str(stored["state"])) if stored else None
        if not stored or not state or state["key"] != self.key:
            return TrainingHistory()
        assign(model, _group(stored, "model"))
        model.optimizer.build(model.trainable_variables)
        assign(model.optimizer, _group(stored, "optimizer"))
        if average:
            assign(average, _group(stored, "average"))
        return TrainingHistory(state["history"], _group(stored, "best"), state["seconds"])


def snapshot(model: Any) -> Arrays:
    """Copy all variables of a model, its random generators' included."""
    return _values(model)


def assign(owner: Any, values: Arrays) -> None:
    """Set the variables of a model or optimizer to what `snapshot` gave."""
    for variable, value in zip(owner.variables, values, strict=True):
        variable.assign(value)


def _values(owner: Any) -> Arrays:
    return [np.array(variable) for variable in owner.variables]


def _numbered(groups: dict[str, Arrays]) -> dict[str, NDArray[Any]]:
    return {
        f"{name}_{number}": value
        for name, values in groups.items()
        for number, value in enumerate(values)
    }


def _group(stored: dict[str, NDArray[Any]], name: str) -> Arrays:
    count = sum(key.startswith(f"{name}_") for key in stored)
    return [stored[f"{name}_{number}"] for number in range(count)]
