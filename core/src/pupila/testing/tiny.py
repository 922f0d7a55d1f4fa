"""Synthetic images and small models to run a plugin on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pupila import keras_files
from pupila.artifact import Artifact, Origin
from pupila.dataset import LABELLED_SPLITS, Dataset
from pupila.digest import digest_file
from pupila.spec import InputSpec, OutputKind, OutputSpec
from pupila.store import Store

CLASSES = ("square", "triangle")
INPUT = InputSpec(height=32, width=32)

_DRAWN_SIZE = (44, 36)
"""Width and height of synthetic images: not the model's input size, so that resizing is tested."""


def draw_images(
    folder: Path, *, classes: Sequence[str] = CLASSES, images: int = 4, seed: int = 0
) -> Path:
    """Draw synthetic images `folder/<split>/<class>/<number>.png` and return `folder`.

    `images` is the number of images of each class in each split. Each class is a different regular
    shape, in random colours on a noisy background.
    """
    random = np.random.default_rng(seed)
    for split in LABELLED_SPLITS:
        for number_of_sides, name in zip(range(len(classes) + 2, 2, -1), classes, strict=True):
            of_class = folder / split / name
            of_class.mkdir(parents=True)
            for number in range(images):
                _draw(random, number_of_sides).save(of_class / f"{number}.png")
    return folder


def _draw(random: np.random.Generator, sides: int) -> Image.Image:
    width, height = _DRAWN_SIZE
    image = Image.fromarray(random.integers(0, 90, (height, width, 3), np.uint8))
    centre = (width / 2 + random.uniform(-4, 4), height / 2 + random.uniform(-4, 4))
    red, green, blue = (int(value) for value in random.integers(120, 256, 3))
    radius, turn = float(random.uniform(9, 13)), float(random.uniform(0, 360))
    ImageDraw.Draw(image).regular_polygon((*centre, radius), sides, turn, (red, green, blue))
    return image


def draw_colours(folder: Path, *, images: int = 12, side: int = 32) -> Path:
    """Draw images of two classes: noise that is slightly blue, or slightly red; return `folder`.

    The files are `folder/<split>/<class>/<number>.png`. A small net can tell the two classes apart
    after a few steps of training.
    """
    random = np.random.default_rng(0)
    for split in LABELLED_SPLITS:
        for name, channel in (("blue", 2), ("red", 0)):
            of_class = folder / split / name
            of_class.mkdir(parents=True)
            for number in range(images):
                pixels = random.integers(40, 120, (side, side, 3), np.uint8)
                pixels[..., channel] += np.uint8(60)
                Image.fromarray(pixels).save(of_class / f"{number}.png")
    return folder


def colour_dataset(folder: Path, *, images: int = 12) -> Dataset:
    """Draw the images of `draw_colours` in `folder` and return them as a dataset."""
    return read_images(draw_colours(folder / "images", images=images), folder / "cache")


def read_images(folder: Path, cache: Path) -> Dataset:
    """Return the synthetic images of a folder as a dataset, classes in alphabetical order."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*/*/*.png")):
        with Image.open(path) as image:
            width, height = image.size
        rows.append(
            {
                "path": str(path),
                "label": path.parent.name,
                "split": path.parent.parent.name,
                "sha256": digest_file(path),
                "width": width,
                "height": height,
            }
        )
    frame = pd.DataFrame(rows)
    return Dataset.of(frame, sorted({row["label"] for row in rows}), cache)


def keras_model(classes: int, input: InputSpec = INPUT, seed: int = 0) -> Any:
    """Return a tiny `keras.Model` with the usual kinds of layer, and random weights from `seed`.

    The model takes raw RGB `(batch, height, width, 3)` and gives a softmax `(batch, classes)` that
    differs from image to image.
    """
    keras = keras_files.import_keras()
    layers = keras.layers

    def drawn(number: int, scale: float = 2.0) -> Any:
        return keras.initializers.VarianceScaling(scale, seed=10 * seed + number)

    image = keras.Input(input.shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = layers.Conv2D(
        8, 3, strides=2, padding="same", use_bias=False, kernel_initializer=drawn(1), name="conv"
    )(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(
        3, strides=2, padding="same", depthwise_initializer=drawn(2), name="depthwise"
    )(x)
    x = layers.Conv2D(16, 1, activation="relu", kernel_initializer=drawn(3), name="pointwise")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, kernel_initializer=drawn(4, scale=30.0), name="logits")(x)
    return keras.Model(image, layers.Softmax(name="probabilities")(x), name="tiny")


def keras_artifact(
    store: Store, classes: Sequence[str] = CLASSES, input: InputSpec = INPUT, seed: int = 0
) -> Artifact:
    """Store the model of `keras_model` as an artifact of format `keras`."""
    return store_model(store, keras_model(len(classes), input, seed), classes)


def colour_teacher(
    store: Store,
    slope: float = 1.0,
    classes: Sequence[str] = ("blue", "red"),
    bias: float = 0.0,
) -> Artifact:
    """Store a model that classifies the images of `draw_colours` by mean red minus mean blue.

    `slope` multiplies the difference of red and blue. With a slope of 0 the model is at chance;
    with a negative slope its answers are wrong. `bias` is added to the second class's logit.
    """
    keras = keras_files.import_keras()
    image = keras.Input(INPUT.shape, name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(2, activation="softmax", name="answer")(x)
    model = keras.Model(image, x)
    kernel = np.array([[-8, 8], [0, 0], [8, -8]]) * slope
    model.set_weights([kernel, np.array([0, bias])])
    return store_model(store, model, classes)


def save_scaled_teacher(path: Path) -> Path:
    """Save a model that classifies the images of `draw_colours`, and takes pixels in 0..1.

    To anything brighter it is blind: raw RGB looks white.
    """
    keras = keras_files.import_keras()
    image = keras.Input(INPUT.shape, name="image")
    x = keras.layers.ReLU(max_value=1.0, name="clip")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax", name="answer")(x))
    model.set_weights([np.array([[-8, 8], [0, 0], [8, -8]]), np.zeros(2)])
    model.save(path)
    return path


def photograph_filter(store: Store) -> Artifact:
    """Store a model that calls bright images `crop`, bluish ones `other`, the rest `photograph`."""
    keras = keras_files.import_keras()
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(3, activation="softmax", name="answer")(x)
    model = keras.Model(image, x)
    crop, other = (40 / 3,) * 3, (-60, 0, 60)
    kernel = np.stack([np.zeros(3), crop, other], axis=1)
    model.set_weights([kernel, np.array([0, -24, -20])])
    return store_model(store, model, ("photograph", "crop", "other"))


def store_model(
    store: Store, model: Any, classes: Sequence[str] = CLASSES, kind: OutputKind = "softmax"
) -> Artifact:
    """Store a `keras.Model` with a fixed input size as an artifact of format `keras`.

    `kind` is the kind of the model's output.
    """
    _, height, width, _ = model.input_shape
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=InputSpec(height=height, width=width),
            output=OutputSpec(kind=kind, classes=tuple(classes)),
            origin=Origin(plugin="tiny", distribution="pupila-core", version="test"),
            parameters=keras_files.parameters(model),
            macs=keras_files.macs(model),
        )
