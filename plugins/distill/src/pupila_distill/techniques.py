"""The techniques `distill` and `train`: what goes in, what is trained, what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputContract, Product, Step
from pupila.digest import digest_json
from pupila.keras_files import import_keras, macs, parameters, save
from pupila_distill.batches import Images
from pupila_distill.checkpoint import Checkpoint, Course
from pupila_distill.config import Distillation, Training
from pupila_distill.loss import Loss, distillation_loss, label_loss, one_hot, packed
from pupila_distill.teacher import check_teacher
from pupila_distill.training import train_student

keras = import_keras()


def distill(step: Step[Distillation]) -> Product:
    """Train a student on the labels and on a teacher's answers to the very same pictures.

    Hinton et al. 2015; see `pupila_distill.loss` for the equation. The teacher runs once per view
    of each training image and once per validation image, in its own runtime, and never again.

    Raises:
        PupilaError: the teacher is no better than chance, or the loss is no longer a number.
    """
    (teacher,) = step.inputs
    config, (train_images, validation) = step.config, _splits(step)
    answers = step.predictions.of(teacher, validation, step.progress)
    standing = check_teacher(teacher, validation, answers)
    views = step.predictions.of_views(teacher, train_images, config.augmentation, step.progress)
    return _product(
        step,
        distillation_loss(config.alpha, config.temperature),
        packed(_one_hot(train_images), views),
        packed(_one_hot(validation), answers[np.newaxis]),
        {"teacher_validation_accuracy": standing.value},
    )


def train(step: Step[Training]) -> Product:
    """Train the same student on the same pictures by the same schedule, from the labels alone.

    Raises:
        PupilaError: the loss is no longer a number.
    """
    train_images, validation = _splits(step)
    labels = _one_hot(train_images)
    targets = np.broadcast_to(labels, (step.config.augmentation.views, *labels.shape))
    return _product(step, label_loss, targets, _one_hot(validation)[np.newaxis], {})


def _splits(step: Step[Any]) -> tuple[Dataset, Dataset]:
    if step.dataset is None:
        raise ValueError("needs_data was declared, but the step was given no dataset")
    return step.dataset.select("train"), step.dataset.select("validation")


def _one_hot(dataset: Dataset) -> NDArray[np.float32]:
    return one_hot(dataset.labels, len(dataset.classes))


def _product(
    step: Step[Any],
    loss: Loss,
    targets: NDArray[np.float32],
    validation_targets: NDArray[np.float32],
    measured: dict[str, Any],
) -> Product:
    """Train on targets `(views, images, columns)`, write the model and describe it."""
    config: Training = step.config
    train_images, validation = _splits(step)
    keras.utils.set_random_seed(step.seed)
    student = config.architecture.load()(config.input, len(train_images.classes))
    course = train_student(
        student,
        loss,
        Images.of(train_images, config.input, targets, config.augmentation),
        Images.of(validation, config.input, validation_targets, config.augmentation),
        config,
        step.seed,
        Checkpoint(step.scratch / "training.npz", _key(step)),
        step.progress,
    )
    probabilities = keras.layers.Softmax(name="probabilities")(student.outputs[0])
    model = keras.Model(student.inputs[0], probabilities, name=student.name)
    save(model, step.output)
    return Product(
        format="keras",
        input=config.input,
        output=OutputContract(kind="softmax", classes=train_images.classes),
        parameters=parameters(model),
        macs=macs(model),
        measured=measured | _measured(course, len(train_images)),
    )


def _key(step: Step[Any]) -> str:
    """Digest of all that determines the weights."""
    data = [dataset.fingerprint for dataset in _splits(step)]
    teachers = [artifact.digest for artifact in step.inputs]
    return digest_json([step.config.model_dump(), step.seed, data, teachers])


def _measured(course: Course, images: int) -> dict[str, Any]:
    """What to tell about the training; epochs are counted from 1, accuracies are 0..1."""
    names = {name: name.replace("val_", "validation_") for name in sorted(course.history[0])}
    epochs = len(course.history)
    return {
        "best_epoch": course.best_epoch + 1,
        "epochs": epochs,
        "history": {
            shown: [round(figures[name], 4) for figures in course.history]
            for name, shown in names.items()
        },
        "validation_accuracy": course.history[course.best_epoch]["val_accuracy"],
        "seconds": round(course.seconds, 2),
        "images_per_second": round(epochs * images / course.seconds, 1),
    }
