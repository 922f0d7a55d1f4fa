"""Predicts with a step's teachers, and checks each teacher before a student learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.chance import ChanceCheck, check_chance
from pupila.dataset import Dataset
from pupila.digest import short_digest
from pupila.errors import PupilaError
from pupila.intervals import share
from pupila.measured import (
    Interval,
    Measured,
    TeacherAgreement,
    TeacherQualities,
    TeacherQuality,
)
from pupila.metrics import check_answers
from pupila.roc import auc
from pupila.step import Step


@dataclass(frozen=True)
class TeacherPredictions:
    """Predictions and quality of each teacher of a step, in the order of the step's inputs."""

    validation: list[NDArray[np.float32]]
    """Probabilities of each teacher for the validation images, `(images, classes)`."""
    views: list[NDArray[np.float32]]
    """Probabilities of each teacher for the augmented views, `(views, images, classes)`."""
    teachers: TeacherQualities
    agreement: TeacherAgreement | None
    """How often the teachers agree on the pictures of the first view; None for a single teacher."""

    @property
    def measured(self) -> Measured:
        """What the record of a student reports about its teachers."""
        return Measured(self.teachers, self.agreement or {})


def predict_teachers(step: Step[Any], images: Dataset, validation: Dataset) -> TeacherPredictions:
    """Return the predictions of a step's teachers for the augmented views and validation images.

    All teachers are checked on the validation images before the first one runs on the views. A
    teacher runs in its own runtime, once per view of each image and once per validation image.

    Raises:
        PupilaError: a teacher is not better than chance, or its answers are not finite.
    """
    on_validation = [
        step.predictions.of(teacher, validation, step.progress) for teacher in step.inputs
    ]
    qualities = tuple(
        check_teacher(step, number, validation, answers)
        for number, answers in enumerate(on_validation)
    )
    views = [_predict_views(step, number, images) for number in range(len(step.inputs))]
    return TeacherPredictions(
        validation=on_validation,
        views=views,
        teachers=TeacherQualities(teachers=qualities),
        agreement=agreement([teacher_views[0] for teacher_views in views]),
    )


def check_teacher(
    step: Step[Any], number: int, validation: Dataset, probabilities: NDArray[np.float32]
) -> TeacherQuality:
    """Make sure that a teacher is better than chance, and return its quality.

    `number` is the teacher's position in the step's inputs; `probabilities` are its answers to the
    validation images, `(images, classes)`. A teacher that the recipe begins with was already
    checked before the first step ran. A teacher that an earlier step made is first checked here.

    Raises:
        PupilaError: the teacher is not above chance (see `pupila.chance`), and the recipe does not
            allow that.
    """
    scores, labels = check_answers(
        probabilities, validation.labels, validation.classes, what="validation"
    )
    patients = validation.patients
    chance = check_chance(scores, labels, validation.classes, patients=patients)
    if not (chance.above or step.unproven):
        name = describe_teacher(step, number)
        raise PupilaError(f"{name} is {chance.describe('validation')}. {_advice(chance)}")
    area = auc(scores, labels, 0, patients)
    return TeacherQuality(
        digest=short_digest(step.inputs[number].digest),
        validation_accuracy=Interval.of(share(scores.argmax(axis=1) == labels, patients)),
        validation_auc=Interval.of(area) if area else None,
    )


def _advice(chance: ChanceCheck) -> str:
    if chance.order:
        return f"{chance.order_hint}: correct `classes` of the teacher."
    return (
        "A student would learn nothing from it. Give another teacher or more validation images, or "
        "set `unproven: true` for the teacher that the recipe begins with."
    )


def agreement(answers: list[NDArray[np.float32]]) -> TeacherAgreement | None:
    """Return how often several teachers give the same class; None for a single teacher.

    `answers` has the probabilities `(images, classes)` of each teacher.
    """
    if len(answers) < 2:
        return None
    classes = np.stack([answer.argmax(axis=-1) for answer in answers])
    same: NDArray[np.float64] = (classes[:, np.newaxis] == classes[np.newaxis]).mean(axis=-1)
    return TeacherAgreement(
        agreement=tuple(map(tuple, np.round(same, 4).tolist())),
        teachers_disagree=round(float((classes != classes[0]).any(axis=0).mean()), 4),
    )


def describe_teacher(step: Step[Any], number: int) -> str:
    """Describe a teacher in a message by its position in `from`, format, size and digest."""
    teacher, total = step.inputs[number], len(step.inputs)
    name = "The teacher" if total == 1 else f"Teacher {number + 1} of {total} in `from`"
    parameters = teacher.record.parameters
    size = f"{parameters:,} parameters, " if parameters else ""
    return f"{name} ({teacher.format}, {size}artifact {short_digest(teacher.digest)})"


def _predict_views(step: Step[Any], number: int, images: Dataset) -> NDArray[np.float32]:
    augmentation = step.config.augmentation
    answers = step.predictions.of_views(step.inputs[number], images, augmentation, step.progress)
    broken = ~np.isfinite(answers).all(axis=-1)
    if broken.any():
        view, row = (int(index) for index in np.argwhere(broken)[0])
        answer = [float(value) for value in answers[view, row]]
        raise PupilaError(
            f"{describe_teacher(step, number)} answers {answer!r} to view {view} of "
            f"{images.paths[row].name!r}, where probabilities were expected. Check it for "
            f"overflow, or leave it out of `from`."
        )
    return answers
