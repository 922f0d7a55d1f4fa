"""Runs steps on a small trained student of the task `localization`, and compares answers.

They are for tests of plugins that work on other tasks than classification. The plugin
`pupila-localization` must be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import keras_files
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.runtime import ignore_progress
from pupila.spec import InputSpec
from pupila.store import Store
from pupila.task import methods_of
from pupila.testing.discs import disc_dataset, store_locator
from pupila.testing.model_steps import ModelSteps
from pupila.views import AS_IS, Augmentation

_INPUT = InputSpec(height=64, width=96)
"""Size of the drawn images."""
_IMAGES = 24


class DiscSteps(ModelSteps):
    """A student that locates the discs of `disc_dataset`, and steps that work on it."""

    def make_dataset(self) -> Dataset:
        return disc_dataset(self.folder / "images", images=_IMAGES)

    def make_student(self) -> Artifact:
        return disc_student(self.store, self.dataset, self.folder / "training")

    def shift(self, artifact: Artifact, reference: Artifact | None = None) -> float:
        """Return how far apart two models' centres are in the mean, in percent of the width.

        The reference is the student by default.
        """
        theirs = self.answers(reference or self.student)
        return mean_shift(self.answers(artifact), theirs)

    def detection_rate(self, artifact: Artifact) -> float:
        """Return the fraction of the test images in which a model finds the disc."""
        images = self.dataset.select("test")
        task = methods_of(images.task)
        right = task.right(self.answers(artifact), task.truths(images), images.classes)
        return float(right.mean())


def mean_shift(answers: NDArray[Any], others: NDArray[Any]) -> float:
    """Return the mean distance of the centres of answers `(images, 5)`, in percent of the width."""
    scale = np.array([1, _INPUT.height / _INPUT.width])
    apart = (np.asarray(answers, np.float64) - others)[:, :2] * scale
    return float(100 * np.linalg.norm(apart, axis=1).mean())


def disc_student(store: Store, dataset: Dataset, folder: Path, epochs: int = 12) -> Artifact:
    """Train a small student on the labels of a `disc_dataset` for a few epochs, and store it.

    It has 2,331 parameters and a map of 8 x 12 positions. `folder` is for its checkpoint.
    """
    from pupila.training.batches import Images  # these import TensorFlow
    from pupila.training.checkpoint import Checkpoint
    from pupila.training.fitting import fit
    from pupila.training.schedule import Schedule
    from pupila.training.task import training_of

    keras_files.import_keras().utils.set_random_seed(0)
    training, augmentation = training_of(dataset), Augmentation(views=4)
    student = _small_net(training.head)
    train, validation = dataset.select("train"), dataset.select("validation")
    views = training.labels_of_views(train, augmentation)
    fit(
        student,
        training.label_loss(),
        Images.of(train, _INPUT, views, augmentation),
        Images.of(validation, _INPUT, [training.labels(validation)], AS_IS),
        Schedule(epochs=epochs, batch_size=3, learning_rate=2e-2, patience=None),
        0,
        Checkpoint(folder / "training.npz", "disc student"),
        ignore_progress,
        right=training.right(),
    )
    return store_locator(store, student)


def _small_net(head: Callable[..., Any]) -> Any:
    """Return an untrained student of separable convolutions that ends in the head of a task."""
    keras = keras_files.import_keras()
    layers = keras.layers

    def activated(x: Any, name: str) -> Any:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.Activation("relu6", name=f"{name}_relu6")(x)

    image = keras.Input(_INPUT.shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="stem")(x)
    x = activated(x, "stem")
    for number, filters in enumerate((16, 24)):
        depth, point = f"depth_{number}", f"point_{number}"
        x = layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name=depth)(x)
        x = layers.Conv2D(filters, 1, use_bias=False, name=point)(activated(x, depth))
        x = activated(x, point)
    return keras.Model(image, head(x, 16, str), name="disc_student")
