"""Techniques that learn from answers, and their control: what is asked, what is to be learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Step, StepResult
from pupila.measured import Measured
from pupila.training.loss import distillation_loss, label_loss
from pupila.training.oracle import oracle_loss, oracle_targets, oracle_teaching
from pupila.training.targets import labels_of, labels_of_views, pack_targets, softened_mean
from pupila.training.teacher import predict_teachers
from pupila_distill.config import Distillation, OracleDistillation, Training
from pupila_distill.sources import weighed
from pupila_distill.training import Lesson, splits, taught_images, teach


def distill(step: Step[Distillation]) -> StepResult:
    """Train a student on the labels and on the teachers' answers to the very same pictures.

    Hinton et al. 2015; see `pupila.training.loss` and `.targets` for the equations. With the
    settings of `distill-consistent` it is the function matching of Beyer et al. 2022. There each
    picture is new; here there are as many views of an image as the augmentation says, since the
    teachers' answers to them are kept, and an epoch shows one of each.

    Raises:
        PupilaError: the weights are not one for each teacher, a teacher is no better than chance,
            or the loss is no longer a number.
    """
    return teach(step, weighed(answers_of_teachers(step), step.config.source_weights))


def answers_of_teachers(step: Step[Any]) -> Lesson:
    """Ask the teachers, and return what `distill` teaches: labels and the mean of the answers.

    Raises:
        PupilaError: as of `distill`.
    """
    config: Distillation = step.config
    config.check_inputs(len(step.inputs))
    weights = config.weights or (1.0,) * len(step.inputs)
    images, (_, validation) = taught_images(step), splits(step)
    answers = predict_teachers(step, images, validation)

    def mean(probabilities: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return softened_mean(probabilities, weights, config.temperature)

    given = [_alike(views) if config.mean_over_views else views for views in answers.views]
    return Lesson(
        images=images,
        targets=[
            pack_targets(labels, mean([views[number] for views in given]))
            for number, labels in enumerate(labels_of_views(images, config.augmentation))
        ],
        validation_targets=pack_targets(labels_of(validation), mean(answers.validation)),
        loss=distillation_loss(config.alpha, config.temperature),
        measured=answers.measured,
    )


def _alike(views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each view `(views, images, classes)` the mean of all."""
    return np.broadcast_to(views.mean(axis=0), views.shape)


def distill_oracle(step: Step[OracleDistillation]) -> StepResult:
    """Train a student on those teachers that are right, and on the label where none is.

    Kang et al. 2020; see `pupila.training.oracle` for the equation. Of one teacher, only what it
    has right is learned.

    Raises:
        PupilaError: a teacher is no better than chance, or the loss is no longer a number.
    """
    config = step.config
    images, (_, validation) = taught_images(step), splits(step)
    answers = predict_teachers(step, images, validation)
    labels = labels_of_views(images, config.augmentation)
    lesson = Lesson(
        images=images,
        targets=[
            oracle_targets(each, [views[number] for views in answers.views], config.temperature)
            for number, each in enumerate(labels)
        ],
        validation_targets=oracle_targets(
            labels_of(validation), answers.validation, config.temperature
        ),
        loss=oracle_loss(config.alpha, config.temperature),
        measured=Measured(answers.measured, oracle_teaching(labels, answers.views)),
    )
    return teach(step, weighed(lesson, config.source_weights))


def train(step: Step[Training]) -> StepResult:
    """Train the same student on the same pictures by the same schedule, from the labels alone.

    With `unlabelled`, labelled images are shown again in the place of those that a teacher could
    have answered to, so that there are as many steps.

    Raises:
        PupilaError: the loss is no longer a number.
    """
    images, validation = splits(step)
    labels = labels_of_views(images, step.config.augmentation)
    return teach(step, Lesson(images, labels, labels_of(validation), label_loss, Measured()))
