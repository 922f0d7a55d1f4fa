"""Trains a student on given targets; all techniques of this plugin use this training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, Progress, Step, StepResult
from pupila.dataset import UNLABELLED
from pupila.digest import digest_json, short_digest
from pupila.keras_files import import_keras, macs, parameters, save
from pupila.measured import Measured, TrainingSummary
from pupila.training.altered import altered_for
from pupila.training.batches import Images
from pupila.training.beginning import frozen_trunk
from pupila.training.checkpoint import Checkpoint, TrainingHistory, assign, snapshot
from pupila.training.fitting import fit
from pupila.training.frozen import split_training
from pupila.training.loss import Loss
from pupila.training.targets import Targets
from pupila.training.task import TaskTraining, training_of
from pupila.views import AS_IS
from pupila_distill.config import Beginning, Training
from pupila_distill.new_student import input_of, new_student

keras = import_keras()


def _unchanged(student: Any) -> Any:
    return student


@dataclass(frozen=True)
class TrainingTargets:
    """What a student is trained on: images, their targets, and the loss."""

    images: Dataset
    """Training images, and unlabelled images if the technique learns from them."""
    views: Sequence[Targets]
    """Targets `(images, columns)` of each view. The first columns are the labels. Targets may be on
    disk, and are then read when needed."""
    validation: NDArray[np.float32]
    """Targets `(images, columns)` of the validation images, which are not augmented."""
    loss: Loss
    measured: Measured
    """What the artifact's record reports about the teachers."""
    wrap: Callable[[Any], Any] = _unchanged
    """Takes the student, and returns the model to train.

    The only output of this model has everything that the loss needs, side by side. The student's
    logits come first.
    """


def splits(step: Step[Any]) -> tuple[Dataset, Dataset]:
    """Return the labelled training images and the validation images of a step."""
    return step.split("train"), step.split("validation")


def training_images(step: Step[Any]) -> Dataset:
    """Return the images to learn from: training images, and unlabelled ones if settings say so."""
    if step.config.unlabelled and UNLABELLED in step.images.splits:
        return step.split("train", UNLABELLED)
    return step.split("train")


def train_student(step: Step[Any], targets: TrainingTargets) -> StepResult:
    """Build a student with the step's seed, train it, and write it with a softmax added.

    Raises:
        PupilaError: the student cannot be built, or the loss is no longer finite.
    """
    keras.utils.set_random_seed(step.seed)
    student, training = new_student(step), training_of(step.images)
    history = _fit(step, targets, student, training)
    model, output = training.finish(student)
    save(model, step.output)
    return StepResult(
        format="keras",
        input=input_of(student),
        output=output,
        parameters=parameters(model),
        macs=macs(model),
        measured=Measured(
            targets.measured, _summary(history, targets.images, len(training_images(step)))
        ),
    )


def _fit(
    step: Step[Any], targets: TrainingTargets, student: Any, training: TaskTraining
) -> TrainingHistory:
    """Train a student; in the first `frozen_epochs` only its head is trained."""
    config: Training = step.config
    model, size, (_, validation) = targets.wrap(student), input_of(student), splits(step)
    shown = len(training_images(step))
    altered = altered_for(step, size, training.output_in_training(student))
    images = Images.of(targets.images, size, targets.views, config.augmentation, shown)
    validation_images = Images.of(validation, size, [targets.validation], AS_IS)

    def fit_epochs(epochs: int, name: str, before: int) -> TrainingHistory:
        schedule = config.model_copy(update={"epochs": epochs})
        key = digest_json([_key(step, targets), name])  # the two parts have different fronts
        checkpoint = Checkpoint(step.scratch / f"{name}.npz", key)
        progress = partial(_report_after, step.progress, before, config.epochs)
        parts = (model, images, validation_images, altered)
        if isinstance(config.student, Beginning):
            parts = split_training(*parts, step.scratch / f"features-{short_digest(key)}")
        trainee, shown_images, shown_validation, shown_altered = parts
        settings = (schedule, step.seed, checkpoint, progress, shown_altered)
        return fit(
            trainee, targets.loss, shown_images, shown_validation, *settings, training.right()
        )

    beginning = config.student
    if not isinstance(beginning, Beginning) or not beginning.frozen_epochs:
        return fit_epochs(config.epochs, "training", 0)
    with frozen_trunk(student, training.head_layers(beginning.head)):
        first = fit_epochs(beginning.frozen_epochs, "head", 0)
    best_of_first, rest = snapshot(model), config.epochs - beginning.frozen_epochs
    both = first.followed_by(fit_epochs(rest, "training", len(first.epochs)))
    if both.best_epoch < len(first.epochs):
        assign(model, best_of_first)
    return both


def _report_after(
    progress: Progress, before: int, epochs: int, done: int, total: int, what: str
) -> None:
    """Report the progress of one phase of a training, after earlier phases of `before` epochs."""
    del total
    progress(before + done, epochs, what)


def _key(step: Step[Any], targets: TrainingTargets) -> str:
    """Return a digest of everything that determines the trained weights."""
    _, validation = splits(step)
    data = [targets.images.fingerprint, len(training_images(step)), validation.fingerprint]
    teachers = [artifact.digest for artifact in step.inputs]
    return digest_json([step.config.model_dump(), step.seed, data, teachers])


def _summary(history: TrainingHistory, images: Dataset, shown: int) -> TrainingSummary:
    best = history.epochs[history.best_epoch]
    return history.summary(
        validation_accuracy=best["val_accuracy"],
        validation_fidelity=best.get("val_fidelity"),
        unlabelled_images=int((images.frame["split"] == UNLABELLED).sum()),
        images_per_second=round(len(history.epochs) * shown / history.seconds, 1),
    )
