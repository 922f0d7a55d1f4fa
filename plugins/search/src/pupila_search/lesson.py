"""What all candidates are taught: the same pictures, and answers that were computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, PupilaError, Step
from pupila.arrays import write_rows
from pupila.digest import digest_json
from pupila.metrics import accuracy, checked
from pupila.training.batches import Images
from pupila.training.targets import labels_of, labels_of_views, packed, softened_mean
from pupila.views import AS_IS
from pupila_search.config import Search


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
    teachers: list[dict[str, Any]]
    """What is told of them."""

    def images(self) -> Images:
        """Open what candidates are trained on."""
        targets = [_opened(path) for path in self.targets]
        return Images.of(self.train, self.config.input, targets, self.config.augmentation)

    def judged(self) -> Images:
        """Open the validation images."""
        targets = [_opened(self.validation_targets)]
        return Images.of(self.validation, self.config.input, targets, AS_IS)


def lesson_of(step: Step[Search]) -> Lesson:
    """Ask each teacher once per view of each image, and write what is to be answered.

    Raises:
        PupilaError: a teacher answers what is no number.
    """
    if step.dataset is None:
        raise ValueError("needs_data was declared, but the step was given no dataset")
    config = step.config
    train, validation = step.dataset.select("train"), step.dataset.select("validation")
    judged = [step.predictions.of(each, validation, step.progress) for each in step.inputs]
    views = [
        step.predictions.of_views(each, train, config.augmentation, step.progress)
        for each in step.inputs
    ]
    _check(judged + views)
    digest = _digest(step, train, validation)
    labels = labels_of_views(train, config.augmentation)
    targets = tuple(
        _written(step, f"view-{number}", packed(each, _mean(config, [of[number] for of in views])))
        for number, each in enumerate(labels)
    )
    told = [
        {"digest": each.digest[:12], "validation_accuracy": _standing(answers, validation)}
        for each, answers in zip(step.inputs, judged, strict=True)
    ]
    last = packed(labels_of(validation), _mean(config, judged))
    last_path = _written(step, "validation", last)
    return Lesson(config, train, validation, targets, last_path, digest, told)


def _mean(config: Search, answers: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return softened_mean(answers, [1.0] * len(answers), config.temperature)


def _written(step: Step[Search], name: str, targets: NDArray[np.float32]) -> Path:
    path = step.scratch / "targets" / f"{name}.npy"
    path.parent.mkdir(exist_ok=True)
    write_rows(path, len(targets), [targets])
    return path


def _opened(path: Path) -> NDArray[np.float32]:
    return np.load(path, mmap_mode="r")


def _standing(answers: NDArray[np.float32], validation: Dataset) -> dict[str, Any]:
    scores, labels = checked(answers, validation.labels, validation.classes, "validation")
    return accuracy(scores, labels).model_dump()


def _check(answers: list[NDArray[np.float32]]) -> None:
    teachers = len(answers) // 2
    for number, each in enumerate(answers):
        if not np.isfinite(each).all():
            raise PupilaError(
                f"Teacher {number % teachers + 1} of {teachers} in `from` gives answers that are "
                f"no numbers. Check it for overflow, or leave it out of `from`."
            )


def _digest(step: Step[Search], train: Dataset, validation: Dataset) -> str:
    """Digest what determines a search; how long it lasts, and on how many cores, does not."""
    unimportant = {"minutes", "trainings", "target", "workers", "finalists", "tuning_epochs"}
    settings = step.config.model_dump(mode="json", exclude=unimportant)
    teachers = [artifact.digest for artifact in step.inputs]
    return digest_json([settings, step.seed, teachers, train.fingerprint, validation.fingerprint])
