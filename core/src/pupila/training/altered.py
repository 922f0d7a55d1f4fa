"""Measures the fidelity to the teacher on altered validation images, to choose the best epoch.

The validation images come from one hospital. A student may have almost the same accuracy and loss
on these images after one epoch and after another, and yet give quite different answers to images of
another hospital. So the shift suite (`pupila.shift_suite`) is applied to the validation images at
its middle severity. The altered images are made once, the teacher predicts them once, and the
student predicts them after each epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.fidelity import correlation
from pupila.shift_suite import Suite, answers_to, is_silent, pictures
from pupila.spec import InputSpec, OutputSpec
from pupila.step import Step
from pupila.task import methods_of
from pupila.training.schedule import EpochChoice

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Altered:
    """Altered validation images, and the teacher's answers to them."""

    pictures: NDArray[np.uint8]
    """Altered images at the student's input size, one family after another,
    `(pictures, height, width, 3)`."""
    logits: list[Floats]
    """The teacher's logits for each family, `(pictures, …)`, or what another task compares; see
    `pupila.task.TaskMethods.comparable`."""
    output: OutputSpec
    """Output specification of a student in training."""

    @classmethod
    def of(cls, step: Step[Any], size: InputSpec, output: OutputSpec | None = None) -> Altered:
        """Alter the validation images of a step and predict them with its one teacher.

        `size` is the student's input, `output` what it gives in training, by default logits of the
        data's classes.

        Raises:
            PupilaError: the teacher gives all altered images the same answer.
        """
        (teacher,), validation = step.inputs, step.split("validation")
        output = output or OutputSpec(kind="logits", classes=validation.classes)
        task = methods_of(output.task)
        columns = task.columns_of(validation.classes, output.classes)
        suite, read = Suite(severities=("middle",)), teacher.record.input
        cells = suite.cells(validation.strata)
        context = (step.predictions, step.progress)
        answers = answers_to(teacher, validation, cells, suite, read, *context)
        unaltered = task.comparable(step.predictions.of(teacher, validation, step.progress))
        answered = [
            (cell, task.comparable(given[:, columns]))
            for cell, given in zip(cells, answers, strict=True)
            if not is_silent(task.comparable(given), unaltered)
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

        `outputs` are the student's raw outputs for the altered images, `(pictures, values)`.
        """
        task = methods_of(self.output.task)
        ours = task.comparable(task.answers(self.output, outputs))
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
    step: Step[Any], size: InputSpec, output: OutputSpec | None = None
) -> Altered | None:
    """Return the altered images by which a step chooses its epoch; None if it chooses by loss.

    The arguments are those of `Altered.of`.
    """
    by_fidelity = isinstance(step.config, EpochChoice) and step.config.choose_by == "fidelity"
    return Altered.of(step, size, output) if by_fidelity else None
