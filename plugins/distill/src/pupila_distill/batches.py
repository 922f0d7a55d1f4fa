"""Streams pictures and targets to Keras: one epoch, one view of every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, InputContract
from pupila.keras_files import import_keras
from pupila.views import Augmentation

keras = import_keras()


@dataclass(frozen=True)
class Images:
    """Pictures of one split, and what is to be learned of each view of them."""

    pixels: NDArray[np.uint8]
    """`(images, height, width, 3)`, mapped from disk."""
    sha256: list[str]
    """Digest of each image's file, which seeds its views."""
    targets: NDArray[np.float32]
    """`(views, images, columns)`."""
    augmentation: Augmentation

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        input: InputContract,
        targets: NDArray[np.float32],
        augmentation: Augmentation,
    ) -> Images:
        """Take the pictures of a dataset at the size that a student reads."""
        return cls(dataset.pixels(input), dataset.frame["sha256"].tolist(), targets, augmentation)

    def view(self, rows: NDArray[np.int64], number: int) -> NDArray[np.uint8]:
        """Render one view of some images."""
        images = [self.augmentation.view(self.pixels[r], self.sha256[r], number) for r in rows]
        return np.stack(images)


class Batches(keras.utils.PyDataset):
    """View `view` of all images in `order`, in batches whose sizes differ by one at most.

    Equal sizes, because batch normalisation cannot use a last batch of one image. Pictures are
    rendered while the one before trains; more than one worker is slower on two cores (measured).
    """

    def __init__(
        self, images: Images, order: NDArray[np.int64], view: int, batch_size: int
    ) -> None:
        super().__init__()
        self._images = images
        self._view = view
        self._parts = np.array_split(order, -(-len(order) // batch_size))

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self._parts[index]
        return self._images.view(rows, self._view), self._images.targets[self._view, rows]


def epoch_batches(images: Images, epoch: int, seed: int, batch_size: int) -> Batches:
    """Return what epoch `epoch` (from 0) trains on: view `epoch` modulo views, shuffled anew."""
    order = np.random.default_rng([seed, epoch]).permutation(len(images.pixels))
    return Batches(images, order, epoch % len(images.targets), batch_size)


def all_in_order(images: Images, batch_size: int) -> Batches:
    """Return the images as they are, for validation."""
    return Batches(images, np.arange(len(images.pixels)), 0, batch_size)
