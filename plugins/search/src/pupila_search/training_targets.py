"""Computes the images and targets on which all candidates train, once for the whole search."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec, Step, installed
from pupila.arrays import write_rows
from pupila.digest import digest_json
from pupila.measured import TeacherQualities
from pupila.plugin import CLASSIFICATION
from pupila.training.altered import Altered
from pupila.training.batches import Images
from pupila.training.loss import Loss
from pupila.training.oracle import oracle_loss, oracle_targets
from pupila.training.targets import labels_of, labels_of_views, pack_targets
from pupila.training.task import TaskTraining, training_of
from pupila.training.teacher import predict_teachers
from pupila.views import AS_IS
from pupila_search.building import build
from pupila_search.config import Search
from pupila_search.genome import Genome

_KEPT_BYTES = 2 * 1024**3
"""Largest size in bytes at which augmented views are rendered to disk, once for all candidates. If
the views are larger, each candidate renders them itself, which takes about as long as training on
them."""

_FREE_PART = 0.5
"""Largest fraction of the free disk that rendered views may take: candidates need room too."""

_CHUNK_IMAGES = 128


@dataclass(frozen=True)
class _RenderedImages(Images):
    """Images whose augmented views were rendered to disk."""

    pictures: Sequence[NDArray[np.uint8]]

    def view(self, rows: NDArray[np.int64], number: int) -> NDArray[np.uint8]:
        return self.pictures[number][rows]


@dataclass(frozen=True)
class TrainingTargets:
    """Training and validation images with their targets, in files that each worker opens."""

    config: Search
    train: Dataset
    validation: Dataset
    targets: tuple[Path, ...]
    """Files of training targets, one array `(images, columns)` for each augmented view."""
    validation_targets: Path
    """File of the validation targets, an array `(images, columns)`."""
    digest: str
    """Digest of everything that determines what a candidate learns, except its genome and seed."""
    teachers: TeacherQualities
    outputs: tuple[OutputSpec, ...]
    """Output specification of each teacher."""
    pictures: tuple[Path, ...] = ()
    """Files of rendered training images, one array `(images, height, width, 3)` for each view.

    Empty if these files would take too much of the disk.
    """
    altered: Altered | None = None
    """Altered validation images, if fidelity is an objective; otherwise None."""

    @property
    def training(self) -> TaskTraining:
        """How the task of the images is learned."""
        return training_of(self.train)

    @property
    def task(self) -> TaskTraining | None:
        """How a task other than classification is learned; None for classification."""
        return None if self.train.task == CLASSIFICATION else self.training

    @property
    def loss(self) -> Loss:
        """The loss, a function of the targets and a candidate's outputs."""
        alpha, temperature = self.config.alpha, self.config.temperature
        if self.config.distillation == "oracle":
            return oracle_loss(alpha, temperature)
        return self.training.distillation_loss(self.outputs, alpha, temperature)

    def build(self, genome: Genome) -> Any:
        """Return a new model of a genome, with the output in training of the task."""
        return build(genome, self.config.input, len(self.train.classes), self.task)

    def altered_for(self, model: Any) -> Altered | None:
        """Return the altered images, with the output specification of a candidate's model."""
        if self.altered is None:
            return None
        return replace(self.altered, output=self.training.output_in_training(model))

    def training_images(self) -> Images:
        """Open the training images with their targets."""
        targets = [_open(path) for path in self.targets]
        images = Images.of(self.train, self.config.input, targets, self.config.augmentation)
        if not self.pictures:
            return images
        return _RenderedImages(**vars(images), pictures=[_open(path) for path in self.pictures])

    def validation_images(self) -> Images:
        """Open the validation images with their targets."""
        targets = [_open(self.validation_targets)]
        return Images.of(self.validation, self.config.input, targets, AS_IS)


def make_targets(step: Step[Search]) -> TrainingTargets:
    """Run each teacher on every augmented view once, and write the targets.

    Raises:
        PupilaError: a teacher is not better than chance, or its predictions are not finite.
    """
    config = step.config
    train, validation = step.split("train"), step.split("validation")
    oracle = config.distillation == "oracle"
    views, last, teachers = (_of_right_teachers if oracle else _of_all_teachers)(step)
    targets = tuple(_write(step, f"view-{number}", of_view) for number, of_view in enumerate(views))
    return TrainingTargets(
        config,
        train,
        validation,
        targets,
        _write(step, "validation", last),
        _digest(step, train, validation),
        teachers,
        tuple(teacher.record.output for teacher in step.inputs),
        _render_views(step, train, targets),
        Altered.of(step, config.input, _first_output(train)) if config.by_fidelity else None,
    )


_Targets = tuple[Sequence[NDArray[np.float32]], NDArray[np.float32], TeacherQualities]
"""Targets of each view, targets of the validation images, and the quality of the teachers."""


def _of_all_teachers(step: Step[Search]) -> _Targets:
    """Return labels and the mean answers of all teachers."""
    train, validation = step.split("train"), step.split("validation")
    training, config = training_of(train), step.config
    taught = training.teach(
        step,
        train,
        validation,
        weights=[1.0] * len(step.inputs),
        temperature=config.temperature,
    )
    labels = training.labels_of_views(train, config.augmentation)
    views = list(map(pack_targets, labels, taught.views))
    last = pack_targets(training.labels(validation), taught.validation)
    return views, last, taught.measured.read(TeacherQualities) or TeacherQualities(teachers=())


def _of_right_teachers(step: Step[Search]) -> _Targets:
    """Return labels and the mean answers of the teachers that are right, see `oracle`."""
    train, validation, config = step.split("train"), step.split("validation"), step.config
    answers = predict_teachers(step, train, validation)
    labels = labels_of_views(train, config.augmentation)
    views = [
        oracle_targets(of_view, list(given), config.temperature)
        for of_view, given in zip(labels, np.stack(answers.views, axis=1), strict=True)
    ]
    last = oracle_targets(labels_of(validation), answers.validation, config.temperature)
    return views, last, answers.teachers


def _first_output(images: Dataset) -> OutputSpec:
    """Return an output of the task, which only has to say the task and what is named."""
    kind = installed().task(images.task).output_kinds[0]
    return OutputSpec(task=images.task, kind=kind, classes=images.classes)


def _render_views(step: Step[Search], train: Dataset, targets: Sequence[Path]) -> tuple[Path, ...]:
    """Render the augmented views to disk, if there is room; return their files."""
    config = step.config
    needed = len(train) * len(targets) * math.prod(config.input.shape)
    if needed > min(_KEPT_BYTES, _FREE_PART * shutil.disk_usage(step.scratch).free):
        return ()
    images = Images.of(train, config.input, [], config.augmentation)
    paths = tuple(step.scratch / "targets" / f"pictures-{n}.npy" for n in range(len(targets)))
    for number, path in enumerate(paths):
        write_rows(path, len(train), _views(images, number))
    return paths


def _views(images: Images, number: int) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(images), _CHUNK_IMAGES):
        rows = np.arange(start, min(start + _CHUNK_IMAGES, len(images)))
        yield images.view(rows, number)


def _write(step: Step[Search], name: str, targets: NDArray[np.float32]) -> Path:
    path = step.scratch / "targets" / f"{name}.npy"
    path.parent.mkdir(exist_ok=True)
    write_rows(path, len(targets), [targets])
    return path


def _open(path: Path) -> NDArray[Any]:
    return np.load(path, mmap_mode="r")


def _digest(step: Step[Search], train: Dataset, validation: Dataset) -> str:
    """Return a digest of everything that determines what a candidate learns.

    The digest leaves out the budget and the number of workers, which do not.
    """
    unimportant = {"minutes", "max_candidates", "target", "workers", "finalists", "tuning_epochs"}
    settings = step.config.model_dump(mode="json", exclude=unimportant)
    teachers = [artifact.digest for artifact in step.inputs]
    return digest_json([settings, step.seed, teachers, train.fingerprint, validation.fingerprint])
