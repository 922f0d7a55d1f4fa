"""The methods of the task `regression`: answers are numbers `(images, 1)`.

Truths are `(images, 2)`: the number, and how far an answer may be from it to be right. That
tolerance is half a standard deviation of the numbers of all images that are evaluated together, so
that it has the scale of the data. Half a standard deviation is a difference that people just notice
in many measures of health (Norman, Sloan and Wyrwich 2003, Medical Care 41:582). If the numbers are
normally distributed, always answering their mean is right for 38 % of the images; answers with
normal errors are right for 68 % at R² = 0.75, and for 95 % at R² = 0.93.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from image_regression.figures import figures_of
from image_regression.labels import Floats, label_rules, number_of, numbers_of
from pupila import Dataset, MetricSettings, OutputSpec, PupilaError, TaskMethods, Threshold
from pupila.evaluation import Metrics
from pupila.intervals import members_of, share
from pupila.task import Answers, Bools, ErrorMeasure, Errors, LabelRule, Truths

TOLERATED = 0.5
"""Standard deviations within which a number counts as right, or as the same."""
_COUNTED = 2.0
"""Standard deviations of an error that count at most in the mean that a gate compares."""


class Regression(TaskMethods):
    """The methods of `regression`."""

    right_title = "hit rate"
    right_meaning = (
        "its number is within half a standard deviation, of all these images' numbers, of its own"
    )
    same_title = "same number"
    same_meaning = "compares numbers, which are the same within half a standard deviation"
    compared_title = "number"
    error_measure = ErrorMeasure(
        title="mean error",
        unit="standard deviations",
        meaning="the distance of a number from its own in standard deviations of all these images' "
        f"numbers, of which {_COUNTED:g} count at most",
        margin=0.1,
    )

    def label_of(self, fields: Mapping[str, str]) -> str:
        """Return the text of the number, given the fields of a line of a CSV."""
        label = super().label_of(fields)
        if number_of(label) is None:
            (name,) = fields
            raise PupilaError(f"has the {name} {label!r}: give one finite number, such as 12.5.")
        return label

    def label_rules(self, images: Dataset) -> Sequence[LabelRule]:
        return label_rules(images)

    def truths(self, images: Dataset) -> Floats:
        """Return the number and the tolerance of each image, `(images, 2)`; NaN without a label."""
        numbers = numbers_of(images)
        labelled = numbers[np.isfinite(numbers)]
        tolerance = TOLERATED * labelled.std() if len(labelled) else np.nan
        return np.stack([numbers, np.full_like(numbers, tolerance)], axis=1)

    def answers(self, output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the raw outputs: they are numbers already."""
        return outputs

    def answer_columns(self, classes: Sequence[str]) -> tuple[str, ...]:
        return tuple(classes)

    def right(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        threshold: Threshold | None = None,
    ) -> Bools:
        """Return whether each number is within the tolerance of its label."""
        return self.losses(answers, truths) <= truths[:, 1]

    def same(self, answers: Answers, others: Answers) -> Bools:
        """Return whether numbers are within half a standard deviation of those of `others`.

        It is the standard deviation of all numbers in `others`.
        """
        theirs = np.asarray(others, np.float64)[:, 0]
        return np.abs(answers[:, 0] - theirs) <= TOLERATED * theirs.std()

    def comparable(self, answers: Answers, positive: int = 0) -> Floats:
        return np.asarray(answers, np.float64)

    def losses(self, answers: Answers, truths: Truths) -> Floats:
        """Return the absolute error of each number, `(images,)`."""
        return np.abs(np.asarray(answers, np.float64)[:, 0] - truths[:, 0])

    def errors(self, answers: Answers, truths: Truths) -> Errors:
        """Return the absolute errors in standard deviations, NaN where all labels are the same."""
        deviations = truths[:, 1] / TOLERATED
        known = np.where(deviations > 0, deviations, np.nan)
        values = np.minimum(self.losses(answers, truths) / known, _COUNTED)
        return Errors(values=values, limits=np.full(len(truths), _COUNTED))

    def metrics(self, answers: Answers, truths: Truths, settings: MetricSettings) -> Metrics:
        """Return the fraction of images answered right, and the figures of `figures_of`."""
        images = f"the {settings.split} images"
        numbers = self.check(answers, truths, settings.classes, images)
        if not len(truths):
            raise PupilaError(f"No {settings.split} images to evaluate: give at least one.")
        unknown = int(np.isnan(truths[:, 0]).sum())
        if unknown:
            raise PupilaError(
                f"{unknown} of {len(truths)} of {images} have no label: only labelled images can "
                f"be evaluated."
            )
        patients = settings.patients
        return Metrics(
            images=len(truths),
            patients=None if patients is None else int(members_of(patients).max()) + 1,
            accuracy=share(self.right(numbers, truths, settings.classes), patients),
            figures=tuple(figures_of(numbers[:, 0], truths[:, 0], patients)),
        )

    def describe(self, answer: Answers, classes: Sequence[str]) -> str:
        """Return the name of the number and the number, as `radius 12.5`."""
        return f"{classes[0]} {float(answer[0]):.4g}"

    def describe_truth(self, truth: Truths, classes: Sequence[str]) -> str:
        unknown = np.isnan(truth[0])
        return f"{classes[0]} unknown" if unknown else self.describe(truth, classes)
