"""What all candidates are taught: the same pictures, and answers that were computed once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, Step
from pupila.arrays import write_rows
from pupila.digest import digest_json
from pupila.measured import TeacherQualities
from pupila.training.altered import Altered
from pupila.training.batches import Images
from pupila.training.loss import Loss, distillation_loss
from pupila.training.oracle import oracle_loss, oracle_targets
from pupila.training.targets import labels_of, labels_of_views, pack_targets, softened_mean
from pupila.training.teacher import predict_teachers
from pupila.views import AS_IS
from pupila_search.config import Search

_KEPT_BYTES = 2 * 1024**3
"""Views are rendered once, unless they take more room than this: each candidate then renders its
own, which takes about as long as to learn from them."""

_FREE_PART = 0.5
"""Of the free disk, which candidates need too, the part that views may take."""

_CHUNK_IMAGES = 128


@dataclass(frozen=True)
class _Rendered(Images):
    """Images whose views lie on disk."""

    pictures: Sequence[NDArray[np.uint8]]

    def view(self, rows: NDArray[np.int64], number: int) -> NDArray[np.uint8]:
        return self.pictures[number][rows]


@dataclass(frozen=True)
class Lesson:
    """Pictures and targets, as files that each worker opens for itself."""

    config: Search
    train: Dataset
    validation: Dataset
    targets: tuple[Path, ...]
    """Arrays `(images, columns)` of each view."""
    validation_targets: Path
    digest: str
    """Of all that determines what a candidate learns, beside its genome and seed."""
    teachers: TeacherQualities
    pictures: tuple[Path, ...] = ()
    """Arrays `(images, height, width, 3)` of each view; empty where there is no room for them."""
    altered: Altered | None = None
    """Images by which is chosen, where not by loss and accuracy."""

    @property
    def loss(self) -> Loss:
        """On the targets and a candidate's logits."""
        of = oracle_loss if self.config.lesson == "oracle" else distillation_loss
        return of(self.config.alpha, self.config.temperature)

    def images(self) -> Images:
        """Open what candidates are trained on."""
        targets = [_opened(path) for path in self.targets]
        images = Images.of(self.train, self.config.input, targets, self.config.augmentation)
        if not self.pictures:
            return images
        return _Rendered(**vars(images), pictures=[_opened(path) for path in self.pictures])

    def judged(self) -> Images:
        """Open the validation images."""
        targets = [_opened(self.validation_targets)]
        return Images.of(self.validation, self.config.input, targets, AS_IS)


def lesson_of(step: Step[Search]) -> Lesson:
    """Ask each teacher once per view of each image, and write what is to be answered.

    Raises:
        PupilaError: a teacher is no better than chance, or answers what is no number.
    """
    config = step.config
    train, validation = step.split("train"), step.split("validation")
    answers = predict_teachers(step, train, validation)
    digest = _digest(step, train, validation)
    labels = labels_of_views(train, config.augmentation)
    by_view = zip(labels, np.stack(answers.views, axis=1), strict=True)
    targets = tuple(
        _written(step, f"view-{number}", _targets(config, each, list(given)))
        for number, (each, given) in enumerate(by_view)
    )
    last = _targets(config, labels_of(validation), answers.validation)
    return Lesson(
        config,
        train,
        validation,
        targets,
        _written(step, "validation", last),
        digest,
        answers.teachers,
        _pictures(step, train, targets),
        Altered.of(step, config.input) if config.by_fidelity else None,
    )


def _targets(
    config: Search, labels: NDArray[np.float32], answers: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    if config.lesson == "oracle":
        return oracle_targets(labels, answers, config.temperature)
    return pack_targets(labels, softened_mean(answers, [1.0] * len(answers), config.temperature))


def _pictures(step: Step[Search], train: Dataset, targets: Sequence[Path]) -> tuple[Path, ...]:
    """Render the views, if there is room for them."""
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


def _written(step: Step[Search], name: str, targets: NDArray[np.float32]) -> Path:
    path = step.scratch / "targets" / f"{name}.npy"
    path.parent.mkdir(exist_ok=True)
    write_rows(path, len(targets), [targets])
    return path


def _opened(path: Path) -> NDArray[Any]:
    return np.load(path, mmap_mode="r")


def _digest(step: Step[Search], train: Dataset, validation: Dataset) -> str:
    """Digest what determines a search; how long it lasts, and on how many cores, does not."""
    unimportant = {"minutes", "max_candidates", "target", "workers", "finalists", "tuning_epochs"}
    settings = step.config.model_dump(mode="json", exclude=unimportant)
    teachers = [artifact.digest for artifact in step.inputs]
    return digest_json([settings, step.seed, teachers, train.fingerprint, validation.fingerprint])
