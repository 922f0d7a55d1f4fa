"""Drawn images of a bright disc on noise, and a model that finds it by its brightness.

They are for tests of the task `localization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pupila import keras_files
from pupila.artifact import Artifact, Origin
from pupila.dataset import LABELLED_SPLITS, UNLABELLED, Dataset
from pupila.digest import digest_file
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store

DISC = "disc"
"""Name of what the images show."""
_SIZE = (96, 64)
"""Width and height of drawn images."""
_COLOUR = (250, 240, 200)
_PERCENTS = (7.8, 11.7)
"""Mean half sizes of drawn discs, in percent of the sides."""


def disc_dataset(
    folder: Path,
    *,
    images: int = 12,
    absent: int = 0,
    splits: Sequence[str] = LABELLED_SPLITS,
    seed: int = 0,
) -> Dataset:
    """Draw `images` images of each split in `folder`, and return them as a dataset.

    The last `absent` images of each split have no disc.
    """
    import pandas as pd

    random = np.random.default_rng(seed)
    rows = [
        _draw(folder / "images" / split / f"{number}.png", random, split, number < images - absent)
        for split in splits
        for number in range(images)
    ]
    return Dataset.of(pd.DataFrame(rows), (DISC,), folder / "cache", "localization")


def _draw(path: Path, random: np.random.Generator, split: str, there: bool) -> dict[str, Any]:
    """Draw one image, and return its row of a scanned manifest."""
    width, height = _SIZE
    image = Image.fromarray(random.integers(0, 60, (height, width, 3), np.uint8))
    half_x, half_y = random.uniform(6, 9, 2).tolist()
    x, y = float(random.uniform(16, width - 16)), float(random.uniform(14, height - 14))
    if there:
        box = (x - half_x, y - half_y, x + half_x, y + half_y)
        ImageDraw.Draw(image).ellipse(box, _COLOUR)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    label = f"{x:.2f} {y:.2f} {half_x:.2f} {half_y:.2f}" if there else "absent"
    return {
        "path": str(path),
        "label": "" if split == UNLABELLED else label,
        "split": split,
        "sha256": digest_file(path),
        "width": width,
        "height": height,
    }


def disc_locator(
    store: Store,
    *,
    height: int = 48,
    width: int = 72,
    slope: float = 40.0,
    kind: str = "heat-map",
    nowhere: float | None = None,
) -> Artifact:
    """Store a model that finds what is bright in the images of `disc_dataset`.

    Its map has a position for every 8 pixels. `slope` multiplies brightness 0..1 to give logits:
    with a negative slope the model finds what is dark. `nowhere` is the logit of nothing being
    there; by default, something always is. With the kind `coordinates` the model gives x, y, half
    width and half height.
    """
    keras = keras_files.import_keras()
    layers = keras.layers
    image = keras.Input((height, width, 3), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(4, 3, padding="same", name="mix")(x)
    x = layers.AveragePooling2D(8, name="pool")(x)
    channels = [0.0, *_PERCENTS, *([] if nowhere is None else [nowhere])]
    heat = layers.Conv2D(len(channels), 1, name="last")(x)
    model = keras.Model(image, heat, name="locator")
    mix, last = np.zeros((3, 3, 3, 4)), np.zeros((1, 1, 4, len(channels)))
    mix[1, 1], last[..., 0] = 1 / 3, slope / 4
    model.set_weights([mix, np.zeros(4), last, np.array(channels)])
    if kind == "coordinates":
        flat = layers.Reshape((-1, 3), name="flat")(heat)
        heated = layers.Softmax(axis=1, name="heated")(flat[..., :1])
        points = _middles(height // 8, width // 8)
        centre = keras.ops.sum(heated * points, axis=1)
        half = keras.ops.ones_like(centre) * (np.array(_PERCENTS, np.float32) / 100)
        model = keras.Model(image, keras.ops.concatenate([centre, half], axis=-1), name="locator")
    return store_locator(store, model, kind)


def store_locator(store: Store, model: Any, kind: str = "heat-map") -> Artifact:
    """Store a `keras.Model` that locates a disc as an artifact of format `keras`."""
    _, height, width, _ = model.input_shape
    size = tuple(model.output_shape[1:])
    output = OutputSpec(task="localization", kind=kind, classes=(DISC,), size=size)
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=InputSpec(height=height, width=width),
            output=output,
            origin=Origin(plugin="tiny", distribution="pupila-core", version="test"),
            parameters=keras_files.parameters(model),
            macs=keras_files.macs(model),
        )


def _middles(rows: int, columns: int) -> NDArray[np.float32]:
    """Return x and y of the middle of each position of a map, `(1, positions, 2)`."""
    y, x = np.mgrid[:rows, :columns]
    points = np.stack([(x.ravel() + 0.5) / columns, (y.ravel() + 0.5) / rows], axis=1)
    return points[np.newaxis].astype(np.float32)
