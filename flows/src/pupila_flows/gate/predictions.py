"""A model's predictions on the images of a run, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.chance import ChanceCheck
from pupila.classification import Classification
from pupila.errors import PupilaError
from pupila.plugin_metrics import values_of_images
from pupila.result_plugins import Metric
from pupila.task import Errors, TaskMethods, Truths, methods_of
from pupila_flows.gate.inputs import GateInputs, GateModel, Images
from pupila_flows.gate.operating import AppliedThreshold, Floats, matching_threshold, own_threshold

Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ModelPredictions:
    """One model's predictions on the images of one split."""

    model: GateModel
    task: TaskMethods
    classes: tuple[str, ...]
    scores: Floats
    """Answers, `(images, columns)`; of a classifier, probabilities of the classes."""
    truths: Truths
    """What the label of each image says; for a classifier, the column of the true class."""
    positive: int
    """Column of the positive class; 0 in a task without classes."""
    threshold: AppliedThreshold
    """The threshold at which images are called positive."""
    patients: NDArray[np.str_] | None = None
    """Patient of each test image, `(images,)`; None if the data has no patients."""
    validation: ModelPredictions | None = None
    """The same model's predictions on the validation images; None if there are none."""

    @classmethod
    def of(
        cls, inputs: GateInputs, model: GateModel, like: ModelPredictions | None = None
    ) -> ModelPredictions:
        """Read a model's predictions on the test and validation images.

        `like` holds the predictions of another model. If `like` is given, the threshold is chosen
        by the rule of that other model. Otherwise, the threshold is chosen by the model's own rule.

        Raises:
            PupilaError: a predictions file is missing, or belongs to other data.
        """
        scores = _probabilities(model, model.evaluation.probabilities, inputs, inputs.test)
        images, path = inputs.validation, model.evaluation.validation_probabilities
        chosen_on = _probabilities(model, path, inputs, images) if images and path else None
        if like is None:
            threshold = own_threshold(inputs, model, chosen_on)
        else:
            threshold = matching_threshold(
                inputs, model, chosen_on, like.threshold, like.model.name
            )
        positive = inputs.classes.index(inputs.positive) if inputs.positive else 0
        task, classes = methods_of(inputs.task), inputs.classes
        validation = None
        if images and chosen_on is not None:
            truths = _truths(images)
            validation = cls(model, task, classes, chosen_on, truths, positive, threshold)
        patients = inputs.test.patients
        patients = None if patients is None else np.array(patients, np.str_)
        truths = _truths(inputs.test)
        return cls(model, task, classes, scores, truths, positive, threshold, patients, validation)

    def patients_of(self, rows: Rows) -> NDArray[np.str_] | None:
        """Return the patient of each image in `rows`; None if the data has no patients.

        Statistics use the patients as clusters.
        """
        return None if self.patients is None else self.patients[rows]

    @property
    def likeliest(self) -> Rows:
        """Column of the most probable class of each image, regardless of the threshold."""
        return self.scores.argmax(axis=1)

    @property
    def called_positive(self) -> Bools:
        """Whether each image is called positive at the threshold.

        Raises:
            PupilaError: the model has no threshold.
        """
        return self.threshold.calls(self.scores, self.positive)

    @property
    def at_threshold(self) -> Rows:
        """Column of each image's class at the threshold.

        If an image is not called positive, its class is the most probable of the other classes.
        """
        others = self.scores.copy()
        others[:, self.positive] = -np.inf
        return np.where(self.called_positive, self.positive, others.argmax(axis=1))

    @property
    def chosen(self) -> Rows:
        """Column of the class that the model as it ships predicts for each image.

        With two classes and a shipped threshold, the threshold decides. Otherwise, the class is the
        most probable one.
        """
        return self.likeliest if self.uses_most_probable else self.at_threshold

    @property
    def uses_most_probable(self) -> bool:
        """Whether `chosen` is the most probable class because no shipped threshold decides."""
        return not self.threshold.ships or self.scores.shape[1] > 2

    @property
    def right(self) -> Bools:
        """Whether each image is answered right; a classifier answers it with `chosen`."""
        if self._has_classes:
            return self.chosen == self.truths
        return self.task.right(self.scores, self.truths, self.classes)

    def same(self, other: ModelPredictions) -> Bools:
        """Return whether this model and another one answer each image alike, `(images,)`."""
        if self._has_classes:
            return self.chosen == other.chosen
        return self.task.same(self.scores, other.scores)

    @property
    def losses(self) -> Floats:
        """How wrong each answer is; the larger, the worse."""
        return self.task.losses(self.scores, self.truths)

    @property
    def errors(self) -> Errors:
        """By how much each answer is off.

        Raises:
            PupilaError: answers of the task have no error.
        """
        errors = self.task.errors(self.scores, self.truths)
        if errors is None:
            raise PupilaError(
                f"answers of {self.model.name!r} are right or wrong, without an error."
            )
        return errors

    def values_of(self, metric: Metric) -> Floats:
        """Return what a metric says of each image, `(images,)`; NaN where it has no value.

        Raises:
            PupilaError: the metric's plugin returns wrong values, or it measures decisions and the
                model has no threshold.
        """
        answers = self.decided if metric.decided else self.scores
        return values_of_images(metric, answers, self.truths, self.classes)

    def worst_first(self, rows: Rows) -> Rows:
        """Return rows in the order of `losses`, the largest first."""
        return rows[np.argsort(-self.losses[rows], kind="stable")]

    @property
    def is_positive(self) -> Bools:
        """Whether each image is of the positive class."""
        return self.truths == self.positive

    def chance(self) -> ChanceCheck | None:
        """Return whether the model is above chance; None if the task has no such test."""
        positive = self.classes[self.positive]
        return self.task.chance(self.scores, self.truths, self.classes, positive, self.patients)

    @property
    def answers(self) -> Sequence[str]:
        """The answer to each image in words, as the model as it ships gives it."""
        return self.named(self.chosen) if self._has_classes else self._described

    def named(self, columns: Rows) -> Sequence[str]:
        """Return the class names of columns."""
        numbers: list[int] = columns.tolist()
        return [self.classes[number] for number in numbers]

    def truth(self, row: int) -> str:
        """Return in words what the label of an image says."""
        return self.task.describe_truth(self.truths[row], self.classes)

    @property
    def _has_classes(self) -> bool:
        return isinstance(self.task, Classification)

    @property
    def decided(self) -> Floats:
        """What the model decides: of a classifier, 1 for the class in `chosen`, 0 for others."""
        if self._has_classes:
            return np.eye(len(self.classes))[self.chosen]
        return np.asarray(self.task.decided(self.scores, self.classes, None), np.float64)

    @property
    def _described(self) -> Sequence[str]:
        return [self.task.describe(answer, self.classes) for answer in self.scores]


def _probabilities(model: GateModel, file: str, inputs: GateInputs, images: Images) -> Floats:
    task, path = methods_of(inputs.task), Path(file)
    shape = len(images), len(task.answer_columns(inputs.classes))
    if not path.is_file():
        raise PupilaError(
            f"The predictions of {model.name!r} are not at {str(path)!r}: run again to make them."
        )
    values = np.load(path)
    if values.shape != shape:
        raise PupilaError(
            f"The predictions of {model.name!r} have shape {values.shape!r}, expected {shape!r}: "
            f"they belong to other images."
        )
    return task.check(values, _truths(images), inputs.classes, model.name)


def _truths(images: Images) -> Truths:
    if images.truths is None:
        return np.array(images.labels, np.int64)
    return np.array(images.truths, np.float64)
