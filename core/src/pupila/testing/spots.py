"""A small task beyond classification, for tests: where the spot in an image is.

Labels are `x` and `y` in pixels of the file, or empty without a spot. Answers are `x` and
`y` as fractions of the image's width and height.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.artifact import Threshold
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import Metrics
from pupila.hookspecs import hookimpl
from pupila.intervals import share
from pupila.plugin import Task
from pupila.spec import OutputSpec
from pupila.task import Answers, Bools, LabelRule, MetricSettings, TaskMethods, Truths
from pupila.task_words import Mark
from pupila.testing.installing import plugin_installed

SPOTS = "spots"
_ABSENT = "absent"
_RIGHT = 0.1
"""Largest distance of a right answer, as a fraction of the image's sides."""


@hookimpl
def pupila_tasks() -> Iterator[Task]:
    """Yield the task."""
    yield Task(
        name=SPOTS,
        summary="Where the spot in an image is",
        implementation=f"{__name__}:Spots",
        training="nowhere:nothing",
        label_columns=("x", "y"),
        output_kinds=("coordinates", "grid"),
        default_classes=("spot",),
    )


@contextmanager
def spots_installed(folder: Path) -> Generator[None]:
    """Install the task as a distribution in `folder`, inside the `with` block."""
    code = f"from {__name__} import pupila_tasks as pupila_tasks\n"
    with plugin_installed(folder, "pupila-spots", "pupila_spots", code):
        yield


def draw_spots(folder: Path, per_split: int = 5, size: tuple[int, int] = (40, 32)) -> Path:
    """Draw images of a white spot on grey, `size` wide and high; return the CSV that lists them."""
    folder.mkdir(parents=True)
    random, lines = np.random.default_rng(0), ["path,x,y,split"]
    width, height = size
    for split in ("train", "validation", "test"):
        for number in range(per_split):
            x, y = int(random.integers(4, width - 4)), int(random.integers(4, height - 4))
            pixels = random.integers(60, 120, (height, width, 3), dtype=np.uint8)
            pixels[y - 3 : y + 4, x - 3 : x + 4] = 255
            Image.fromarray(pixels).save(folder / f"{split}-{number}.png")
            lines.append(f"{split}-{number}.png,{x},{y},{split}")
    listing = folder / "spots.csv"
    listing.write_text("\n".join([*lines, ""]))
    return listing


class Spots(TaskMethods):
    """The methods of the task."""

    right_title = "found"
    right_meaning = "the spot is where the label says"

    def label_of(self, fields: Mapping[str, str]) -> str:
        if not any(text.strip() for text in fields.values()):
            return _ABSENT
        label = super().label_of(fields)
        for name, text in fields.items():
            if not _is_finite(text):
                raise PupilaError(f"has the {name} {text!r}: give a number of pixels.")
        return label

    def label_rules(self, images: Dataset) -> Sequence[LabelRule]:
        sizes: list[tuple[float, float]] = _sizes(images).tolist()
        faults = [
            "" if label == _ABSENT else _outside(label, *size)
            for label, size in zip(images.frame["label"].tolist(), sizes, strict=True)
        ]
        name, advice = "Every spot is in its image", "Give positions in pixels of the file."
        return [LabelRule(name=name, column="spot", faults=faults, advice=advice)]

    def truths(self, images: Dataset) -> NDArray[np.float64]:
        """Return x and y as fractions, `(images, 2)`; NaN without a spot."""
        labels: list[str] = images.frame["label"].tolist()
        pixels = [[np.nan] * 2 if label == _ABSENT else _pixels(label) for label in labels]
        return np.array(pixels) / _sizes(images)

    def declared(self, output: OutputSpec, shape: tuple[int, ...]) -> OutputSpec:
        fits = shape == (2,) if output.kind == "coordinates" else len(shape) == 3 and shape[2] == 1
        if not fits:
            raise PupilaError(
                f"The model gives {shape} for each image, and {output.kind} of a spot are "
                f"{'(2,)' if output.kind == 'coordinates' else '(rows, columns, 1)'}: correct "
                f"`output` of the teacher."
            )
        return output.model_copy(update={"size": shape})

    def answers(self, output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        if output.kind == "coordinates" or output.size is None:
            return outputs
        rows, columns, _ = output.size
        row, column = np.divmod(outputs.argmax(axis=1), columns)
        return np.stack([(column + 0.5) / columns, (row + 0.5) / rows], axis=1).astype(np.float32)

    def answer_columns(self, classes: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{name} {part}" for name in classes for part in "xy")

    def right(
        self,
        answers: Answers,
        truths: Truths,
        classes: Sequence[str],
        threshold: Threshold | None = None,
    ) -> Bools:
        return np.hypot(*(np.asarray(answers) - truths).T) < _RIGHT

    def same(self, answers: Answers, others: Answers) -> Bools:
        return np.hypot(*(answers - others).T) < _RIGHT

    def comparable(self, answers: Answers, positive: int = 0) -> NDArray[np.float64]:
        return np.asarray(answers, np.float64)

    def losses(self, answers: Answers, truths: Truths) -> NDArray[np.float64]:
        """Return the distance of each answer from the spot, `(images,)`."""
        return np.hypot(*(np.asarray(answers, np.float64) - truths).T)

    def metrics(self, answers: Answers, truths: Truths, settings: MetricSettings) -> Metrics:
        right = self.right(answers, truths, settings.classes)
        return Metrics(images=len(right), accuracy=share(right, settings.patients))

    def describe(self, answer: Answers, classes: Sequence[str]) -> str:
        return f"{answer[0]:.2f}, {answer[1]:.2f}"

    def describe_truth(self, truth: Truths, classes: Sequence[str]) -> str:
        return _ABSENT if np.isnan(truth).any() else self.describe(truth, classes)

    def marks(self, answer: NDArray[Any], classes: Sequence[str]) -> Sequence[Mark]:
        return () if np.isnan(answer).any() else [Mark(x=float(answer[0]), y=float(answer[1]))]


def _sizes(images: Dataset) -> NDArray[np.float64]:
    """Return width and height of each file, `(images, 2)`."""
    columns = [np.asarray(images.frame[name], np.float64) for name in ("width", "height")]
    return np.stack(columns, axis=1)


def _pixels(label: str) -> list[float]:
    return [float(part) for part in label.split()]


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _outside(label: str, width: float, height: float) -> str:
    x, y = _pixels(label)
    inside = 0 <= x <= width and 0 <= y <= height
    return "" if inside else f"{label} of {width:g} × {height:g}"
