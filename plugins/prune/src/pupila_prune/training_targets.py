"""What a model that was cut is taught, and the uncut model that teaches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pupila import Artifact, PupilaError, Step
from pupila.digest import digest_json
from pupila.keras_files import load
from pupila.keras_graphs import flatten
from pupila.training.altered import Altered, altered_for
from pupila.training.batches import Batches, Images, epoch_batches
from pupila.training.targets import labels_of, labels_of_views, pack_targets, softened_mean
from pupila.views import AS_IS
from pupila_prune.config import Retraining
from pupila_prune.heads import logits_of


@dataclass(frozen=True)
class Lesson:
    """What is learned in every round."""

    train: Images
    """Labels and the uncut model's answers, for each view."""
    validation: Images
    altered: Altered | None
    """Images by which epochs and rounds are chosen, where not by loss and accuracy."""


def opened(artifact: Artifact) -> Any:
    """Return a flat copy of the model, all of it trainable, that gives logits.

    Raises:
        PupilaError: it is no graph of Keras' own layers, does not end as declared, or has a weight
            that is no number.
    """
    model = flatten(load(artifact))
    for layer in model.layers:
        for weight in layer.weights:
            wrong = int((~np.isfinite(np.asarray(weight))).sum())
            if wrong:
                raise PupilaError(
                    f"The layer {layer.name!r} of the model has {wrong} entries of {weight.name!r} "
                    f"that are NaN or infinite, where numbers were expected. Train the model anew, "
                    f"or give another."
                )
    return logits_of(model, artifact.record.output.kind)


def lesson_of(step: Step[Any]) -> Lesson:
    """Gather pictures, labels and the uncut model's answers, in the order of its own columns."""
    (artifact,), config = step.inputs, step.config
    size = artifact.record.input
    train, validation = step.split("train"), step.split("validation")
    answers = step.predictions.of_views(artifact, train, config.augmentation, step.progress)
    judged = step.predictions.of(artifact, validation, step.progress)
    columns = _columns(step)

    def told(labels: Any, answers: Any) -> Any:
        mean = softened_mean([answers], [1.0], config.temperature)
        return pack_targets(labels[:, columns], mean[:, columns])

    labels = labels_of_views(train, config.augmentation)
    return Lesson(
        train=Images.of(train, size, list(map(told, labels, answers)), config.augmentation),
        validation=Images.of(validation, size, [told(labels_of(validation), judged)], AS_IS),
        altered=altered_for(step, size, artifact.record.output.classes),
    )


def ranking_batches(step: Step[Any], most: int, batch_size: int) -> Batches:
    """Return training images as they are, with their labels, `most` at most, drawn by the seed."""
    train = step.split("train")
    labels = [labels_of(train)[:, _columns(step)]]
    size = step.inputs[0].record.input
    images = Images.of(train, size, labels, AS_IS, min(len(train), most))
    return epoch_batches(images, 0, step.seed, batch_size)


def uncut_accuracy(step: Step[Any]) -> float:
    """Return the accuracy 0..1 of the model that was given, on the validation images."""
    validation = step.split("validation")
    answers = step.predictions.of(step.inputs[0], validation, step.progress)
    return float((answers.argmax(axis=-1) == validation.labels).mean())


def key_of(step: Step[Retraining], technique: str) -> str:
    """Return the digest of all that determines the weights."""
    data = [step.split(name).fingerprint for name in ("train", "validation")]
    models = [artifact.digest for artifact in step.inputs]
    return digest_json([technique, step.config.model_dump(), step.seed, data, models])


def _columns(step: Step[Any]) -> list[int]:
    """Return the column of each of the model's classes among those of the images."""
    named = step.split("train").classes
    return [named.index(name) for name in step.inputs[0].record.output.classes]
