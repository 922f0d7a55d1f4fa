"""Writes the answers of models as CSV, a line for each image."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from pupila.artifact import Threshold
from pupila.dataset import Dataset
from pupila.store import write_atomically
from pupila.task import methods_of


@dataclass(frozen=True)
class ModelAnswers:
    """The answers of one model."""

    name: str
    answers: str
    """Path of the `.npy` file with the answers `(images, columns)`."""
    threshold: Threshold | None
    """Threshold that ships with the model and decides its answers; None if none ships."""


def write_answers(
    file: Path,
    images: Dataset,
    models: Sequence[ModelAnswers],
    columns: Sequence[str] = (),
    *,
    labelled: bool,
) -> None:
    """Write a CSV with a line per image: path, label, and each model's answer in words and numbers.

    `columns` names further columns to copy from the table of the images. If `labelled` is False,
    the column `label` is left out.
    """
    task, classes = methods_of(images.task), images.classes
    head = ["path", *(["label"] if labelled else []), *columns]
    table = [images.frame[name].astype(str).tolist() for name in head]
    for model in models:
        answers = np.asarray(np.load(model.answers), np.float64)
        decided = task.decided(answers, classes, model.threshold)
        head += [model.name, *(f"{model.name}: {name}" for name in task.answer_columns(classes))]
        table.append([task.describe(answer, classes) for answer in decided])
        table += [[f"{value:.6g}" for value in column] for column in answers.T.tolist()]
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(zip(*table, strict=True))
    write_atomically(file, stream.getvalue().encode())
