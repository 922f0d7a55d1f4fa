"""Draws images of discs whose radius is known, and trains a teacher of the task `regression`.

    python discs.py discs

writes 64 x 64 images, `discs/discs.csv` with the radius in pixels in the column `value`, and
`discs/teacher.keras`, a model of raw pixels that gives the radius.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

COUNTS = {"train": 300, "validation": 100, "test": 200}
_SIDE = 64
_RADII = (5.0, 16.0)
"""Smallest and largest radius in pixels."""
_BATCH_IMAGES = 32
_FINER = 4
"""Discs are drawn larger by this factor, and then reduced, so that their edges are smooth."""


def draw_discs(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Draw images of discs in `folder`; return the CSV that lists them.

    `counts` has the number of images of each split. Discs lie wholly inside their image, in random
    colours on noise.
    """
    random, rows = np.random.default_rng(seed), []
    for split, count in counts.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            radius = round(float(random.uniform(*_RADII)), 2)
            path = f"{split}/{number}.png"
            _draw(random, radius).save(folder / path)
            rows.append({"path": path, "value": radius, "split": split})
    listing = folder / "discs.csv"
    with listing.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "value", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return listing


def _draw(random: np.random.Generator, radius: float) -> Image.Image:
    x, y = random.uniform(radius + 1, _SIDE - radius - 1, 2)
    mask = Image.new("L", (_SIDE * _FINER, _SIDE * _FINER))
    ImageDraw.Draw(mask).circle((x * _FINER, y * _FINER), radius * _FINER, 255)
    image = Image.fromarray(random.integers(0, 90, (_SIDE, _SIDE, 3), np.uint8))
    colour = tuple(random.integers(120, 256, 3).tolist())
    image.paste(colour, mask=mask.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    return image


def train_teacher(listing: Path, epochs: int = 60) -> Path:
    """Train a small convolutional network on the training images; return the file of the model."""
    keras.utils.set_random_seed(0)
    with listing.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    pixels = np.stack([np.asarray(Image.open(listing.parent / row["path"])) for row in rows])
    radii = np.array([float(row["value"]) for row in rows])
    x = image = keras.Input((_SIDE, _SIDE, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for filters in (32, 64, 128):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Rescaling(radii.std(), radii.mean())(x))
    steps = epochs * -(-len(rows) // _BATCH_IMAGES)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "mean_squared_error")
    model.fit(pixels, radii, _BATCH_IMAGES, epochs, verbose=0)
    model.save(listing.parent / "teacher.keras")
    return listing.parent / "teacher.keras"


if __name__ == "__main__":
    drawn = draw_discs(Path(sys.argv[1]), COUNTS)
    print(drawn, train_teacher(drawn), sep="\n")
