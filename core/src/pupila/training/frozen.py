"""Runs the frozen beginning of a model once for each picture, not once in each epoch.

Layers that nothing changes give the same feature map of the same picture in every epoch. So a model
is split behind them: the front answers once and its maps are kept on disk, the rest is trained.
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
"""Of all views of a dataset, at most; what would take more is computed in each epoch."""
_BLOCK = 64


def behind_front(
    model: Any, images: Images, validation: Images, altered: Altered | None, folder: Path
) -> tuple[Any, Images, Images, Altered | None]:
    """Return what is left to train of a model with a frozen front, and what that is trained on.

    These are the rest of the model and the front's feature maps, which are kept in `folder`; it is
    for one front and these images. A model without such a front comes back with its images.
    """
    parts = split(model)
    if parts is None:
        return model, images, validation, altered
    front, rest = parts
    seen = FrontImages.behind(front, images, folder / "train")
    judged = FrontImages.behind(front, validation, folder / "validation")
    if altered:
        altered = replace(altered, pictures=seen.maps(altered.pictures))
    return rest, seen, judged, altered


def split(model: Any) -> tuple[Any, Any] | None:
    """Return a model's frozen front and the rest; their layers are the model's own, not copies.

    The front ends at the deepest place where one tensor is all that the rest reads and nothing
    before learns or draws at random. None where no layer with weights is in front of such a place,
    or nothing is behind it. Of a model without models inside: layers in such may be renamed.
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


def answering(front: Any) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return what gives a front's feature maps `(n, …)` of pictures `(n, height, width, 3)`."""

    def maps(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        blocks = np.array_split(pictures, -(-len(pictures) // _BLOCK))
        return np.concatenate([front.predict_on_batch(each.astype(np.float32)) for each in blocks])

    return maps


@dataclass(frozen=True)
class FrontImages(Images):
    """Images of which a front's feature maps are shown, `(rows, …)`, in place of the pictures."""

    maps: Callable[[NDArray[np.uint8]], NDArray[np.float32]] = field(repr=False)
    folder: Path
    """Where maps are kept, a file for each view. They are of one front and one dataset."""
    kept: bool

    @classmethod
    def behind(cls, front: Any, images: Images, folder: Path) -> FrontImages:
        """Show these images as a front gives them; its maps of these lie in the folder alone."""
        folder.mkdir(parents=True, exist_ok=True)
        taken = 4 * math.prod(front.output_shape[1:]) * len(images) * len(images.targets)
        kept = taken <= min(_KEPT_BYTES, shutil.disk_usage(folder).free // 2)
        own = {each.name: getattr(images, each.name) for each in fields(Images)}
        return cls(**own, maps=answering(front), folder=folder, kept=kept)

    def view(self, rows: NDArray[np.int64], number: int) -> Any:
        """Give the feature maps of one view of some images."""
        if not self.kept:
            return self.maps(super().view(rows, number))
        file = self.folder / f"view-{number}.npy"
        if not is_whole(file, len(self)):
            write_rows(file, len(self), self._computed(number))
        return Rows(file)[rows]

    def _computed(self, number: int) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(self)))
            yield self.maps(super().view(rows, number))
