"""Asks the teachers, and looks at each before hours are spent on learning from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.chance import ChanceCheck, check_chance
from pupila.dataset import Dataset
from pupila.digest import short_digest
from pupila.errors import PupilaError
from pupila.evaluation import Estimate
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
class Standing:
    """How good a teacher is on the validation images."""

    accuracy: Estimate
    auc: Estimate | None
    """Of the first class; None where a class has no image."""


@dataclass(frozen=True)
class TeacherPredictions:
    """Probabilities that each teacher of a step gives, in the order of its inputs."""

    validation: list[NDArray[np.float32]]
    """`(images, classes)` of each teacher."""
    views: list[NDArray[np.float32]]
    """`(views, images, classes)` of each teacher."""
    teachers: TeacherQualities
    agreement: TeacherAgreement | None
    """On the pictures of the first view; None where there is one teacher."""

    @property
    def measured(self) -> Measured:
        """What an artifact tells of its teachers."""
        return Measured(self.teachers, self.agreement or {})


def predict_teachers(step: Step[Any], images: Dataset, validation: Dataset) -> TeacherPredictions:
    """Return what the teachers of a step answer, each looked at before any is asked at length.

    A teacher runs once per view of each image and once per validation image, in its own runtime,
    and never again.

    Raises:
        PupilaError: a teacher is no better than chance, or answers what is no number.
    """
    judged = [step.predictions.of(each, validation, step.progress) for each in step.inputs]
    standings = [
        check_teacher(step, number, validation, answers) for number, answers in enumerate(judged)
    ]
    views = [_views(step, number, images) for number in range(len(step.inputs))]
    qualities = tuple(_quality(*each) for each in zip(step.inputs, standings, strict=True))
    return TeacherPredictions(
        validation=judged,
        views=views,
        teachers=TeacherQualities(teachers=qualities),
        agreement=agreement([each[0] for each in views]),
    )


def check_teacher(
    step: Step[Any], number: int, validation: Dataset, probabilities: NDArray[np.float32]
) -> Standing:
    """Return how good a teacher is, given its `(images, classes)` on validation images.

    The teachers of a recipe are known to be above chance before its steps begin; what a step made,
    and another learns from, is asked here.

    Raises:
        PupilaError: it is not above chance, see `pupila.chance`, and no recipe says that this may
            be so.
    """
    scores, labels = check_answers(
        probabilities, validation.labels, validation.classes, what="validation"
    )
    patients = validation.patients
    found = check_chance(scores, labels, validation.classes, patients=patients)
    if not (found.above or step.unproven):
        raise PupilaError(
            f"{name_of(step, number)} is {found.describe('validation')}. {_advice(found)}"
        )
    right = share(scores.argmax(axis=1) == labels, patients)
    return Standing(right, auc(scores, labels, 0, patients))


def _advice(found: ChanceCheck) -> str:
    if found.order:
        return f"{found.order_hint}: correct `classes` of the teacher."
    return (
        "A student would learn nothing from it. Give another teacher or more validation images, or "
        "say `unproven: true` of the teacher that the recipe begins with."
    )


def agreement(answers: list[NDArray[np.float32]]) -> TeacherAgreement | None:
    """Compare the classes that several teachers give, from `(images, classes)` of each."""
    if len(answers) < 2:
        return None
    given = np.stack([each.argmax(axis=-1) for each in answers])
    same: NDArray[np.float64] = (given[:, np.newaxis] == given[np.newaxis]).mean(axis=-1)
    return TeacherAgreement(
        agreement=tuple(map(tuple, np.round(same, 4).tolist())),
        teachers_disagree=round(float((given != given[0]).any(axis=0).mean()), 4),
    )


def name_of(step: Step[Any], number: int) -> str:
    """Say which teacher is meant: its place in `from`, format, size and digest."""
    teacher, total = step.inputs[number], len(step.inputs)
    called = "The teacher" if total == 1 else f"Teacher {number + 1} of {total} in `from`"
    parameters = teacher.record.parameters
    size = f"{parameters:,} parameters, " if parameters else ""
    return f"{called} ({teacher.format}, {size}artifact {short_digest(teacher.digest)})"


def _views(step: Step[Any], number: int, images: Dataset) -> NDArray[np.float32]:
    augmentation = step.config.augmentation
    answers = step.predictions.of_views(step.inputs[number], images, augmentation, step.progress)
    broken = ~np.isfinite(answers).all(axis=-1)
    if broken.any():
        view, row = (int(place) for place in np.argwhere(broken)[0])
        given = [float(each) for each in answers[view, row]]
        raise PupilaError(
            f"{name_of(step, number)} answers {given!r} to view {view} of "
            f"{images.paths[row].name!r}, where probabilities were expected. Check it for "
            f"overflow, or leave it out of `from`."
        )
    return answers


def _quality(teacher: Artifact, standing: Standing) -> TeacherQuality:
    return TeacherQuality(
        digest=short_digest(teacher.digest),
        validation_accuracy=Interval.of(standing.accuracy),
        validation_auc=Interval.of(standing.auc) if standing.auc else None,
    )
