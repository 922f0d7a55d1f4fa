"""The methods of the task `localization`; `pupila_localization.columns` describes its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec, PupilaError, Threshold
from pupila.errors import list_names
from pupila.evaluation import Metrics
from pupila.intervals import members_of, share
from pupila.task import (
    Answers,
    Bools,
    Errors,
    LabelRule,
    MetricSettings,
    TaskMethods,
    Truths,
    misfit_of_rows,
)
from pupila.task_words import Mark
from pupila_localization.columns import (
    HALF_WIDTH,
    PARTS,
    PRESENCE,
    PRESENT,
    Differences,
    X,
    by_name,
    is_found,
)
from pupila_localization.decoding import COORDINATES, HEAT_MAP, decode, expected_size, parts_of
from pupila_localization.figures import ERROR, errors_of, figures_of
from pupila_localization.label_rules import label_of, label_rules
from pupila_localization.labels import truths_of

_NEAR_HALVES = 0.5
"""Fraction of the half sizes within which two models give the same centre."""
_FARTHEST = 1.0
"""How far coordinates may lie outside of the image, as a fraction of its side; farther ones are
taken for pixels."""


class Localization(TaskMethods):
    """The methods of `localization`."""

    right_title = "detection rate"
    right_meaning = (
        "its centre is within one radius of the true one, or what is not there is said to be absent"
    )
    error_measure = ERROR
    same_title = "same place"
    same_meaning = "compares centres, which are the same within half a radius, and what is absent"
    compared_title = "position"

    def label_of(self, fields: Mapping[str, str]) -> str:
        """Return the label of a line of a CSV, see `label_rules.label_of`."""
        return label_of(fields)

    def label_rules(self, images: Dataset) -> Sequence[LabelRule]:
        """Return the rules on positions and sizes, see `label_rules.label_rules`."""
        return label_rules(images)

    def declared(self, output: OutputSpec, shape: tuple[int, ...]) -> OutputSpec:
        """Return the output with the shape of the model's as its size."""
        sized = output.model_copy(update={"size": shape})
        if parts_of(sized) is None:
            raise PupilaError(
                f"The model gives {shape} for each image, and {output.kind!r} of "
                f"{list_names(output.classes)} is {expected_size(output)}: correct `output` of the "
                f"teacher."
            )
        return sized

    def losses(self, answers: Answers, truths: Truths) -> NDArray[np.float64]:
        """Return the largest distance of a name from its true centre, in true radii, `(images,)`.

        What is there but said to be absent adds `1 - presence`, and the reverse `presence`.
        """
        differences, there = Differences.of(answers, truths), by_name(truths)[..., PRESENCE]
        missed = np.abs(np.nan_to_num(there) - by_name(answers)[..., PRESENCE])
        return (np.nan_to_num(differences.distance / differences.radius) + missed).max(axis=1)

    def errors(self, answers: Answers, truths: Truths) -> Errors:
        """Return distances of the centres, see `figures.errors_of`."""
        return errors_of(answers, truths)

    def truths(self, images: Dataset) -> NDArray[np.float64]:
        """Return what the labels say of each image, `(images, 5 · names + 1)`."""
        return truths_of(images)

    def misfit(self, output: OutputSpec, outputs: NDArray[np.float32], images: int) -> str | None:
        """Return how raw outputs violate a specification; None if they do not.

        Coordinates must be fractions of the image, not pixels.
        """
        if output.kind not in (HEAT_MAP, COORDINATES) or parts_of(output) is None:
            return (
                f"numbers that were declared as {output.kind!r} of size {output.size}: expected "
                f"{HEAT_MAP!r} or {COORDINATES!r}, of size {expected_size(output)}"
            )
        misfit = super().misfit(output, outputs, images)
        if misfit or output.kind == HEAT_MAP:
            return misfit
        centres = outputs.reshape(images, len(output.classes), -1)[..., :2]
        far = ((centres < -_FARTHEST) | (centres > 1 + _FARTHEST)).any(axis=(1, 2))
        expected = f"expected {self.describe_output(output)}"
        return misfit_of_rows(outputs, far, "positions far outside of the image", expected)

    def describe_output(self, output: OutputSpec) -> str:
        if output.kind == COORDINATES:
            return (
                f"{output.columns} finite numbers: x, y, half width and half height as fractions "
                f"of the image"
            )
        return f"a heat map of size {output.size}, {output.columns} finite numbers for each image"

    def answers(self, output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn raw outputs into answers; see `pupila_localization.decoding`."""
        return decode(output, outputs)

    def answer_columns(self, classes: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{name}_{part}" for name in classes for part in PARTS)

    def right(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        threshold: Threshold | None = None,
    ) -> Bools:
        """Return whether everything that is there was found, and nothing else, `(images,)`.

        A shipped threshold is the probability from which something counts as present.
        """
        return is_found(answers, truths, _present_from(threshold, classes)).all(axis=1)

    def decided(
        self, answers: Answers, classes: Sequence[str], threshold: Threshold | None
    ) -> Answers:
        """Return answers with a presence of 1 or 0, decided as in `right`."""
        numbers = by_name(answers).copy()
        numbers[..., PRESENCE] = numbers[..., PRESENCE] >= _present_from(threshold, classes)
        return numbers.reshape(len(numbers), -1)

    def same(self, answers: Answers, others: Answers) -> Bools:
        """Return whether two models find the same, `(images,)`.

        Both must say that it is there, with the centre of `answers` within half the half sizes of
        `others`; or both that it is absent.
        """
        ours, theirs = by_name(answers), by_name(others)
        apart = (ours[..., :2] - theirs[..., :2]) / theirs[..., 2:4]
        near = np.linalg.norm(apart, axis=-1) <= _NEAR_HALVES
        there, also = ours[..., PRESENCE] >= PRESENT, theirs[..., PRESENCE] >= PRESENT
        return np.where(there & also, near, there == also).all(axis=1)

    def comparable(self, answers: Answers, positive: int = 0) -> NDArray[np.float64]:
        """Return centres and half sizes, `(images, 4 · names)`."""
        return by_name(answers)[..., :PRESENCE].reshape(len(answers), -1)

    def metrics(self, answers: Answers, truths: Truths, settings: MetricSettings) -> Metrics:
        """Return how many images are answered right, and the figures of `figures_of`."""
        _check(answers, truths, settings)
        present_from = _present_from(settings.shipped, settings.classes)
        right = self.right(answers, truths, settings.classes, settings.shipped)
        patients = settings.patients
        return Metrics(
            images=len(truths),
            patients=None if patients is None else int(members_of(patients).max()) + 1,
            accuracy=share(right, patients),
            figures=tuple(figures_of(answers, truths, present_from, patients)),
        )

    def describe(self, answer: Answers, classes: Sequence[str]) -> str:
        """Return where each thing is, as `disc at 31.2 %, 48.5 %`."""
        numbers = by_name(answer[np.newaxis])[0]
        return ", ".join(map(_describe, classes, numbers))

    def describe_truth(self, truth: Truths, classes: Sequence[str]) -> str:
        return self.describe(truth, classes)

    def marks(self, answer: NDArray[Any], classes: Sequence[str]) -> Sequence[Mark]:
        """Return an ellipse for each thing that is there."""
        return [
            Mark(x=x, y=y, half_width=half_width, half_height=half_height)
            for x, y, half_width, half_height, presence in by_name(answer[np.newaxis])[0].tolist()
            if presence >= PRESENT
        ]


def _describe(name: str, numbers: NDArray[np.float64]) -> str:
    presence = numbers[PRESENCE]
    if np.isnan(presence):
        return f"{name} unknown"
    if presence < PRESENT:
        return f"no {name}"
    x, y = numbers[X : X + 2]
    half_width, half_height = numbers[HALF_WIDTH : HALF_WIDTH + 2]
    return f"{name} at {x:.1%}, {y:.1%}, half size {half_width:.1%} x {half_height:.1%}"


def _present_from(threshold: Threshold | None, classes: Sequence[str]) -> float:
    return threshold.value if threshold and threshold.positive in classes else PRESENT


def _check(answers: Answers, truths: Truths, settings: MetricSettings) -> None:
    """Check the shapes of answers and truths."""
    if not len(truths):
        raise PupilaError(f"No {settings.split} images to evaluate: give at least one.")
    columns = len(PARTS) * len(settings.classes)
    wanted = ((len(truths), columns), (len(truths), columns + 1))
    if (answers.shape, truths.shape) != wanted:
        raise PupilaError(
            f"Answers to the {settings.split} images have shape {answers.shape}, truths "
            f"{truths.shape}: expected {wanted[0]} and {wanted[1]}."
        )
    unknown = np.isnan(by_name(truths)[..., PRESENCE]).any(axis=1)
    if unknown.any():
        raise PupilaError(
            f"{int(unknown.sum())} of {len(truths)} {settings.split} images have no label: only "
            f"labelled images can be evaluated."
        )
