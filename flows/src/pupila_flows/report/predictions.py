"""The predictions behind the figures, and paired comparisons of two of them."""

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
"""Largest loss of accuracy that counts as keeping it where no gate says another."""


@dataclass(frozen=True)
class Answers:
    """Probabilities `(test images, classes)` by entry name, and the truth."""

    labels: NDArray[np.int64]
    probabilities: dict[str, NDArray[np.float64]]
    shipped: Mapping[str, Threshold] = field(default_factory=dict[str, Threshold])
    """Thresholds that entries ship."""
    classes: tuple[str, ...] = ()
    """In the order of the columns."""
    patients: NDArray[np.int64] | None = None
    """Number of the patient of each image; None where the data does not tell."""

    def chosen(self, name: str) -> NDArray[np.int64]:
        """Return the class that an entry gives to each image, at the threshold that it ships."""
        return answers_of(self.probabilities[name], self.classes, self.shipped.get(name))

    def correct(self, name: str) -> NDArray[np.bool_]:
        return self.chosen(name) == self.labels

    def comparison(self, name: str, other: str) -> Comparison | None:
        """Hold the accuracy of `name` against `other`, as the gate does; None without both."""
        if name not in self.probabilities or other not in self.probabilities:
            return None
        return compare_proportions(self.correct(name), self.correct(other), MARGIN, self.patients)

    def difference(self, name: str, other: str) -> Estimate | None:
        """Return accuracy of `name` less that of `other` on the same images; None without both."""
        compared = self.comparison(name, other)
        return compared.difference if compared else None


def read_answers(result: RunResult, folder: Path) -> Answers:
    """Read the predictions of every judged entry; a file that is gone is left out.

    Raises:
        PupilaError: a file has not one row per test image and one column per class.
    """
    labels = np.array(result.test_labels, np.int64)
    shape = (len(labels), len(result.data.classes))
    probabilities: dict[str, NDArray[np.float64]] = {}
    for entry in result.entries:
        path = located(entry.evaluation.probabilities, folder) if entry.evaluation else None
        if path is not None and len(labels):
            probabilities[entry.name] = _read(path, shape)
    shipped = {
        entry.name: entry.record.threshold
        for entry in result.entries
        if entry.record and entry.record.threshold
    }
    patients = np.array(result.test_patients, np.int64) if result.test_patients else None
    return Answers(labels, probabilities, shipped, result.data.classes, patients)


def located(path: str, folder: Path) -> Path | None:
    """Return a file of the run: as it is named, or relative to the report; None if gone."""
    candidates = (Path(path), folder / path)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    patients: NDArray[np.int64] | None = None,
) -> Estimate:
    """Return the difference of two accuracies on the same images, first less second.

    Its interval is that of the release gate, so that the page says one thing of one difference; by
    patient, where the data tells them.
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
