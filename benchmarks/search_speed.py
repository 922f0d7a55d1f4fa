"""`search` against the study's loop with live teachers, and `evolve` against `append`.

    python benchmarks/search_speed.py speed [--data DATA] [--teachers TEACHERS] [--images 64]
        [--candidates 8] [--live 2] [--size 224]
    python benchmarks/search_speed.py quality [--data DATA] [--teachers TEACHERS] [--minutes 10]
        [--seeds 3] [--size 64]

DATA (or PUPILA_DATA) holds `glaucoma.csv`, TEACHERS (or PUPILA_TEACHERS) the five teachers.

`speed`: the strategy `append` of `search`, beside a rewrite of the study's loop: the first of the
same candidates, on the same pictures, five epochs each, with the same loss; but with the five
teachers running in every step, as in Keras' own example of distillation. It prints candidates per
minute of both. `search` computes the teachers' predictions first; the time including them, which
matters less the longer a search lasts, is printed too.

`quality`: both strategies for the same time, for each seed, on all images: the accuracy of the
chosen model on the test images, and the estimated bytes of its int8 file.

Results on ACRIMA show that the code works, not that the models diagnose.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from acrima import (
    CLASSES,
    TEACHERS,
    add_folders,
    cut,
    describe_accuracy,
    read_dataset,
    read_teacher,
)

from pupila import Artifact, Dataset, InputSpec, Predictions, StepResult
from pupila.keras_files import load
from pupila.measured import SearchResult
from pupila.testing import step_for
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

SEED = 1


def main() -> None:
    """Run one of the two comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "quality"))
    add_folders(parser)
    parser.add_argument("--images", type=int, default=64, help="of the training split")
    parser.add_argument("--candidates", type=int, default=8, help="candidates of `search`")
    parser.add_argument("--live", type=int, default=2, help="candidates of the study's loop")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        dataset = read_dataset(options.data, workspace)
        teachers = [read_teacher(options.teachers / name, workspace) for name in TEACHERS]
        if options.what == "speed":
            compare_speed(options, cut(dataset, options.images), teachers, workspace)
        else:
            compare_quality(options, dataset, teachers, workspace)


def compare_speed(
    options: argparse.Namespace, dataset: Dataset, teachers: list[Artifact], folder: Path
) -> None:
    """Print candidates per minute of both, and their ratio; the slow one runs last."""
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
    searched = run_search(config, dataset, teachers, folder, SEED)
    with_teachers = time.monotonic() - started
    alone = search_result(searched).seconds or 0.0
    ours = 60 * options.candidates / alone
    print(
        f"ours: {options.candidates} candidates in {alone:.1f} s, {with_teachers:.1f} s with the "
        f"teachers' answers: {ours:.2f} a minute",
        flush=True,
    )
    started = time.monotonic()
    run_live(config, dataset, teachers, candidate_folders(folder)[: options.live])
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
    """Search in its own folder; the teachers' predictions are kept for the next search."""
    run = folder / f"{config.strategy}-{seed}"
    predictions = Predictions(folder / "predictions")
    step = step_for(config, teachers, run, dataset=dataset, predictions=predictions, seed=seed)
    return search(step)


def candidate_folders(folder: Path) -> list[Path]:
    """Return the folders of the candidates that `search` trained, in order."""
    return sorted(file.parent for file in folder.glob("append-*/scratch/*/*/candidate.json"))


def run_live(
    config: Search, dataset: Dataset, teachers: list[Artifact], candidates: list[Path]
) -> None:
    """Train the same candidates from the same weights, with all teachers in every step."""
    train, validation = dataset.select("train"), dataset.select("validation")
    models = [load(teacher) for teacher in teachers]
    for folder in candidates:
        candidate = json.loads((folder / "candidate.json").read_text())
        student = build(Genome.model_validate(candidate["genome"]), config.input, len(CLASSES))
        load_weights(student, read_weights(folder / "start.npz"))
        train_live(student, models, config, train, validation)


def train_live(
    student: Any, teachers: list[Any], config: Search, train: Dataset, validation: Dataset
) -> None:
    """Train one student; the teachers see each batch at their own 224 px."""
    labels = labels_of_views(train, config.augmentation)
    images = Images.of(train, config.input, labels, config.augmentation)
    evaluated = Images.of(validation, config.input, [labels_of(validation)], AS_IS)
    schedule = config.schedule(config.epochs[0], config.learning_rate)
    steps = len(epoch_batches(images, 0, SEED, config.batch_size))
    distiller = Live(student, teachers, config, optimizer(schedule, steps))
    for epoch in range(schedule.epochs):
        batches = epoch_batches(images, epoch, SEED, config.batch_size)
        for number in range(len(batches)):
            distiller.step(*batches[number])
        answers = [
            np.asarray(student(np.asarray(pictures, np.float32), training=False))
            for pictures, _ in all_batches(all_in_order(evaluated, config.batch_size))
        ]
        correct = np.concatenate(answers).argmax(axis=1) == validation.labels
        print(f"  live, epoch {epoch + 1}: validation accuracy {correct.mean():.3f}", flush=True)


def all_batches(batches: Any) -> list[tuple[Any, Any]]:
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
            soft = [powers / tf.reduce_sum(powers, axis=-1, keepdims=True) for powers in raised]
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
            result = search_result(run_search(config, dataset, teachers, folder, seed))
            candidates = {candidate.name: candidate for candidate in result.candidates}
            chosen = candidates[result.chosen]
            path = folder / f"{strategy}-{seed}" / "output" / "model.keras"
            model = keras.saving.load_model(path, compile=False)
            print(
                f"seed {seed}, {strategy}: {len(result.candidates)} candidates in "
                f"{(result.seconds or 0.0) / 60:.1f} minutes; chosen {chosen.name} of "
                f"{chosen.bytes} bytes, validation {chosen.validation_accuracy:.3f}, test "
                f"{describe_accuracy(model, dataset.select('test'), config.input)}",
                flush=True,
            )


def search_result(step_result: StepResult) -> SearchResult:
    """Return the measurements of a search."""
    result = step_result.measured.read(SearchResult)
    if result is None:
        raise RuntimeError("the step was not a search")
    return result


if __name__ == "__main__":
    main()
