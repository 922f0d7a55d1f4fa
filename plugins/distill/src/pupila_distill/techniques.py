"""Techniques that learn from teachers' predictions, and `train`, their control without teachers."""

from __future__ import annotations

from typing import Any

from pupila import Step, StepResult
from pupila.measured import Measured
from pupila.training.oracle import oracle_loss, oracle_targets, oracle_teaching
from pupila.training.targets import labels_of, labels_of_views, pack_targets
from pupila.training.task import training_of
from pupila.training.teacher import predict_teachers
from pupila_distill.config import Distillation, OracleDistillation, Training
from pupila_distill.sources import weigh_sources
from pupila_distill.training import TrainingTargets, splits, train_student, training_images


def distill(step: Step[Distillation]) -> StepResult:
    """Train a student on the labels and on the teachers' predictions for the same images.

    Hinton et al. 2015; see `pupila.training.loss` and `.targets` for the equations. With the
    settings of `distill-consistent`, this is the function matching of Beyer et al. 2022, with one
    difference. In their paper, each training step draws new random augmentations. Here the
    teachers' predictions are cached, so each image has a fixed number of augmented views, and an
    epoch shows one view of each image.

    Raises:
        PupilaError: `weights` does not have a number for each teacher, a teacher is not better than
            chance, or the loss is no longer finite.
    """
    return train_student(step, weigh_sources(teacher_targets(step), step.config.source_weights))


def teacher_targets(step: Step[Any]) -> TrainingTargets:
    """Run the teachers; return the targets of `distill`: labels, and the teachers' mean prediction.

    Raises:
        PupilaError: as in `distill`.
    """
    config: Distillation = step.config
    config.check_inputs(len(step.inputs))
    images, (_, validation) = training_images(step), splits(step)
    training = training_of(images)
    taught = training.teach(
        step,
        images,
        validation,
        weights=config.weights or (1.0,) * len(step.inputs),
        temperature=config.temperature,
        mean_over_views=config.mean_over_views,
    )
    labels = training.labels_of_views(images, config.augmentation)
    return TrainingTargets(
        images=images,
        views=[
            pack_targets(of_view, answers)
            for of_view, answers in zip(labels, taught.views, strict=True)
        ],
        validation=pack_targets(training.labels(validation), taught.validation),
        loss=training.distillation_loss(
            [teacher.record.output for teacher in step.inputs], config.alpha, config.temperature
        ),
        measured=taught.measured,
    )


def distill_oracle(step: Step[OracleDistillation]) -> StepResult:
    """Train a student on the teachers that are right about an image, or on the label if none is.

    Kang et al. 2020; see `pupila.training.oracle` for the equation. A single teacher works too: the
    student imitates it only where the teacher is right.

    Raises:
        PupilaError: a teacher is not better than chance, or the loss is no longer finite.
    """
    config = step.config
    images, (_, validation) = training_images(step), splits(step)
    answers = predict_teachers(step, images, validation)
    labels = labels_of_views(images, config.augmentation)
    targets = TrainingTargets(
        images=images,
        views=[
            oracle_targets(of_view, [views[number] for views in answers.views], config.temperature)
            for number, of_view in enumerate(labels)
        ],
        validation=oracle_targets(labels_of(validation), answers.validation, config.temperature),
        loss=oracle_loss(config.alpha, config.temperature),
        measured=Measured(answers.measured, oracle_teaching(labels, answers.views)),
    )
    return train_student(step, weigh_sources(targets, config.source_weights))


def train(step: Step[Training]) -> StepResult:
    """Train a student on the labels alone, as the control of the techniques with a teacher.

    With the settings of `fine-tune`, the student is the beginning of the step's model, of which
    only the features are used.

    Student, images and schedule are the same as with a teacher. With `unlabelled`, labelled images
    are shown again in place of the unlabelled images, which are useless without a teacher. So the
    number of training steps is the same.

    Raises:
        PupilaError: the loss is no longer finite.
    """
    images, validation = splits(step)
    training = training_of(images)
    targets = TrainingTargets(
        images,
        training.labels_of_views(images, step.config.augmentation),
        training.labels(validation),
        training.label_loss(),
        Measured(),
    )
    return train_student(step, targets)
