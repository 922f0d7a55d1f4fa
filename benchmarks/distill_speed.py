"""`distill` against `keras.distillation.Distiller`: same teachers, student, pictures and schedule.

    python benchmarks/distill_speed.py [--data DATA] [--teachers TEACHERS] [--all-teachers]
        [--images 160] [--epochs 10]

DATA (or PUPILA_DATA) holds `glaucoma.csv`, TEACHERS (or PUPILA_TEACHERS) `vgg16_nested.h5`, and
with `--all-teachers` the four others. Of several, both learn from the mean: the Distiller, which
takes one teacher, is given one model that holds them all. Both train at 224 px, since the Distiller
gives teacher and student one picture, on one view without augmentation. Both find the validation
loss (on a quarter as many images) after each epoch; both keep the epoch with the lowest. XLA is off
for both; with it, Keras' default, the Distiller would be slower still on a CPU. Times leave out
reading the teachers.

With teachers that cost far more than the student, the ratio comes near the number of epochs, since
`distill` asks them once and the Distiller in each epoch: it can be no more than 10 in 10 epochs. A
later training on the same images (another alpha, technique, student or seed) finds their answers.

A figure on ACRIMA proves that the machinery works, not that it diagnoses.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pupila import Artifact, Dataset, InputSpec, OutputSpec, Predictions, StepResult, installed
from pupila.artifact import Origin
from pupila.intervals import proportion
from pupila.keras_files import load
from pupila.manifest import read
from pupila.scanning import scan
from pupila.store import Store
from pupila.testing import ignore_progress, step_for
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.fitting import optimizer
from pupila.training.loss import keras
from pupila.training.targets import labels_of
from pupila_distill.config import Distillation
from pupila_distill.techniques import distill

CLASSES = ("glaucoma", "normal")
TEACHERS = (
    "vgg16_nested.h5",
    "xception_nested.keras",
    "efficientnet_lite0.keras",
    "efficientnet_lite0_seed2.keras",
    "squeezenet.keras",
)
INPUT = InputSpec(height=224, width=224)
SEED = 1


def main() -> None:
    """Print both times, their ratio and both test accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, **_from("PUPILA_DATA"))
    parser.add_argument("--teachers", type=Path, **_from("PUPILA_TEACHERS"))
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


def _from(variable: str) -> dict[str, Any]:
    """Take an option from the environment, or require it."""
    value = os.environ.get(variable)
    return {"default": value} if value else {"required": True}


def compare(config: Distillation, data: Path, files: list[Path], images: int, folder: Path) -> None:
    """Run both on the same images, the slow one last."""
    everything = read_dataset(data, folder)
    dataset = cut(everything, images)
    teachers = [read_teacher(file, folder) for file in files]
    for part in ("train", "validation"):
        dataset.select(part).pixels(INPUT)  # decoded and resized beforehand, for both
    print(
        f"{len(dataset.select('train'))} images, {config.epochs} epochs, {config.student}, "
        f"teachers: {', '.join(file.name for file in files)}"
    )
    ours = timed("distill", run_distill, config, teachers, dataset, folder)
    other = config.model_copy(update={"alpha": 0.5})
    later = timed("distill, another alpha", run_distill, other, teachers, dataset, folder)
    theirs = timed("keras Distiller", run_distiller, config, teachers, dataset)
    for name, run in (("first", ours), ("later", later)):
        processor = theirs.processor_seconds / run.processor_seconds
        wall = theirs.seconds / run.seconds
        print(f"{name} training: ratio {wall:.2f}, by processor {processor:.2f}")
    for name, run in (("distill", ours), ("keras Distiller", theirs)):
        print(f"{name}: test accuracy {test_accuracy(run.model, everything.select('test'))}")


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


@dataclass(frozen=True)
class Run:
    """What one of both took, and what it made."""

    seconds: float
    processor_seconds: float
    """Of all cores together: hardly moved by what else the machine does."""
    model: Any


def timed(name: str, train: Any, *arguments: Any) -> Run:
    """Run one of both and print its times."""
    started, used = time.monotonic(), time.process_time()
    model = train(*arguments)
    run = Run(time.monotonic() - started, time.process_time() - used, model)
    print(f"{name}: {run.seconds:.1f} s, {run.processor_seconds:.1f} s of processor", flush=True)
    return run


def run_distill(
    config: Distillation, teachers: list[Artifact], dataset: Dataset, folder: Path
) -> Any:
    """Distil with predictions computed once; nothing is cached beforehand."""
    kept = Predictions(folder / "predictions")
    step = step_for(config, teachers, folder / "step", dataset=dataset, predictions=kept, seed=SEED)
    distill(step)
    return keras.saving.load_model(step.output / "model.keras", compile=False)


def run_distiller(config: Distillation, teachers: list[Artifact], dataset: Dataset) -> Any:
    """Distil with the teachers in every step, in the same order of images."""
    keras.utils.set_random_seed(SEED)
    images = labelled(dataset.select("train"), config)
    validation = labelled(dataset.select("validation"), config)
    student = installed().student(str(config.student)).load()(INPUT, len(CLASSES))
    distiller = keras.distillation.Distiller(
        with_logits([load(teacher) for teacher in teachers]),
        student,
        # an instance: given the name, Keras takes the divergence of raw logits
        keras.distillation.LogitsDistillation(config.temperature, keras.losses.KLDivergence()),
        student_loss_weight=config.alpha,
    )
    steps = len(epoch_batches(images, 0, SEED, config.batch_size))
    distiller.compile(
        optimizer(config, steps),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    least, best = math.inf, student.get_weights()
    for epoch in range(config.epochs):
        figures = distiller.fit(
            epoch_batches(images, epoch, SEED, config.batch_size),
            validation_data=all_in_order(validation, config.batch_size),
            verbose=0,
        ).history
        if figures["val_loss"][-1] < least:
            least, best = figures["val_loss"][-1], student.get_weights()
    student.set_weights(best)
    return student


def labelled(dataset: Dataset, config: Distillation) -> Images:
    """Return the images with their labels alone."""
    return Images.of(dataset, INPUT, [labels_of(dataset)], config.augmentation)


def with_logits(teachers: list[Any]) -> Any:
    """Return one model of the mean of the teachers' logits, up to a constant; they give softmax."""
    picture = keras.Input(INPUT.shape)
    for number, teacher in enumerate(teachers):
        teacher.name = f"teacher_{number}"  # two may have one name
    logits = [keras.ops.log(keras.ops.clip(teacher(picture), 1e-7, 1)) for teacher in teachers]
    return keras.Model(picture, keras.ops.mean(keras.ops.stack(logits), axis=0))


def test_accuracy(model: Any, test: Dataset) -> str:
    """Say the accuracy on the test images with its interval."""
    pixels = np.asarray(test.pixels(INPUT), np.float32)
    answers = model.predict(pixels, verbose=0).argmax(axis=1)
    found = proportion(int((answers == test.labels).sum()), len(test))
    return f"{found.value:.3f} (95 % Wilson {found.low:.3f} to {found.high:.3f}, n = {len(test)})"


if __name__ == "__main__":
    main()
