"""Runs the frozen first layers of a model once for each picture, instead of once in each epoch.

Frozen layers give the same feature map for the same picture in every epoch. So a model is split
after its frozen first layers. These layers, the front, run once, and their feature maps are kept on
disk. The rest of the model is trained on the feature maps.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.arrays import Rows, is_whole, write_rows
from pupila.keras_files import import_keras
from pupila.keras_graphs import Calls, bottlenecks
from pupila.training.altered import Altered
from pupila.training.batches import Images

keras = import_keras()

_KEPT_BYTES = 8 << 30
"""Most bytes that the feature maps of all views may take on disk. If they would take more, each
epoch computes them."""
_BLOCK = 64


def split_training(
    model: Any, images: Images, validation: Images, altered: Altered | None, folder: Path
) -> tuple[Any, Images, Images, Altered | None]:
    """Split off the frozen front of a model, and run it on all images.

    The result is the rest of the model, then training images, validation images and altered images
    whose pictures are replaced by the front's feature maps. The maps are kept in `folder`, which
    must be used for one front and one set of images only. If the model has no frozen front, model
    and images are returned unchanged.
    """
    parts = split_model(model)
    if parts is None:
        return model, images, validation, altered
    front, rest = parts
    training_maps = FrontImages.behind(front, images, folder / "train")
    validation_maps = FrontImages.behind(front, validation, folder / "validation")
    if altered:
        altered = replace(altered, pictures=training_maps.maps(altered.pictures))
    return rest, training_maps, validation_maps, altered


def split_model(model: Any) -> tuple[Any, Any] | None:
    """Split a model into its frozen front and the rest; both share the model's layers.

    The front ends as deep as possible: where the rest reads only one tensor, and no layer of the
    front is trainable or random. The result is None if the front would have no weights, or if no
    layer of the model is trainable or random. The model must not contain other models: their layers
    may be renamed.
    """
    calls = Calls(model)
    steady = 0
    for layer, _ in calls.made:
        if getattr(layer, "trainable_weights", ()) or hasattr(layer, "seed_generator"):
            break
        steady += 1
    weighty = [bool(getattr(layer, "weights", ())) for layer, _ in calls.made]
    places = [(number, tensor) for number, tensor in bottlenecks(calls) if number < steady]
    if not places or steady == len(calls.made) or not any(weighty[: places[-1][0] + 1]):
        return None
    _, tensor = places[-1]
    return keras.Model(calls.image, tensor), keras.Model(tensor, calls.output)


def feature_maps_of(front: Any) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return a function that turns pictures `(n, height, width, 3)` into feature maps `(n, …)`."""

    def maps(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        blocks = np.array_split(pictures, -(-len(pictures) // _BLOCK))
        return np.concatenate(
            [front.predict_on_batch(block.astype(np.float32)) for block in blocks]
        )

    return maps


@dataclass(frozen=True)
class FrontImages(Images):
    """Images whose views are a front's feature maps `(rows, …)` instead of pictures."""

    maps: Callable[[NDArray[np.uint8]], NDArray[np.float32]] = field(repr=False)
    folder: Path
    """Folder of the kept maps, one file for each view; used for one front and one dataset only."""
    kept: bool
    """Whether feature maps are kept in `folder`; otherwise each access computes them."""

    @classmethod
    def behind(cls, front: Any, images: Images, folder: Path) -> FrontImages:
        """Return images whose views are a front's feature maps.

        The maps are kept in `folder`, unless they would take too much of the disk.
        """
        folder.mkdir(parents=True, exist_ok=True)
        taken = 4 * math.prod(front.output_shape[1:]) * len(images) * len(images.targets)
        kept = taken <= min(_KEPT_BYTES, shutil.disk_usage(folder).free // 2)
        own = {of.name: getattr(images, of.name) for of in fields(Images)}
        return cls(**own, maps=feature_maps_of(front), folder=folder, kept=kept)

    def view(self, rows: NDArray[np.int64], number: int) -> Any:
        """Return the feature maps `(len(rows), …)` of view `number` of the images in `rows`."""
        if not self.kept:
            return self.maps(super().view(rows, number))
        file = self.folder / f"view-{number}.npy"
        if not is_whole(file, len(self)):
            write_rows(file, len(self), self._compute(number))
        return Rows(file)[rows]

    def _compute(self, number: int) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(self)))
            yield self.maps(super().view(rows, number))
