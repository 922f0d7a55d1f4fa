"""Writes the predictions of models as CSV, a line for each image."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from pupila.artifact import Threshold
from pupila.dataset import Dataset
from pupila.metrics import answers_of
from pupila.store import write_atomically


@dataclass(frozen=True)
class ModelAnswers:
    """The predictions of one model."""

    name: str
    probabilities: str
    """Path of the `.npy` file with the probabilities `(images, classes)`."""
    threshold: Threshold | None
    """Threshold that ships with the model and decides its classes; None if none ships."""


def write_answers(
    file: Path,
    images: Dataset,
    models: Sequence[ModelAnswers],
    columns: Sequence[str] = (),
    *,
    labelled: bool,
) -> None:
    """Write a CSV with a line per image: path, label, and each model's class and probabilities.

    `columns` names further columns to copy from the table of the images. If `labelled` is False,
    the column `label` is left out.
    """
    head = ["path", *(["label"] if labelled else []), *columns]
    table = [images.frame[name].astype(str).tolist() for name in head]
    for model in models:
        scores = np.asarray(np.load(model.probabilities), np.float64)
        answers = answers_of(scores, images.classes, model.threshold).tolist()
        head += [model.name, *(f"{model.name}: {name}" for name in images.classes)]
        table.append([images.classes[answer] for answer in answers])
        table += [[f"{value:.6g}" for value in column] for column in scores.T.tolist()]
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(zip(*table, strict=True))
    write_atomically(file, stream.getvalue().encode())
