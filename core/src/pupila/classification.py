"""The task `classification`: an image belongs to one of several classes.

Its answers are probabilities `(images, classes)`, its truths the columns of the true classes
`(images,)`. The work is done by `pupila.metrics`, `pupila.fidelity` and `pupila.chance`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila import ties
from pupila.artifact import Threshold
from pupila.calibration import LEAST_PROBABILITY
from pupila.chance import ChanceCheck, check_chance
from pupila.dataset import Dataset
from pupila.errors import list_names
from pupila.evaluation import Metrics
from pupila.fidelity import logits_of
from pupila.hookspecs import hookimpl
from pupila.metrics import answers_of, check_answers, metrics_of
from pupila.plugin import CLASSIFICATION, LABEL_COLUMNS, Task
from pupila.result_plugins import Metric
from pupila.roc import mean_auc
from pupila.spec import OutputSpec
from pupila.task import Answers, Bools, MetricSettings, TaskMethods, Truths, misfit_of_rows

_STEP = 1 / 256
"""How far one probability may be off: the step of an 8-bit softmax or sigmoid, which is accurate to
about one step and whose maximum is 255/256. Half precision is more accurate than that. As each
column is rounded separately, the sum of a row may be off by as much per column: 0.008 with two
classes. A tolerance of 1e-3, enough for float32, would refuse int8 models."""

_LEAST_PROBABILITY = 1e-7
"""Smaller probabilities are raised to this before a logarithm."""


@hookimpl
def pupila_tasks() -> Iterator[Task]:
    """Yield the task of core."""
    yield Task(
        name=CLASSIFICATION,
        summary="Which of several classes an image belongs to",
        implementation=f"{__name__}:Classification",
        training="pupila.training.classification:ClassificationTraining",
        label_columns=LABEL_COLUMNS,
        output_kinds=("softmax", "logits", "sigmoid"),
        default_classes=(),
        mixable=True,
        min_classes=2,
        max_classes=None,
    )


@hookimpl
def pupila_metrics() -> Iterator[Metric]:
    """Yield the metrics of classifiers that come in as those of any package do."""
    yield Metric(
        name="balanced_accuracy",
        summary="Mean over classes of the fraction of their images answered right",
        implementation="pupila.metrics:balanced_accuracy",
        title="balanced accuracy",
        per_image=False,
        decided=True,
        bounds=(0.0, 1.0),
    )
    yield Metric(
        name="log_loss",
        summary="Mean of minus the logarithm of the true class's probability",
        implementation="pupila.calibration:log_loss",
        title="log loss",
        unit="nats",
        lower_is_better=True,
        bounds=(0.0, -math.log(LEAST_PROBABILITY)),
    )


class Classification(TaskMethods):
    """The methods of `classification`."""

    has_classes = True
    right_title = "accuracy"
    right_meaning = "its class is the true one"
    same_title = "same class"
    same_meaning = "compares the most probable classes"
    compared_title = "logit"

    def check(self, answers: Answers, truths: Truths, classes: Sequence[str], what: str) -> Answers:
        """Return probabilities `(images, classes)`, see `pupila.metrics.check_answers`."""
        return check_answers(answers, truths, classes, what)[0]

    def truths(self, images: Dataset) -> NDArray[np.int64]:
        return images.labels

    def misfit(self, output: OutputSpec, outputs: NDArray[np.float32], images: int) -> str | None:
        """Return how raw outputs violate a specification; None if they do not.

        Beyond their shape and being finite, probabilities must lie in 0..1, and those of a softmax
        must sum to 1.
        """
        misfit = super().misfit(output, outputs, images)
        if misfit or output.kind == "logits":
            return misfit
        expected = f"expected {self.describe_output(output)}"
        outside = ((outputs < -_STEP) | (outputs > 1 + _STEP)).any(axis=1)
        misfit = misfit_of_rows(outputs, outside, "numbers outside of 0..1", expected)
        if misfit or output.kind == "sigmoid":
            return misfit
        off = np.abs(outputs.sum(axis=1, dtype=np.float64) - 1) > output.columns * _STEP
        return misfit_of_rows(outputs, off, "rows that do not sum to 1", expected)

    def describe_output(self, output: OutputSpec) -> str:
        if output.kind == "sigmoid":
            return f"one column in 0..1, the probability of {output.classes[-1]!r}"
        columns = f"one column for each of {list_names(output.classes)}"
        softmax = ", each in 0..1, and rows that sum to 1"
        return columns + (softmax if output.kind == "softmax" else ", finite")

    def answers(self, output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn raw outputs `(images, values)` into probabilities `(images, classes)`.

        For `softmax`, they are the raw outputs themselves, which may sum to one only roughly.
        """
        if output.kind == "sigmoid":
            return np.concatenate([1 - outputs, outputs], axis=1)
        if output.kind == "logits":
            shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        return outputs

    def answer_columns(self, classes: Sequence[str]) -> tuple[str, ...]:
        return tuple(classes)

    def decided(
        self, answers: Answers, classes: Sequence[str], threshold: Threshold | None
    ) -> Answers:
        """Return 1 for the class given to each image and 0 for the others, see `right`."""
        chosen = answers_of(np.asarray(answers, np.float64), classes, threshold)
        return np.eye(answers.shape[1])[chosen]

    def right(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        threshold: Threshold | None = None,
    ) -> Bools:
        """Return whether the class given to each image is the true one.

        With two classes and a shipped threshold, the threshold decides the class.
        """
        return answers_of(np.asarray(answers, np.float64), classes, threshold) == truths

    def same(self, answers: Answers, others: Answers) -> Bools:
        """Return whether the most probable class is the same; thresholds are not applied."""
        return answers.argmax(axis=1) == others.argmax(axis=1)

    def comparable(self, answers: Answers, positive: int = 0) -> NDArray[np.float64]:
        """Return the logits, see `pupila.fidelity.logits_of`."""
        return logits_of(answers, positive)

    def divergence(self, answers: Answers, reference: Answers) -> NDArray[np.float64]:
        """Return KL(p ‖ q) in nats, with p of the reference."""
        q, p = (
            np.clip(np.asarray(given, np.float64), _LEAST_PROBABILITY, 1)
            for given in (answers, reference)
        )
        return (p * np.log(p / q)).sum(axis=-1)

    def tied(self, answers: Answers) -> float:
        return ties.tied(answers)

    def describe(self, answer: Answers, classes: Sequence[str]) -> str:
        """Return the most probable class."""
        return classes[int(answer.argmax())]

    def describe_truth(self, truth: Truths, classes: Sequence[str]) -> str:
        """Return the true class."""
        return classes[int(truth)]

    def scores(self, answers: Answers, positive: int = 0) -> NDArray[np.float64]:
        return np.asarray(answers[:, positive], np.float64)

    def area(self, answers: Answers, truths: Truths, positive: int = 0) -> float | None:
        """Return the area of the positive class of two; with more, the mean over the classes."""
        classes = answers.shape[1]
        if not np.bincount(truths, minlength=classes).all():
            return None
        columns = [positive] if classes == 2 else range(classes)
        return mean_auc(np.asarray(answers, np.float64), truths, columns)

    def losses(self, answers: Answers, truths: Truths) -> NDArray[np.float64]:
        """Return minus the probability of the true class."""
        return -np.asarray(answers, np.float64)[np.arange(len(truths)), truths]

    def metrics(self, answers: Answers, truths: Truths, settings: MetricSettings) -> Metrics:
        return metrics_of(
            answers,
            truths,
            settings.classes,
            settings.positive,
            settings.specificity,
            settings.validation,
            shipped=settings.shipped,
            split=settings.split,
            patients=settings.patients,
        )

    def chance(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        positive: str = "",
        patients: ArrayLike | None = None,
    ) -> ChanceCheck:
        return check_chance(answers, truths, classes, positive or None, patients)
