"""LiteRT float32 against int8 by `quantize-int8`: time of one image of five well-known nets.

    python benchmarks/latency.py [--rounds 5] [--models VGG19 ResNet50 ...]

The nets are those of `keras.applications` at 224 px, with a head of two classes. They are untrained
and calibrated on drawn pictures, so only time means anything. Each file is timed as an evaluation
times it (`Interpreter.invoke` alone, after runs that are not counted, on cores of its own where the
system can pin them). Float and int8 take turns, a few runs each round, so that whatever else the
machine does meets both; a row has the median of all runs, and the median of the rounds' ratios with
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
"""Of each form, in each round."""


@dataclass(frozen=True)
class Row:
    """How one net does with one number of threads, in ms."""

    name: str
    threads: int
    float_ms: list[float]
    int8_ms: list[float]
    ratios: list[float]
    """Of each round: time in float as a multiple of that in int8."""

    def __str__(self) -> str:
        float_ms, int8_ms = statistics.median(self.float_ms), statistics.median(self.int8_ms)
        ratio, least, most = statistics.median(self.ratios), min(self.ratios), max(self.ratios)
        return (
            f"| {self.name} | {self.threads} | {float_ms:.1f} | {int8_ms:.1f} | "
            f"{ratio:.2f} | {least:.2f}-{most:.2f} |"
        )


def forms(name: str, dataset: Dataset, store: Store, folder: Path) -> tuple[Artifact, Artifact]:
    """Return a net as float flatbuffer and in int8."""
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    kind: Any = getattr(keras.applications, name)
    net = kind(weights=None, classes=len(CLASSES), input_shape=SIZE.shape)
    model = store_model(store, net)
    keras.backend.clear_session()
    made = _made("export-tflite", model, store, folder)
    settings = {"calibration_images": 2, "correction": "none"}
    return made, _made("quantize-int8", made, store, folder, dataset, **settings)


def _made(
    plugin_name: str,
    given: Artifact,
    store: Store,
    folder: Path,
    dataset: Dataset | None = None,
    **settings: Any,
) -> Artifact:
    plugin, place = installed().step(plugin_name), folder / plugin_name
    config = plugin.config.model_validate(settings)
    return run_step(plugin, config, [given], place, store=store, dataset=dataset).artifact


def time_forms(name: str, made: tuple[Artifact, Artifact], threads: int, rounds: int) -> Row:
    """Time both forms in turns."""
    opened = [open_model(each, threads) for each in made]
    picture = np.random.default_rng(0).integers(0, 256, SIZE.shape, np.uint8)
    taken = [[each.latency_ms(picture, RUNS) for each in opened] for _ in range(rounds)]
    return Row(
        name,
        threads,
        [ms for slow, _ in taken for ms in slow],
        [ms for _, fast in taken for ms in fast],
        [statistics.median(slow) / statistics.median(fast) for slow, fast in taken],
    )


def main() -> None:
    """Read the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS, help="of keras.applications")
    arguments = parser.parse_args()
    print(f"{cpu_name()}, {os.cpu_count()} cores\n")
    print("| net | threads | float32, ms | int8, ms | times as fast | of the rounds |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        images = draw_images(Path(temporary) / "images", images=2)
        dataset = read_images(images, Path(temporary) / "cache")
        for name in arguments.models:
            folder = Path(temporary) / name
            made = forms(name, dataset, Store(folder / "store"), folder)
            for threads in THREADS:
                print(time_forms(name, made, threads, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
