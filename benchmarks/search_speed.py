"""`search` against the study's loop with live teachers, and `evolve` against `append`.

    python benchmarks/search_speed.py speed [--data DATA] [--teachers TEACHERS] [--images 64]
        [--candidates 8] [--live 2] [--size 224]
    python benchmarks/search_speed.py quality [--data DATA] [--teachers TEACHERS] [--minutes 10]
        [--seeds 3] [--size 64]

DATA (or PUPILA_DATA) holds `glaucoma.csv`, TEACHERS (or PUPILA_TEACHERS) the five teachers.

`speed`: the strategy `append`, on our machinery, beside a straight rewrite of the study's loop:
the first of the very same candidates, on the same pictures, five epochs each, with the same loss;
but with the five teachers answering in every step, as in Keras' own example of distillation.
Printed are candidates per minute of both. Ours has the teachers' answers to compute first: the
time with them, which falls to nothing the longer a search lasts, is printed as well.

`quality`: both strategies for as long, by seed, on all images: the accuracy of the chosen model on
the test images, and the bytes of its int8 file as estimated.

A figure on ACRIMA proves that the machinery works, not that it diagnoses.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pupila import Artifact, Dataset, InputSpec, OutputSpec, Predictions, StepResult, installed
from pupila.artifact import Origin
from pupila.intervals import proportion
from pupila.keras_files import load
from pupila.manifest import read
from pupila.measured import SearchResult
from pupila.scanning import scan
from pupila.store import Store
from pupila.testing import ignore_progress, step_for
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.fitting import optimizer
from pupila.training.loss import distillation_loss, keras
from pupila.training.targets import labels_of, labels_of_views
from pupila.views import AS_IS
from pupila_search.building import build
from pupila_search.building import load as load_weights
from pupila_search.candidates import read_weights
from pupila_search.config import Search
from pupila_search.genome import Genome
from pupila_search.techniques import search

CLASSES = ("glaucoma", "normal")
TEACHERS = (
    "vgg16_nested.h5",
    "xception_nested.keras",
    "efficientnet_lite0.keras",
    "efficientnet_lite0_seed2.keras",
    "squeezenet.keras",
)
SEED = 1


def main() -> None:
    """Run one of both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "quality"))
    parser.add_argument("--data", type=Path, **_from("PUPILA_DATA"))
    parser.add_argument("--teachers", type=Path, **_from("PUPILA_TEACHERS"))
    parser.add_argument("--images", type=int, default=64, help="of the training split")
    parser.add_argument("--candidates", type=int, default=8, help="of our machinery")
    parser.add_argument("--live", type=int, default=2, help="candidates of the study's loop")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        dataset = read_dataset(options.data, place)
        teachers = [read_teacher(options.teachers / name, place) for name in TEACHERS]
        if options.what == "speed":
            compare_speed(options, cut(dataset, options.images), teachers, place)
        else:
            compare_quality(options, dataset, teachers, place)


def _from(variable: str) -> dict[str, Any]:
    """Take an option from the environment, or require it."""
    value = os.environ.get(variable)
    return {"default": value} if value else {"required": True}


def read_dataset(data: Path, folder: Path) -> Dataset:
    """Read the manifest of the glaucoma images."""
    frame = scan(read(data / "glaucoma.csv"), folder / "cache", ignore_progress)
    return Dataset.of(frame, CLASSES, folder / "cache")


def cut(dataset: Dataset, images: int) -> Dataset:
    """Keep that many images of the training split, and a quarter as many for validation."""
    sizes = {"train": images, "validation": images // 4}
    parts = [dataset.select(split).frame.head(size) for split, size in sizes.items()]
    return Dataset.of(pd.concat(parts), dataset.classes, dataset.cache)


def read_teacher(source: Path, folder: Path) -> Artifact:
    """Bring the model file into a store, as a recipe does."""
    store, loader = Store(folder / "store"), installed().loader(source)
    with store.draft() as draft:
        output = OutputSpec(kind="softmax", classes=CLASSES)
        product: StepResult = loader.load()(source, output, draft)
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        return store.add(draft, **vars(product), origin=origin)


def compare_speed(
    options: argparse.Namespace, dataset: Dataset, teachers: list[Artifact], folder: Path
) -> None:
    """Print candidates per minute of both, and the ratio; the slow one comes last."""
    config = Search.model_validate(
        {
            "strategy": "append",
            "minutes": None,
            "max_candidates": options.candidates,
            "size": options.size or 224,
            "augmentation": {"views": 1},
        }
    )
    started = time.monotonic()
    product = run_search(config, dataset, teachers, folder, SEED)
    with_teachers = time.monotonic() - started
    alone = result_of(product).seconds or 0.0
    ours = 60 * options.candidates / alone
    print(
        f"ours: {options.candidates} candidates in {alone:.1f} s, {with_teachers:.1f} s with the "
        f"teachers' answers: {ours:.2f} a minute",
        flush=True,
    )
    started = time.monotonic()
    run_live(config, dataset, teachers, tried(folder)[: options.live])
    seconds = time.monotonic() - started
    theirs = 60 * options.live / seconds
    print(f"teachers live: {options.live} in {seconds:.1f} s: {theirs:.2f} a minute")
    print(
        f"ratio {ours / theirs:.1f}; with the teachers' answers computed for these candidates "
        f"alone {60 * options.candidates / with_teachers / theirs:.1f}"
    )


def run_search(
    config: Search, dataset: Dataset, teachers: list[Artifact], folder: Path, seed: int
) -> StepResult:
    """Search in a folder of its own; the teachers' answers are kept for the next."""
    place = folder / f"{config.strategy}-{seed}"
    kept = Predictions(folder / "predictions")
    step = step_for(config, teachers, place, dataset=dataset, predictions=kept, seed=seed)
    return search(step)


def tried(folder: Path) -> list[Path]:
    """Return the folders of the candidates that our search tried, in order."""
    return sorted(each.parent for each in folder.glob("append-*/scratch/*/*/candidate.json"))


def run_live(
    config: Search, dataset: Dataset, teachers: list[Artifact], candidates: list[Path]
) -> None:
    """Train the very same candidates from the same weights, with all teachers in every step."""
    train, validation = dataset.select("train"), dataset.select("validation")
    asked = [load(teacher) for teacher in teachers]
    for place in candidates:
        told = json.loads((place / "candidate.json").read_text())
        student = build(Genome.model_validate(told["genome"]), config.input, len(CLASSES))
        load_weights(student, read_weights(place / "start.npz"))
        teach_live(student, asked, config, train, validation)


def teach_live(
    student: Any, teachers: list[Any], config: Search, train: Dataset, validation: Dataset
) -> None:
    """Train one student; the teachers see each batch at their own 224 px."""
    labels = labels_of_views(train, config.augmentation)
    images = Images.of(train, config.input, labels, config.augmentation)
    judged = Images.of(validation, config.input, [labels_of(validation)], AS_IS)
    schedule = config.schedule(config.epochs[0], config.learning_rate)
    steps = len(epoch_batches(images, 0, SEED, config.batch_size))
    distiller = Live(student, teachers, config, optimizer(schedule, steps))
    for epoch in range(schedule.epochs):
        batches = epoch_batches(images, epoch, SEED, config.batch_size)
        for number in range(len(batches)):
            distiller.step(*batches[number])
        answers = [
            np.asarray(student(np.asarray(pictures, np.float32), training=False))
            for pictures, _ in iterated(all_in_order(judged, config.batch_size))
        ]
        found = np.concatenate(answers).argmax(axis=1) == validation.labels
        print(f"  live, epoch {epoch + 1}: validation accuracy {found.mean():.3f}", flush=True)


def iterated(batches: Any) -> list[tuple[Any, Any]]:
    """Return all batches."""
    return [batches[number] for number in range(len(batches))]


class Live:
    """One training step as a compiled function: teachers, student, loss, optimizer."""

    def __init__(self, student: Any, teachers: list[Any], config: Search, rule: Any) -> None:
        import tensorflow as tf

        loss = distillation_loss(config.alpha, config.temperature)

        def step(pictures: Any, labels: Any) -> None:
            shown = tf.image.resize(pictures, (224, 224))
            raised = [
                teacher(shown, training=False) ** (1 / config.temperature) for teacher in teachers
            ]
            soft = [each / tf.reduce_sum(each, axis=-1, keepdims=True) for each in raised]
            logits = config.temperature * tf.math.log(tf.add_n(soft) / len(soft))
            with tf.GradientTape() as tape:
                answers = student(pictures, training=True)
                value = tf.reduce_mean(loss(tf.concat([labels, logits], -1), answers))
            gradients = tape.gradient(value, student.trainable_variables)
            rule.apply_gradients(zip(gradients, student.trainable_variables, strict=True))

        rule.build(student.trainable_variables)
        side = (None, *InputSpec(height=config.size, width=config.size).shape)
        signature = [tf.TensorSpec(side, tf.float32), tf.TensorSpec((None, len(CLASSES)))]
        self._compiled = tf.function(step, input_signature=signature)

    def step(self, pictures: Any, labels: Any) -> None:
        """Learn from one batch."""
        self._compiled(np.asarray(pictures, np.float32), np.asarray(labels, np.float32))


def compare_quality(
    options: argparse.Namespace, dataset: Dataset, teachers: list[Artifact], folder: Path
) -> None:
    """Print what both strategies find in equal time, seed by seed."""
    for seed in range(1, options.seeds + 1):
        for strategy in ("append", "evolve"):
            config = Search.model_validate(
                {"strategy": strategy, "minutes": options.minutes, "size": options.size or 64}
            )
            product = run_search(config, dataset, teachers, folder, seed)
            found = result_of(product)
            (chosen,) = (each for each in found.candidates if each.name == found.chosen)
            model = folder / f"{strategy}-{seed}" / "output" / "model.keras"
            print(
                f"seed {seed}, {strategy}: {len(found.candidates)} candidates in "
                f"{(found.seconds or 0.0) / 60:.1f} minutes; chosen {chosen.name} of "
                f"{chosen.bytes} bytes, validation {chosen.validation_accuracy:.3f}, test "
                f"{test_accuracy(model, dataset.select('test'), config.input)}",
                flush=True,
            )


def result_of(product: StepResult) -> SearchResult:
    """Return what a search measured."""
    found = product.measured.read(SearchResult)
    if found is None:
        raise RuntimeError("it was not made by a search")
    return found


def test_accuracy(path: Path, test: Dataset, input: InputSpec) -> str:
    """Say the accuracy on the test images with its interval."""
    model = keras.saving.load_model(path, compile=False)
    pixels = np.asarray(test.pixels(input), np.float32)
    answers = model.predict(pixels, verbose=0).argmax(axis=1)
    found = proportion(int((answers == test.labels).sum()), len(test))
    return f"{found.value:.3f} (95 % Wilson {found.low:.3f} to {found.high:.3f}, n = {len(test)})"


if __name__ == "__main__":
    main()
