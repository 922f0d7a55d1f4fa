"""What this package adds to the results of a run: a metric, a condition, sections of the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pupila import CheckedModel, Drawing, ReportedRun
from pupila.evaluation import Estimate
from pupila.intervals import share
from pupila.measured import MeasuredFields

_SURE = 0.9
"""Probability from which an answer counts as sure."""


def true_class_probability(
    answers: NDArray[np.float64], truths: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.float64]:
    """Return the probability of each image's true class, `(images,)`."""
    return np.clip(answers[np.arange(len(truths)), truths], 0, 1)


def wrong_and_sure(model: CheckedModel) -> Estimate:
    """Return the fraction of images that get a wrong answer with a probability of over 0.9."""
    wrong = model.decided.argmax(axis=1) != model.truths
    return share(wrong & (model.answers.max(axis=1) > _SURE), model.patients)


class Soup(MeasuredFields):
    """Which models were averaged, and how good each is on the validation images."""

    ingredients: tuple[str, ...] = Field(description="Digests of the averaged models.")
    validation_accuracy: float = Field(description="Accuracy of the average.")
    validation_accuracy_of_inputs: tuple[float, ...] = Field(
        description="Accuracy of each input, in the order of the recipe."
    )
    validation_images: int = Field(description="Number of validation images.")

    def drawing(self) -> Drawing:
        """Return a table of the accuracies, and a bar for the average."""
        rows = [
            (f"input {number}", f"{accuracy:.3f}")
            for number, accuracy in enumerate(self.validation_accuracy_of_inputs, start=1)
        ]
        width = 100 * self.validation_accuracy
        return Drawing(
            lead=f"Accuracy on {self.validation_images} validation images, on which the greedy "
            f"choice was made.",
            columns=("Model", "Accuracy"),
            rows=[*rows, ("their average", f"{self.validation_accuracy:.3f}")],
            svg=f'<svg viewBox="0 0 100 4" width="260" role="img" aria-label="accuracy of the '
            f'average"><rect width="{width:.1f}" height="4" class="bar"/></svg>',
            data={"ingredients": self.ingredients},
        )


def bytes_for_accuracy(run: ReportedRun) -> Drawing | None:
    """Return the bytes of each evaluated model for a point of its accuracy."""
    rows = [
        (entry.name, f"{cost.size_bytes / (100 * accuracy.value):,.0f}")
        for entry in run.entries
        if entry.evaluation
        and (cost := entry.evaluation.cost)
        and (accuracy := entry.evaluation.metrics.accuracy).value > 0
    ]
    if not rows:
        return None
    lead = "Bytes that ship for each point of accuracy on the test images: less is better."
    return Drawing(lead=lead, columns=("Model", "Bytes a point"), rows=rows)
