"""`distill` against `keras.distillation.Distiller`: same teachers, student, pictures and schedule.

    python benchmarks/distill_speed.py [--data DATA] [--teachers TEACHERS] [--all-teachers]
        [--images 160] [--epochs 10]

DATA (or PUPILA_DATA) holds `glaucoma.csv`, TEACHERS (or PUPILA_TEACHERS) `vgg16_nested.h5`, and
with `--all-teachers` the four others. With several teachers, both learn from the mean; the
Distiller, which takes one teacher, gets one model that contains all. Both train at 224 px, as the
Distiller gives teacher and student the same picture, on one view without augmentation. Both
compute the validation loss (on a quarter as many images) after each epoch, and keep the best epoch.
XLA is off for both; with it, Keras' default, the Distiller is even slower on a CPU. Times do not
include reading the teachers.

With teachers that cost far more than the student, the ratio approaches the number of epochs, as
`distill` runs the teachers once and the Distiller in each epoch: at most 10 in 10 epochs. A later
training on the same images (another alpha, technique, student or seed) reuses their predictions.

Results on ACRIMA show that the code works, not that the models diagnose.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acrima import (
    CLASSES,
    TEACHERS,
    add_folders,
    cut,
    describe_accuracy,
    read_dataset,
    read_teacher,
)

from pupila import Artifact, Dataset, InputSpec, Predictions, installed
from pupila.keras_files import load
from pupila.testing import step_for
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.fitting import optimizer
from pupila.training.loss import keras
from pupila.training.targets import labels_of
from pupila_distill.config import Distillation
from pupila_distill.techniques import distill

INPUT = InputSpec(height=224, width=224)
SEED = 1


def main() -> None:
    """Print both times, their ratio and both test accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folders(parser)
    parser.add_argument("--all-teachers", action="store_true", help="five, not the VGG16 alone")
    parser.add_argument("--images", type=int, default=160, help="of the training split")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--student", default="conv-32-64-8")
    options = parser.parse_args()
    config = Distillation.model_validate(
        {
            "student": options.student,
            "size": INPUT.height,
            "epochs": options.epochs,
            "patience": options.epochs,
            # at the default rate this student, which is not normalised, may die in either
            "learning_rate": 1e-3,
            "augmentation": {"views": 1},
        }
    )
    names = TEACHERS if options.all_teachers else TEACHERS[:1]
    files = [options.teachers / name for name in names]
    with tempfile.TemporaryDirectory() as folder:
        compare(config, options.data, files, options.images, Path(folder))


def compare(config: Distillation, data: Path, files: list[Path], images: int, folder: Path) -> None:
    """Train with both on the same images, the slow one last."""
    everything = read_dataset(data, folder)
    dataset = cut(everything, images)
    teachers = [read_teacher(file, folder) for file in files]
    for split in ("train", "validation"):
        dataset.select(split).pixels(INPUT)  # decode and resize before both
    print(
        f"{len(dataset.select('train'))} images, {config.epochs} epochs, {config.student}, "
        f"teachers: {', '.join(file.name for file in files)}"
    )
    ours = time_training("distill", run_distill, config, teachers, dataset, folder)
    other = config.model_copy(update={"alpha": 0.5})
    later = time_training("distill, another alpha", run_distill, other, teachers, dataset, folder)
    theirs = time_training("keras Distiller", run_distiller, config, teachers, dataset)
    for name, run in (("first", ours), ("later", later)):
        processor = theirs.processor_seconds / run.processor_seconds
        wall = theirs.seconds / run.seconds
        print(f"{name} training: ratio {wall:.2f}, by processor {processor:.2f}")
    test = everything.select("test")
    for name, run in (("distill", ours), ("keras Distiller", theirs)):
        print(f"{name}: test accuracy {describe_accuracy(run.model, test, INPUT)}")


@dataclass(frozen=True)
class TrainingRun:
    """The times of a training, and the trained model."""

    seconds: float
    processor_seconds: float
    """Of all cores together: other programs hardly affect it."""
    model: Any


def time_training(name: str, train: Any, *arguments: Any) -> TrainingRun:
    """Run a training and print its times."""
    started, used = time.monotonic(), time.process_time()
    model = train(*arguments)
    run = TrainingRun(time.monotonic() - started, time.process_time() - used, model)
    print(f"{name}: {run.seconds:.1f} s, {run.processor_seconds:.1f} s of processor", flush=True)
    return run


def run_distill(
    config: Distillation, teachers: list[Artifact], dataset: Dataset, folder: Path
) -> Any:
    """Distil with predictions that are computed once; none are cached before."""
    predictions = Predictions(folder / "predictions")
    step = step_for(
        config, teachers, folder / "step", dataset=dataset, predictions=predictions, seed=SEED
    )
    distill(step)
    return keras.saving.load_model(step.output / "model.keras", compile=False)


def run_distiller(config: Distillation, teachers: list[Artifact], dataset: Dataset) -> Any:
    """Distil with the teachers in every step, with images in the same order."""
    keras.utils.set_random_seed(SEED)
    images = with_labels(dataset.select("train"), config)
    validation = with_labels(dataset.select("validation"), config)
    student = installed().student(str(config.student)).load()(INPUT, len(CLASSES))
    distiller = keras.distillation.Distiller(
        with_logits([load(teacher) for teacher in teachers]),
        student,
        # an instance: with the name, Keras computes the divergence of raw logits
        keras.distillation.LogitsDistillation(config.temperature, keras.losses.KLDivergence()),
        student_loss_weight=config.alpha,
    )
    steps = len(epoch_batches(images, 0, SEED, config.batch_size))
    distiller.compile(
        optimizer(config, steps),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    lowest, best = math.inf, student.get_weights()
    for epoch in range(config.epochs):
        history = distiller.fit(
            epoch_batches(images, epoch, SEED, config.batch_size),
            validation_data=all_in_order(validation, config.batch_size),
            verbose=0,
        ).history
        if history["val_loss"][-1] < lowest:
            lowest, best = history["val_loss"][-1], student.get_weights()
    student.set_weights(best)
    return student


def with_labels(dataset: Dataset, config: Distillation) -> Images:
    """Return the images with labels as their only targets."""
    return Images.of(dataset, INPUT, [labels_of(dataset)], config.augmentation)


def with_logits(teachers: list[Any]) -> Any:
    """Return a model of the mean of the logits, up to a constant, of teachers with a softmax."""
    picture = keras.Input(INPUT.shape)
    for number, teacher in enumerate(teachers):
        teacher.name = f"teacher_{number}"  # two may have the same name
    logits = [keras.ops.log(keras.ops.clip(teacher(picture), 1e-7, 1)) for teacher in teachers]
    return keras.Model(picture, keras.ops.mean(keras.ops.stack(logits), axis=0))


if __name__ == "__main__":
    main()
