"""Trains a small transformer from scratch, as a teacher for examples/transformer.yaml.

    python examples/train_transformer.py ../shared/data/glaucoma transformer.keras

Hassani et al. 2021, "Escaping the big data paradigm with compact transformers": convolutions make
a sequence of 64 tokens of an image of 64 px, attention and dense layers follow, and the mean of
the tokens is weighted by the model (section 3.3). The folder has `train/` and `validation/`, and a
folder for each class in both. With a few hundred images, a transformer learns only with strong
augmentation; the running mean of its weights is kept. About four minutes on one core.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

layers: Any = keras.layers
ops: Any = keras.ops

_BATCH = 32
_LEARNING_RATE = 1e-3
_WARM_UP_EPOCHS = 5
_AVERAGE = 0.99
"""Momentum of the running mean of the weights: over about 100 steps."""


def transformer(size: int, classes: int, width: int = 96, blocks: int = 3) -> Any:
    """Return a model from raw RGB `(size, size, 3)` in 0..255 to probabilities `(classes,)`."""
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    for number, filters in enumerate((width // 4, width // 2, width), 1):
        x = layers.Conv2D(filters, 3, 2, padding="same", use_bias=False, name=f"stem_{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"stem_{number}_norm")(x)
        x = layers.Activation("relu", name=f"stem_{number}_relu")(x)
    tokens = x.shape[1] * x.shape[2]
    x = layers.Reshape((tokens, width), name="tokens")(x)
    x = _with_positions(x, tokens, width)
    for number in range(blocks):
        x = _block(x, width, f"block_{number}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    weights = layers.Softmax(axis=1, name="weights")(layers.Dense(1, name="importance")(x))
    pooled = layers.Flatten(name="pool")(layers.Dot((1, 1), name="weighted_mean")([weights, x]))
    answer = layers.Dense(classes, activation="softmax", name="answer")(pooled)
    return keras.Model(image, answer, name="compact_transformer")


def _with_positions(x: Any, tokens: int, width: int) -> Any:
    """Add a learned embedding to each position."""
    numbers = ops.cumsum(ops.ones_like(x[:, :, 0], dtype="int32"), axis=1) - 1
    return layers.Add(name="placed")(
        [x, layers.Embedding(tokens, width, name="positions")(numbers)]
    )


def _block(x: Any, width: int, name: str) -> Any:
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_1")(x)
    attend = layers.MultiHeadAttention(4, width // 4, dropout=0.1, name=f"{name}_attention")
    x = layers.Add(name=f"{name}_add_1")([x, layers.Dropout(0.1)(attend(y, y))])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_2")(x)
    y = layers.Dense(2 * width, activation="gelu", name=f"{name}_expand")(y)
    y = layers.Dropout(0.1)(layers.Dense(width, name=f"{name}_project")(y))
    return layers.Add(name=f"{name}_add_2")([x, y])


def augmentation() -> Any:
    """Return what alters the training images: position, light and colour, and mixtures."""
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal_and_vertical"),
            layers.RandomRotation(0.5, fill_mode="reflect"),
            layers.RandomZoom((-0.25, 0.15), fill_mode="reflect"),
            layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
            layers.RandomColorJitter(
                (0, 255),
                brightness_factor=0.25,
                contrast_factor=0.3,
                saturation_factor=(0.2, 0.8),
                hue_factor=0.03,
            ),
        ]
    )


def images(folder: Path, size: int, seed: int, *, shuffled: bool) -> Any:
    """Return batches of images and one-hot labels."""
    return keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(size, size),
        batch_size=_BATCH,
        shuffle=shuffled,
        seed=seed,
        verbose=False,
    )


def train(data: Path, size: int, epochs: int, seed: int) -> Any:
    """Return a trained model, and print its accuracy on the validation images."""
    keras.utils.set_random_seed(seed)
    training = images(data / "train", size, seed, shuffled=True)
    validation = images(data / "validation", size, seed, shuffled=False)
    steps, classes = len(training), len(training.class_names)
    alter, mix = augmentation(), layers.MixUp(0.2)

    def altered(pictures: Any, labels: Any) -> tuple[Any, Any]:
        mixed = mix({"images": alter(pictures, training=True), "labels": labels}, training=True)
        return mixed["images"], mixed["labels"]

    model, warm_up = transformer(size, classes), min(_WARM_UP_EPOCHS, epochs // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        (epochs - warm_up) * steps,
        warmup_target=_LEARNING_RATE,
        warmup_steps=warm_up * steps,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=0.05, clipnorm=1.0, use_ema=True, ema_momentum=_AVERAGE
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)
    model.compile(optimizer, loss, metrics=["accuracy"])
    batches = training.cache().shuffle(steps, seed=seed).map(altered).prefetch(2)
    model.fit(batches, epochs=epochs, verbose=2)
    optimizer.finalize_variable_values(model.trainable_variables)
    _, accuracy = model.evaluate(validation, verbose=0)
    print(f"{model.count_params():,} parameters, validation accuracy {accuracy:.3f}")
    return model


def main() -> None:
    """Train a model as the command line says, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with train/CLASS and validation/CLASS")
    parser.add_argument("output", type=Path, help="the .keras file to write")
    parser.add_argument("--size", type=int, default=64, help="side of an image in pixels")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    model = train(options.data, options.size, options.epochs, options.seed)
    keras.Model(model.input, model.output, name=model.name).save(
        options.output, include_optimizer=False
    )


if __name__ == "__main__":
    main()
