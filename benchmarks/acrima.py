"""ACRIMA's images and the teachers trained on them, for the speed benchmarks of this folder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pupila import Artifact, Dataset, InputSpec, OutputSpec, StepResult, installed
from pupila.artifact import Origin
from pupila.intervals import proportion
from pupila.manifest import read
from pupila.scanning import scan
from pupila.store import Store
from pupila.testing import ignore_progress

CLASSES = ("glaucoma", "normal")
TEACHERS = (
    "vgg16_nested.h5",
    "xception_nested.keras",
    "efficientnet_lite0.keras",
    "efficientnet_lite0_seed2.keras",
    "squeezenet.keras",
)


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Add the options `--data` and `--teachers`, which the environment may set."""
    parser.add_argument("--data", type=Path, **_from("PUPILA_DATA"))
    parser.add_argument("--teachers", type=Path, **_from("PUPILA_TEACHERS"))


def _from(variable: str) -> dict[str, Any]:
    """Take an option's default from the environment, or require the option."""
    value = os.environ.get(variable)
    return {"default": value} if value else {"required": True}


def read_dataset(data: Path, folder: Path) -> Dataset:
    """Read the manifest of the glaucoma images."""
    frame = scan(read(data / "glaucoma.csv"), folder / "cache", ignore_progress)
    return Dataset.of(frame, CLASSES, folder / "cache")


def cut(dataset: Dataset, images: int) -> Dataset:
    """Keep that many images of the training split, and a quarter as many for validation."""
    sizes = {"train": images, "validation": images // 4}
    splits = [dataset.select(split).frame.head(size) for split, size in sizes.items()]
    return Dataset.of(pd.concat(splits), dataset.classes, dataset.cache)


def read_teacher(source: Path, folder: Path) -> Artifact:
    """Load the model file into a store, as a recipe does."""
    store, loader = Store(folder / "store"), installed().loader(source)
    with store.draft() as draft:
        output = OutputSpec(kind="softmax", classes=CLASSES)
        result: StepResult = loader.load()(source, output, draft)
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        return store.add(draft, **vars(result), origin=origin)


def describe_accuracy(model: Any, test: Dataset, input: InputSpec) -> str:
    """Return a Keras model's accuracy on the test images, with its interval, as text."""
    pixels = np.asarray(test.pixels(input), np.float32)
    labels = model.predict(pixels, verbose=0).argmax(axis=1)
    accuracy = proportion(int((labels == test.labels).sum()), len(test))
    interval = f"95 % Wilson {accuracy.low:.3f} to {accuracy.high:.3f}, n = {len(test)}"
    return f"{accuracy.value:.3f} ({interval})"
