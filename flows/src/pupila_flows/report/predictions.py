"""The answers of a run's models to the test images, and paired comparisons of two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Threshold
from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority import Comparison, compare_proportions
from pupila.task import Answers, TaskMethods, Truths
from pupila_flows.results import RunResult

MARGIN = 0.05
"""Largest loss at which a pupil still counts as answering as many images right, if there is no
gate."""


@dataclass(frozen=True)
class RunPredictions:
    """Answers `(test images, columns)` by entry name, with what the labels say."""

    task: TaskMethods
    truths: Truths
    answers: dict[str, Answers]
    shipped: Mapping[str, Threshold] = field(default_factory=dict[str, Threshold])
    """Shipped thresholds by entry name."""
    classes: tuple[str, ...] = ()
    """What the answers name, in the order of their columns."""
    patients: NDArray[np.int64] | None = None
    """Patient of each image, as a number; None if the data does not name patients."""

    def decided(self, name: str) -> Answers:
        """Return an entry's answers, decided by its shipped threshold if any."""
        return self.task.decided(self.answers[name], self.classes, self.shipped.get(name))

    def correct(self, name: str) -> NDArray[np.bool_]:
        """Return whether an entry answers each image right, as it ships."""
        threshold = self.shipped.get(name)
        return self.task.right(self.answers[name], self.truths, self.classes, threshold)

    def same(self, name: str, other: str) -> NDArray[np.bool_]:
        """Return whether two entries, as they ship, give each image the same answer."""
        return self.task.same(self.decided(name), self.decided(other))

    def confidence(self, name: str) -> NDArray[np.float64] | None:
        """Return an entry's probability of the class that it gives each image.

        None if the task has no classes.
        """
        if not self.task.has_classes:
            return None
        chosen = self.decided(name).argmax(axis=1)
        return self.answers[name][np.arange(len(chosen)), chosen]

    def answer(self, name: str, row: int) -> str:
        """Return in words what an entry answers to an image."""
        return self.task.describe(self.decided(name)[row], self.classes)

    def truth(self, row: int) -> str:
        """Return in words what the label of an image says."""
        return self.task.describe_truth(self.truths[row], self.classes)

    def compare(self, name: str, other: str) -> Comparison | None:
        """Compare what two entries answer right, image by image, as a gate with `MARGIN` does.

        Return None if the predictions of either entry are missing.
        """
        if name not in self.answers or other not in self.answers:
            return None
        return compare_proportions(self.correct(name), self.correct(other), MARGIN, self.patients)

    def difference(self, name: str, other: str) -> Estimate | None:
        """Return the paired difference of the fractions right, `name` minus `other`.

        Return None if the predictions of either entry are missing.
        """
        comparison = self.compare(name, other)
        return comparison.difference if comparison else None


def read_predictions(result: RunResult, folder: Path) -> RunPredictions:
    """Read the predictions of every evaluated entry; relative paths start from `folder`.

    An entry whose file is missing is left out.

    Raises:
        PupilaError: a file does not have one row per test image and one column per number of an
            answer.
    """
    task, classes = result.data.methods, result.data.classes
    truths = _truths(result)
    answers: dict[str, Answers] = {}
    for entry in result.entries:
        path = locate(entry.evaluation.probabilities, folder) if entry.evaluation else None
        if path is not None and len(truths):
            answers[entry.name] = _read(path, (len(truths), len(task.answer_columns(classes))))
    shipped = {
        entry.name: entry.record.threshold
        for entry in result.entries
        if entry.record and entry.record.threshold
    }
    patients = np.array(result.test_patients, np.int64) if result.test_patients else None
    return RunPredictions(task, truths, answers, shipped, classes, patients)


def _truths(result: RunResult) -> Truths:
    if result.test_truths is None:
        return np.array(result.test_labels, np.int64)
    return np.array(result.test_truths, np.float64)  # None becomes NaN


def locate(path: str, folder: Path) -> Path | None:
    """Return a file of the run, at `path` or else at `path` below `folder`; None if missing."""
    candidates = (Path(path), folder / path)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    patients: NDArray[np.int64] | None = None,
) -> Estimate:
    """Return the difference of the fractions right of two models on the same images.

    `first` and `second` say for each image whether the first and the second model are right, and
    `patients` has the patient of each image, all `(images,)`. The interval is computed as in the
    release gate, by patient if `patients` is given.
    """
    return compare_proportions(first, second, MARGIN, patients).difference


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    values = np.load(path)
    if values.shape != shape:
        raise PupilaError(
            f"Predictions {str(path)!r} have shape {values.shape!r}, expected {shape!r} as the run "
            f"has {shape[0]} test images. Evaluate again: they belong to other data."
        )
    return values.astype(np.float64)
