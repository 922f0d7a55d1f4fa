"""Finds out what a model file expects and gives, by trying it on images with known labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import SPECIFICITY
from pupila.pixel_scaling import Preprocess
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila_flows.jobs.evaluate_external import EvaluateExternal
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.run.single import perform_alone
from pupila_flows.workspace import Workspace

PREPROCESS: tuple[Preprocess, ...] = ("none", "scale", "center", "imagenet", "caffe")
"""How pixels may have been scaled outside of the file, the likeliest first."""
_KINDS = ("softmax", "sigmoid", "logits")
_GOOD = 0.9
"""Accuracy from which on no other scaling is tried."""
_CLEAR = 0.1
"""Difference of accuracies from which on the best scaling is beyond doubt."""


@dataclass(frozen=True)
class Reading:
    """One way of reading a model: its scaling and output, and how good it then is."""

    preprocess: Preprocess
    output: str
    classes: tuple[str, ...]
    """In the order of the columns."""
    accuracy: float
    """Fraction of the images answered right, in the best order of classes."""
    artifact: Artifact

    def __str__(self) -> str:
        return f"preprocess {self.preprocess}: {self.accuracy:.3f}"


@dataclass(frozen=True)
class FoundModel:
    """The best reading of a model, and all that were tried."""

    best: Reading
    tried: tuple[Reading, ...]

    @property
    def is_clear(self) -> bool:
        """Whether no other reading comes close to the best one."""
        others = [reading.accuracy for reading in self.tried if reading is not self.best]
        return not others or self.best.accuracy - max(others) >= _CLEAR


def find_model(workspace: Workspace, source: Path, images: Dataset) -> FoundModel:
    """Try the ways in which a model file can be read, and return the most accurate one.

    Kinds of output are tried until one fits. The order of classes is the one in which most images
    are answered right. Scalings outside of the file are tried unless raw pixels do well.

    Raises:
        PupilaError: no loader reads the file, or the model has another number of classes.
    """
    tried: list[Reading] = []
    refusals: list[PupilaError] = []
    for preprocess in PREPROCESS:
        try:
            tried.append(_read(workspace, source, images, preprocess))
        except PupilaError as refusal:
            if not tried and preprocess == PREPROCESS[0]:
                raise
            refusals.append(refusal)
        if tried and tried[-1].accuracy >= _GOOD:
            break
    return FoundModel(max(tried, key=lambda reading: reading.accuracy), tuple(tried))


def _read(workspace: Workspace, source: Path, images: Dataset, preprocess: Preprocess) -> Reading:
    artifact, output = _import(workspace, source, images.classes, preprocess)
    answers = _answers(workspace, artifact, images)
    order, accuracy = best_order(answers, images.labels)
    classes = tuple(images.classes[index] for index in order)
    return Reading(preprocess, output, classes, accuracy, artifact)


def _import(
    workspace: Workspace, source: Path, classes: tuple[str, ...], preprocess: Preprocess
) -> tuple[Artifact, str]:
    """Import the model with the first kind of output that its answers fit."""
    refusals: list[PupilaError] = []
    for output in _kinds(classes):
        spec = OutputSpec(kind=output, classes=classes)
        planned = PlannedTeacher(
            source.stem, source, installed().loader(source).produces, spec, preprocess
        )
        try:
            stored = perform_alone(ImportTeacher.of(workspace, planned))
        except PupilaError as refusal:
            refusals.append(refusal)
            continue
        return workspace.store.open(stored.artifact), output
    raise refusals[0]


def _kinds(classes: tuple[str, ...]) -> Iterator[str]:
    """Yield the kinds of output that a model of these classes can have."""
    yield from (kind for kind in _KINDS if kind != "sigmoid" or len(classes) == 2)


def _answers(workspace: Workspace, artifact: Artifact, images: Dataset) -> NDArray[np.float64]:
    """Return the probabilities `(images, columns)` of the model, in the order of its columns."""
    job = EvaluateExternal.of(
        workspace,
        f"trying {artifact.record.origin.plugin}",
        artifact,
        images,
        positive=images.classes[0],
        specificity=SPECIFICITY,
    )
    return np.load(perform_alone(job).probabilities).astype(np.float64)


def best_order(
    answers: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[tuple[int, ...], float]:
    """Return which class each column most likely stands for, and the accuracy in that order.

    `answers` are `(images, columns)`, and `labels` `(images,)` are indices of classes. The order is
    an optimal assignment of columns to classes (Kuhn 1955, Naval Research Logistics 2:83).
    """
    columns = answers.shape[1]
    counts = np.zeros((columns, columns))
    np.add.at(counts, (answers.argmax(axis=1), labels), 1)
    optimize: Any = import_module("scipy.optimize")
    _, order = optimize.linear_sum_assignment(counts, maximize=True)
    right = counts[np.arange(columns), order].sum()
    return tuple(order.tolist()), float(right / len(labels))
