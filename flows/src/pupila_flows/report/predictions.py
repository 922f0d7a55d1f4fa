"""The predictions of a run's models, and paired comparisons of two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Threshold
from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.metrics import answers_of
from pupila.noninferiority import Comparison, compare_proportions
from pupila_flows.results import RunResult

MARGIN = 0.05
"""Largest loss at which a pupil still counts as keeping its accuracy, if there is no gate."""


@dataclass(frozen=True)
class RunPredictions:
    """Probabilities `(test images, classes)` by entry name, with the true labels."""

    labels: NDArray[np.int64]
    probabilities: dict[str, NDArray[np.float64]]
    shipped: Mapping[str, Threshold] = field(default_factory=dict[str, Threshold])
    """Shipped thresholds by entry name."""
    classes: tuple[str, ...] = ()
    """Class names in the order of the columns of `probabilities`."""
    patients: NDArray[np.int64] | None = None
    """Patient of each image, as a number; None if the data does not name patients."""

    def chosen(self, name: str) -> NDArray[np.int64]:
        """Return an entry's predicted class for each image, by its shipped threshold if any."""
        return answers_of(self.probabilities[name], self.classes, self.shipped.get(name))

    def correct(self, name: str) -> NDArray[np.bool_]:
        """Return whether an entry's predicted class is right, for each image."""
        return self.chosen(name) == self.labels

    def compare(self, name: str, other: str) -> Comparison | None:
        """Return the paired comparison of two entries' accuracies, as a gate with `MARGIN` does.

        Return None if the predictions of either entry are missing.
        """
        if name not in self.probabilities or other not in self.probabilities:
            return None
        return compare_proportions(self.correct(name), self.correct(other), MARGIN, self.patients)

    def difference(self, name: str, other: str) -> Estimate | None:
        """Return the paired difference of accuracies, `name` minus `other`.

        Return None if the predictions of either entry are missing.
        """
        comparison = self.compare(name, other)
        return comparison.difference if comparison else None


def read_predictions(result: RunResult, folder: Path) -> RunPredictions:
    """Read the predictions of every evaluated entry; relative paths start from `folder`.

    An entry whose file is missing is left out.

    Raises:
        PupilaError: a file does not have one row per test image and one column per class.
    """
    labels = np.array(result.test_labels, np.int64)
    shape = (len(labels), len(result.data.classes))
    probabilities: dict[str, NDArray[np.float64]] = {}
    for entry in result.entries:
        path = locate(entry.evaluation.probabilities, folder) if entry.evaluation else None
        if path is not None and len(labels):
            probabilities[entry.name] = _read(path, shape)
    shipped = {
        entry.name: entry.record.threshold
        for entry in result.entries
        if entry.record and entry.record.threshold
    }
    patients = np.array(result.test_patients, np.int64) if result.test_patients else None
    return RunPredictions(labels, probabilities, shipped, result.data.classes, patients)


def locate(path: str, folder: Path) -> Path | None:
    """Return a file of the run, at `path` or else at `path` below `folder`; None if missing."""
    candidates = (Path(path), folder / path)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    patients: NDArray[np.int64] | None = None,
) -> Estimate:
    """Return the difference of two accuracies on the same images, first minus second.

    `first` and `second` say for each image whether the first and the second model are right, and
    `patients` has the patient of each image, all `(images,)`. The interval is computed as in the
    release gate, by patient if `patients` is given.
    """
    return compare_proportions(first, second, MARGIN, patients).difference


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    values = np.load(path)
    if values.shape != shape:
        raise PupilaError(
            f"Predictions {str(path)!r} have shape {values.shape!r}; the run has {shape[0]} test "
            f"images and {shape[1]} classes. Evaluate again: they belong to other data."
        )
    return values.astype(np.float64)
