"""The answers of models as a table and as CSV, a line for each image."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

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


Column = tuple[str, list[Any]]
"""Name of a column and a value for each image."""


def answer_columns(
    images: Dataset,
    models: Sequence[ModelAnswers],
    columns: Sequence[str] = (),
    *,
    labelled: bool,
) -> list[Column]:
    """Return path and label of each image, and each model's answer in words and numbers.

    `columns` names further columns to copy from the table of the images. If `labelled` is False,
    the column `label` is left out.
    """
    task, classes = methods_of(images.task), images.classes
    head = ["path", *(["label"] if labelled else []), *columns]
    table: list[Column] = [(name, images.frame[name].astype(str).tolist()) for name in head]
    for model in models:
        answers = np.asarray(np.load(model.answers), np.float64)
        decided = task.decided(answers, classes, model.threshold)
        table.append((model.name, [task.describe(answer, classes) for answer in decided]))
        names = (f"{model.name}: {name}" for name in task.answer_columns(classes))
        table += zip(names, answers.T.tolist(), strict=True)
    return table


def write_answers(
    file: Path,
    images: Dataset,
    models: Sequence[ModelAnswers],
    columns: Sequence[str] = (),
    *,
    labelled: bool,
) -> None:
    """Write a CSV with a line per image, and the columns of `answer_columns`."""
    table = answer_columns(images, models, columns, labelled=labelled)
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(name for name, _ in table)
    for row in zip(*(values for _, values in table), strict=True):
        writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in row)
    write_atomically(file, stream.getvalue().encode())
