"""Streams pictures and targets to Keras: one view of the images in each epoch."""

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
    """Pictures of some splits, and the targets of each view of them."""

    pixels: Pixels
    """`(images, height, width, 3)`, read from disk as they are needed."""
    sha256: list[str]
    """Digest of each image's file, which seeds its views."""
    classes: int
    """How many columns of the targets are the labels; they come first."""
    targets: Sequence[Targets]
    """`(images, columns)` of each view; may be read from disk as they are needed."""
    augmentation: Augmentation
    per_epoch: int
    """Pictures that an epoch shows: each image once, or some several times."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        input: InputSpec,
        targets: Sequence[Targets],
        augmentation: Augmentation,
        per_epoch: int | None = None,
    ) -> Images:
        """Return the pictures of a dataset at the size that a student reads."""
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
        """Render one view of some images."""
        return self.augmentation.render(self.pixels, self.sha256, rows, number)


class Batches(keras.utils.PyDataset):
    """View `view` of all images in `order`, in batches whose sizes differ by one at most.

    Sizes are equal because batch normalisation cannot use a last batch of one image. A batch is
    rendered while the one before trains; more than one worker is slower on two cores (measured).
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
    """Return the batches of epoch `epoch` (from 0): view `epoch` modulo views, reshuffled."""
    random = np.random.default_rng([seed, epoch])
    turns = -(-images.per_epoch // len(images))
    order = np.concatenate([random.permutation(len(images)) for _ in range(turns)])
    return Batches(images, order[: images.per_epoch], epoch % len(images.targets), batch_size)


def all_in_order(images: Images, batch_size: int) -> Batches:
    """Return view 0 of the images in order, for validation."""
    return Batches(images, np.arange(len(images)), 0, batch_size)
