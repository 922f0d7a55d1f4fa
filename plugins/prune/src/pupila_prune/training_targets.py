"""Opens the uncut model, and gathers the images and targets for retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pupila import Artifact, OutputSpec, PupilaError, Step
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
class TrainingTargets:
    """Images with targets for retraining and evaluation, the same in every round."""

    train: Images
    """Training images, with labels and the uncut model's predictions for each augmented view."""
    validation: Images
    altered: Altered | None
    """Altered images, if epochs and rounds are chosen by fidelity; None if they are chosen by loss
    and accuracy."""


def open_model(artifact: Artifact) -> Any:
    """Return a flat, trainable copy of an artifact's model that outputs logits.

    Raises:
        PupilaError: the model is not a graph of Keras' own layers, the model does not end in its
            declared output, or a weight is not finite.
    """
    model = flatten(load(artifact))
    for layer in model.layers:
        for weight in layer.weights:
            wrong = int((~np.isfinite(np.asarray(weight))).sum())
            if wrong:
                raise PupilaError(
                    f"The layer {layer.name!r} of the model has {wrong} entries of {weight.name!r} "
                    f"that are NaN or infinite, where numbers were expected. Train the model "
                    f"again, or give another."
                )
    return logits_of(model, artifact.record.output.kind)


def gather_targets(step: Step[Any]) -> TrainingTargets:
    """Gather images, labels and the uncut model's predictions for retraining and evaluation.

    The columns of targets are in the model's order of classes.
    """
    (artifact,), config = step.inputs, step.config
    size = artifact.record.input
    train, validation = step.split("train"), step.split("validation")
    answers = step.predictions.of_views(artifact, train, config.augmentation, step.progress)
    validation_answers = step.predictions.of(artifact, validation, step.progress)
    columns = _columns(step)

    def targets(labels: Any, answers: Any) -> Any:
        mean = softened_mean([answers], [1.0], config.temperature)
        return pack_targets(labels[:, columns], mean[:, columns])

    labels = labels_of_views(train, config.augmentation)
    own = targets(labels_of(validation), validation_answers)
    return TrainingTargets(
        train=Images.of(train, size, list(map(targets, labels, answers)), config.augmentation),
        validation=Images.of(validation, size, [own], AS_IS),
        altered=altered_for(
            step, size, OutputSpec(kind="logits", classes=artifact.record.output.classes)
        ),
    )


def ranking_batches(step: Step[Any], max_images: int, batch_size: int) -> Batches:
    """Return batches of at most `max_images` random training images, with labels.

    The images are not augmented.
    """
    train = step.split("train")
    labels = [labels_of(train)[:, _columns(step)]]
    size = step.inputs[0].record.input
    images = Images.of(train, size, labels, AS_IS, min(len(train), max_images))
    return epoch_batches(images, 0, step.seed, batch_size)


def uncut_accuracy(step: Step[Any]) -> float:
    """Return the accuracy of the uncut model on the validation images, as a fraction 0..1."""
    validation = step.split("validation")
    answers = step.predictions.of(step.inputs[0], validation, step.progress)
    return float((answers.argmax(axis=-1) == validation.labels).mean())


def key_of(step: Step[Retraining], technique: str) -> str:
    """Return a digest of everything that determines the weights of every round."""
    data = [step.split(name).fingerprint for name in ("train", "validation")]
    models = [artifact.digest for artifact in step.inputs]
    return digest_json([technique, step.config.model_dump(), step.seed, data, models])


def _columns(step: Step[Any]) -> list[int]:
    """Return the index of each of the model's classes among the classes of the data."""
    named = step.split("train").classes
    return [named.index(name) for name in step.inputs[0].record.output.classes]
