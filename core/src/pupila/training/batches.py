"""Streams pictures and targets to Keras: in each epoch, one augmented view of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.arrays import Pixels
from pupila.dataset import Dataset
from pupila.keras_files import import_keras
from pupila.spec import InputSpec
from pupila.training.targets import Targets
from pupila.views import Augmentation

keras = import_keras()


@dataclass(frozen=True)
class Images:
    """The images of a training, and the targets of each augmented view."""

    pixels: Pixels
    """The unaltered images `(images, height, width, 3)`, read from disk as they are needed."""
    sha256: list[str]
    """Digest of each image's file; it seeds the random augmentation of the image."""
    classes: int
    """Number of classes of the data, whose labels are the first columns of the targets."""
    targets: Sequence[Targets]
    """Targets `(images, columns)` of each view; may be read from disk as they are needed."""
    augmentation: Augmentation
    per_epoch: int
    """Number of pictures in an epoch. If it exceeds the number of images, images are repeated."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        input: InputSpec,
        targets: Sequence[Targets],
        augmentation: Augmentation,
        per_epoch: int | None = None,
    ) -> Images:
        """Return the images of a dataset, resized for the model input `input`.

        By default, an epoch has each image once.
        """
        return cls(
            dataset.pixels(input),
            dataset.frame["sha256"].tolist(),
            len(dataset.classes),
            targets,
            augmentation,
            per_epoch or len(dataset),
        )

    def __len__(self) -> int:
        return len(self.sha256)

    def view(self, rows: NDArray[np.int64], number: int) -> NDArray[np.uint8]:
        """Render view `number` of the images in `rows`: uint8 `(len(rows), height, width, 3)`."""
        return self.augmentation.render(self.pixels, self.sha256, rows, number)


class Batches(keras.utils.PyDataset):
    """The batches of one epoch: the images of the rows `order`, in view `view`, with targets.

    The sizes of the batches differ by one at most, because batch normalisation cannot use a last
    batch of one image. Keras renders the next batch while it trains on the current one; on two
    cores, more workers are slower (measured).
    """

    def __init__(
        self, images: Images, order: NDArray[np.int64], view: int, batch_size: int
    ) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._images = images
        self._view = view
        self._batches = np.array_split(order, -(-len(order) // batch_size))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self._batches[index]
        targets = self._images.targets[self._view][rows]
        return self._images.view(rows, self._view), np.asarray(targets)


def epoch_batches(images: Images, epoch: int, seed: int, batch_size: int) -> Batches:
    """Return the shuffled batches of epoch `epoch` (from 0).

    The number of the view is `epoch` modulo the number of views.
    """
    random = np.random.default_rng([seed, epoch])
    turns = -(-images.per_epoch // len(images))
    order = np.concatenate([random.permutation(len(images)) for _ in range(turns)])
    return Batches(images, order[: images.per_epoch], epoch % len(images.targets), batch_size)


def all_in_order(images: Images, batch_size: int) -> Batches:
    """Return batches of view 0 of all images, in order, for validation."""
    return Batches(images, np.arange(len(images)), 0, batch_size)
