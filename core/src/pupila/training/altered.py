"""Measures the fidelity to the teacher on altered validation images, to choose the best epoch.

The validation images come from one hospital. A student may have almost the same accuracy and loss
on these images after one epoch and after another, and yet give quite different answers to images of
another hospital. So the shift suite (`pupila.shift_suite`) is applied to the validation images at
its middle severity. The altered images are made once, the teacher predicts them once, and the
student predicts them after each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.fidelity import correlation, logits_of
from pupila.shift_suite import Suite, answers_to, is_silent, pictures
from pupila.spec import InputSpec, OutputSpec
from pupila.step import Step
from pupila.training.schedule import EpochChoice

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Altered:
    """Altered validation images, and the teacher's answers to them."""

    pictures: NDArray[np.uint8]
    """Altered images at the student's input size, one family after another,
    `(pictures, height, width, 3)`."""
    logits: list[Floats]
    """The teacher's logits for the pictures of each family, as `pupila.fidelity.logits_of` returns
    them."""
    output: OutputSpec
    """Output specification of a student in training."""

    @classmethod
    def of(cls, step: Step[Any], size: InputSpec, classes: Sequence[str] | None = None) -> Altered:
        """Alter the validation images of a step, and predict them with the step's one teacher.

        `size` is the student's input. `classes` are the classes of the student's output columns, by
        default those of the data.

        Raises:
            PupilaError: the teacher gives all altered images the same answer.
        """
        (teacher,), validation = step.inputs, step.split("validation")
        output = OutputSpec(kind="logits", classes=tuple(classes or validation.classes))
        columns = [validation.classes.index(name) for name in output.classes]
        suite, read = Suite(severities=("middle",)), teacher.record.input
        cells = suite.cells(validation.labels)
        context = (step.predictions, step.progress)
        answers = answers_to(teacher, validation, cells, suite, read, *context)
        unaltered = logits_of(step.predictions.of(teacher, validation, step.progress))
        answered = [
            (cell, logits_of(given[:, columns]))
            for cell, given in zip(cells, answers, strict=True)
            if not is_silent(logits_of(given), unaltered)
        ]
        if not answered:
            raise PupilaError(
                "`choose_by` is 'fidelity', but the teacher gives all altered validation images "
                "the same answer, so there is nothing to be faithful to: give a teacher that "
                "tells images apart, or choose by `loss`."
            )
        altered = pictures(validation, [cell for cell, _ in answered], read, size)
        return cls(np.concatenate(list(altered)), [logits for _, logits in answered], output)

    def fidelity(self, outputs: NDArray[np.float32]) -> float:
        """Return the correlation of student's and teacher's logits, averaged over the families.

        `outputs` are the student's outputs for the altered images, `(pictures, classes)`.
        """
        ours = logits_of(self.output.probabilities(outputs))
        ends = np.cumsum([len(theirs) for theirs in self.logits])[:-1]
        return float(
            np.mean(
                [
                    correlation(mine, theirs, np.ones((1, len(theirs))))[0]
                    for mine, theirs in zip(np.split(ours, ends), self.logits, strict=True)
                ]
            )
        )


def altered_for(
    step: Step[Any], size: InputSpec, classes: Sequence[str] | None = None
) -> Altered | None:
    """Return the altered images by which a step chooses its epoch; None if it chooses by loss.

    The arguments are those of `Altered.of`.
    """
    by_fidelity = isinstance(step.config, EpochChoice) and step.config.choose_by == "fidelity"
    return Altered.of(step, size, classes) if by_fidelity else None
