"""A lesson: what a student is taught; and teaching it, which is the same for all techniques."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec, Progress, Step, StepResult
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
from pupila.views import AS_IS
from pupila_distill.config import Beginning, Training
from pupila_distill.new_student import input_of, new_student

keras = import_keras()


def _itself(student: Any) -> Any:
    return student


@dataclass(frozen=True)
class Lesson:
    """What a student is taught: pictures, what is to be answered to each, and the loss."""

    images: Dataset
    """Training images, and unlabelled ones where they are used."""
    targets: Sequence[Targets]
    """`(images, columns)` of each view; labels first. May be read from disk as they are needed."""
    validation_targets: NDArray[np.float32]
    """`(images, columns)` of the validation images as they are."""
    loss: Loss
    measured: Measured
    """What is told of the teaching beside the course of the training."""
    trained: Callable[[Any], Any] = _itself
    """Wraps the student into the model that is trained.

    Its one output holds what the loss needs side by side, the student's logits first.
    """


def splits(step: Step[Any]) -> tuple[Dataset, Dataset]:
    """Return the labelled training images and the validation images of a step."""
    return step.split("train"), step.split("validation")


def taught_images(step: Step[Any]) -> Dataset:
    """Return what can be learned from a teacher: training images, and unlabelled ones if wanted."""
    if step.config.unlabelled and "unlabelled" in step.images.splits:
        return step.split("train", "unlabelled")
    return step.split("train")


def teach(step: Step[Any], lesson: Lesson) -> StepResult:
    """Train a student, seeded, write it with a softmax, and describe it.

    Raises:
        PupilaError: the student is none, or the loss is no longer a number.
    """
    _, validation = splits(step)
    keras.utils.set_random_seed(step.seed)
    student = new_student(step, len(validation.classes))
    course = _fitted(step, lesson, student)
    probabilities = keras.layers.Softmax(name="probabilities")(student.outputs[0])
    model = keras.Model(student.inputs[0], probabilities, name=student.name)
    save(model, step.output)
    return StepResult(
        format="keras",
        input=input_of(student),
        output=OutputSpec(kind="softmax", classes=validation.classes),
        parameters=parameters(model),
        macs=macs(model),
        measured=Measured(
            lesson.measured, _summary(course, lesson.images, len(taught_images(step)))
        ),
    )


def _fitted(step: Step[Any], lesson: Lesson, student: Any) -> TrainingHistory:
    """Train a student; where it begins as its teacher does, its head alone first if so asked."""
    config: Training = step.config
    model, seen, (_, validation) = lesson.trained(student), input_of(student), splits(step)
    shown, altered = len(taught_images(step)), altered_for(step, seen)
    images = Images.of(lesson.images, seen, lesson.targets, config.augmentation, shown)
    judged = Images.of(validation, seen, [lesson.validation_targets], AS_IS)

    def trained(epochs: int, name: str, before: int) -> TrainingHistory:
        schedule = config.model_copy(update={"epochs": epochs})
        key = digest_json([_key(step, lesson), name])  # fronts of two parts are not the same
        checkpoint = Checkpoint(step.scratch / f"{name}.npz", key)
        progress = partial(_later, step.progress, before, config.epochs)
        taught = (model, images, judged, altered)
        if isinstance(config.student, Beginning):
            taught = split_training(*taught, step.scratch / f"features-{short_digest(key)}")
        trainee, learned, validated, choosing = taught
        course = (schedule, step.seed, checkpoint, progress, choosing)
        return fit(trainee, lesson.loss, learned, validated, *course)

    beginning = config.student
    if not isinstance(beginning, Beginning) or not beginning.frozen_epochs:
        return trained(config.epochs, "training", 0)
    with frozen_trunk(student, beginning.head):
        first = trained(beginning.frozen_epochs, "head", 0)
    best_of_first, rest = snapshot(model), config.epochs - beginning.frozen_epochs
    both = first.followed_by(trained(rest, "training", len(first.epochs)))
    if both.best_epoch < len(first.epochs):
        assign(model, best_of_first)
    return both


def _later(progress: Progress, before: int, epochs: int, done: int, total: int, what: str) -> None:
    """Report epochs that come after others."""
    del total
    progress(before + done, epochs, what)


def _key(step: Step[Any], lesson: Lesson) -> str:
    """Digest of all that determines the weights."""
    _, validation = splits(step)
    data = [lesson.images.fingerprint, len(taught_images(step)), validation.fingerprint]
    teachers = [artifact.digest for artifact in step.inputs]
    return digest_json([step.config.model_dump(), step.seed, data, teachers])


def _summary(history: TrainingHistory, images: Dataset, shown: int) -> TrainingSummary:
    best = history.epochs[history.best_epoch]
    return history.summary(
        validation_accuracy=best["val_accuracy"],
        validation_fidelity=best.get("val_fidelity"),
        unlabelled_images=int((images.labels < 0).sum()),
        images_per_second=round(len(history.epochs) * shown / history.seconds, 1),
    )
