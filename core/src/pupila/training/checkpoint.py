"""Writes the state of a training to disk after each epoch so that a killed run can resume."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.arrays import read_archive
from pupila.measured import TrainingSummary, history_of
from pupila.store import write_atomically
from pupila.training.average import Average

Arrays = list[NDArray[Any]]
EpochMetrics = dict[str, float]
"""Metrics of one epoch: `loss`, `accuracy`, `val_loss`, `val_accuracy`; also `val_fidelity` if the
best epoch is chosen by fidelity."""


@dataclass
class TrainingHistory:
    """The metrics of all epochs of a training so far, and the variables after the best epoch."""

    epochs: list[EpochMetrics] = field(default_factory=list[EpochMetrics])
    best: Arrays = field(default_factory=list[NDArray[Any]])
    """The model's variables after the best epoch."""
    seconds: float = 0.0
    """Time spent in training and validation, over all runs of a resumed training."""

    @property
    def best_epoch(self) -> int:
        """Index of the best epoch, from 0: the epoch with the lowest validation loss.

        If fidelity is measured, it is the epoch with the highest fidelity instead. If several
        epochs are equally good, it is the first.
        """

        def badness(epoch: int) -> float:
            metrics = self.epochs[epoch]
            return -metrics["val_fidelity"] if "val_fidelity" in metrics else metrics["val_loss"]

        return min(range(len(self.epochs)), key=badness)

    def followed_by(self, later: TrainingHistory) -> TrainingHistory:
        """Return the history of this training followed by `later`, without the best variables."""
        return TrainingHistory(self.epochs + later.epochs, [], self.seconds + later.seconds)

    def summary(self, *names: str, **others: Any) -> TrainingSummary:
        """Return the summary of the training, for an artifact's record.

        `names` are the metrics whose history is included, by default all. `others` are values of
        the summary's other fields.
        """
        return TrainingSummary(
            best_epoch=self.best_epoch + 1,
            epochs=len(self.epochs),
            history=history_of(self.epochs, *names),
            seconds=round(self.seconds, 2),
            **others,
        )


@dataclass(frozen=True)
class Checkpoint:
    """A file with the state of a training: model, optimizer, averaged weights and history."""

    path: Path
    key: str
    """Digest of everything that determines the training; a file with another key is ignored."""

    def save(self, model: Any, history: TrainingHistory, average: Average | None = None) -> None:
        """Write the current state of a training, replacing the file atomically."""
        state = {"key": self.key, "history": history.epochs, "seconds": history.seconds}
        groups = {"model": _values(model), "optimizer": _values(model.optimizer)}
        means = {"average": _values(average)} if average else {}
        arrays = _numbered(groups | means | {"best": history.best})
        stream = io.BytesIO()
        np.savez(stream, state=np.array(json.dumps(state)), **arrays)
        write_atomically(self.path, stream.getvalue())

    def restore(self, model: Any, average: Average | None = None) -> TrainingHistory:
        """Restore the saved state of a training, and return its history.

        The history is empty if no state with this key was saved.
        """
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
    """Copy all variables of a model, including those of its random generators."""
    return _values(model)


def assign(owner: Any, values: Arrays) -> None:
    """Set the variables of a model or optimizer to copied values, such as those of `snapshot`."""
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
