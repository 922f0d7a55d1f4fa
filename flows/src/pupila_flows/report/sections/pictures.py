"""Thumbnails of test images, with what the truth and the answers mark in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from pupila_flows.report.plots.marked import marked_thumbnail
from pupila_flows.report.predictions import RunPredictions
from pupila_flows.thumbnails import thumbnail


def picture_of(
    predictions: RunPredictions, row: int, file: Path | None, answers: Sequence[tuple[str, str]]
) -> str | Markup | None:
    """Return a test image as a drawing with marks; as a `data:` URL if there is nothing to mark.

    `answers` are pairs of a style class and the name of an entry whose answer is marked, the lowest
    first; the truth lies below them. None if the file is missing or unreadable.
    """
    task, classes = predictions.task, predictions.classes
    marks = [("truth", task.marks(predictions.truths[row], classes))]
    marks += [
        (style, task.marks(predictions.decided(name)[row], classes)) for style, name in answers
    ]
    if not any(drawn for _, drawn in marks):
        return thumbnail(file)
    label = f"Test image {file.name if file else ''}, truth {predictions.truth(row)}"
    return marked_thumbnail(file, marks, label)
