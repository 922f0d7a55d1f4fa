"""Opens the uncut model, and gathers images and measurements of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pupila import Artifact, PupilaError, Step
from pupila.digest import digest_json
from pupila.keras_files import load
from pupila.keras_graphs import flatten
from pupila.task import methods_of
from pupila.training.batches import Batches, Images, epoch_batches
from pupila.training.loss import Loss
from pupila.training.retraining import own_order
from pupila.training.task import training_of
from pupila.views import AS_IS
from pupila_prune.config import Retraining
from pupila_prune.heads import without_activation


def open_model(artifact: Artifact) -> Any:
    """Return a flat, trainable copy of an artifact's model, a classifier with logits as output.

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
    return without_activation(model, artifact.record.output)


def ranking_batches(step: Step[Any], max_images: int, batch_size: int) -> Batches:
    """Return batches of at most `max_images` random training images, with labels as targets.

    The images are not augmented.
    """
    train, size = own_order(step, "train"), step.inputs[0].record.input
    labels = [training_of(train).labels(train)]
    images = Images.of(train, size, labels, AS_IS, min(len(train), max_images))
    return epoch_batches(images, 0, step.seed, batch_size)


def ranking_loss(step: Step[Any]) -> Loss:
    """Return the loss on the targets of `ranking_batches`."""
    return training_of(own_order(step, "train")).label_loss()


def uncut_accuracy(step: Step[Any]) -> float:
    """Return the fraction of validation images that the uncut model answers right, 0..1."""
    validation = step.split("validation")
    answers = step.predictions.of(step.inputs[0], validation, step.progress)
    task = methods_of(validation.task)
    return float(task.right(answers, task.truths(validation), validation.classes).mean())


def key_of(step: Step[Retraining], technique: str) -> str:
    """Return a digest of everything that determines the weights of every round."""
    data = [step.split(name).fingerprint for name in ("train", "validation")]
    models = [artifact.digest for artifact in step.inputs]
    return digest_json([technique, step.config.model_dump(), step.seed, data, models])
