"""Latency of LiteRT in float32 and in int8 (`quantize-int8`), for five well-known networks.

    python benchmarks/latency.py [--rounds 5] [--models VGG19 ResNet50 ...]

The networks are those of `keras.applications` at 224 px, with a head of two classes. They are
untrained and calibrated on drawn pictures, so only times are meaningful. Each file is timed as in
an evaluation (only `Interpreter.invoke`, after runs that do not count, on pinned cores where the
system supports it). Float and int8 alternate, a few runs each round, so that other load on the
machine affects both; a row has the median of all runs, and the median of the rounds' ratios with
the smallest and the largest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pupila import Artifact, Dataset, InputSpec, installed, keras_files
from pupila.evaluator import cpu_name
from pupila.predictions import open_model
from pupila.store import Store
from pupila.testing import CLASSES, draw_images, read_images, run_step, store_model

MODELS = ("VGG19", "ResNet50", "InceptionV3", "Xception", "MobileNetV2")
SIZE = InputSpec(height=224, width=224)
THREADS = (1, 2)
RUNS = 3
"""Runs of each form in each round."""


@dataclass(frozen=True)
class Row:
    """Times of one network with one number of threads, in ms."""

    name: str
    threads: int
    float_ms: list[float]
    int8_ms: list[float]
    ratios: list[float]
    """Of each round: time in float divided by that in int8."""

    def __str__(self) -> str:
        float_ms, int8_ms = statistics.median(self.float_ms), statistics.median(self.int8_ms)
        ratio, lowest, highest = statistics.median(self.ratios), min(self.ratios), max(self.ratios)
        return (
            f"| {self.name} | {self.threads} | {float_ms:.1f} | {int8_ms:.1f} | "
            f"{ratio:.2f} | {lowest:.2f}-{highest:.2f} |"
        )


def make_forms(
    name: str, dataset: Dataset, store: Store, folder: Path
) -> tuple[Artifact, Artifact]:
    """Return a network as float flatbuffer and in int8."""
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    build: Any = getattr(keras.applications, name)
    network = build(weights=None, classes=len(CLASSES), input_shape=SIZE.shape)
    model = store_model(store, network)
    keras.backend.clear_session()
    in_float = _run("export-tflite", model, store, folder)
    settings = {"calibration_images": 2, "correction": "none"}
    return in_float, _run("quantize-int8", in_float, store, folder, dataset, **settings)


def _run(
    plugin_name: str,
    given: Artifact,
    store: Store,
    folder: Path,
    dataset: Dataset | None = None,
    **settings: Any,
) -> Artifact:
    plugin = installed().step(plugin_name)
    config = plugin.config.model_validate(settings)
    return run_step(
        plugin, config, [given], folder / plugin_name, store=store, dataset=dataset
    ).artifact


def time_forms(name: str, forms: tuple[Artifact, Artifact], threads: int, rounds: int) -> Row:
    """Time both forms in turn."""
    models = [open_model(artifact, threads) for artifact in forms]
    picture = np.random.default_rng(0).integers(0, 256, SIZE.shape, np.uint8)
    times = [[model.latency_ms(picture, RUNS) for model in models] for _ in range(rounds)]
    return Row(
        name,
        threads,
        [ms for slow, _ in times for ms in slow],
        [ms for _, fast in times for ms in fast],
        [statistics.median(slow) / statistics.median(fast) for slow, fast in times],
    )


def main() -> None:
    """Read the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS, help="of keras.applications")
    arguments = parser.parse_args()
    print(f"{cpu_name()}, {os.cpu_count()} cores\n")
    print("| network | threads | float32, ms | int8, ms | ratio | of the rounds |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        images = draw_images(Path(temporary) / "images", images=2)
        dataset = read_images(images, Path(temporary) / "cache")
        for name in arguments.models:
            folder = Path(temporary) / name
            forms = make_forms(name, dataset, Store(folder / "store"), folder)
            for threads in THREADS:
                print(time_forms(name, forms, threads, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
