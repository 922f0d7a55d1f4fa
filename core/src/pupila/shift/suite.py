"""The shift suite: how far a pupil answers as its teacher does where images are as elsewhere.

Both are asked about the same altered images, some of each family, drawn evenly from the classes;
each family has others, so that the suite covers more of the images than one family does. They are
altered at the size that the teacher reads, and made smaller for the pupil. The suite's value is the
mean over families of the fidelity (see `pupila.fidelity`) at the middle severity; its interval is
of images, or of patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.artifact import Artifact
from pupila.contract import InputContract
from pupila.dataset import Dataset
from pupila.digest import digest_json
from pupila.errors import PupilaError
from pupila.fidelity import bootstrapped, correlation, logits_of, mean_difference
from pupila.images import resize
from pupila.metrics import answers_of, checked
from pupila.predictions import Predictions
from pupila.registry import installed
from pupila.roc import mean_area
from pupila.runtime import Progress
from pupila.shift import FAMILIES, SEVERITIES, Severity, alter
from pupila.shift.figures import Parted, ShiftFamily, ShiftFigures, ShiftStep

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

IMAGES = 24
"""Of each family at the middle severity; at the others half of them."""
PARTED = 8
"""Altered images that are kept by name: those on which pupil and teacher are most apart."""
_SAME = 1e-6
"""Standard deviation of logits, from which on a model does not answer the same to all images."""


@dataclass(frozen=True)
class Cell:
    """The images that one family alters at one severity."""

    family: str
    severity: Severity
    rows: Rows
    """Of the split's images, `(images,)`."""
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Suite:
    """Which images are altered, and how."""

    families: tuple[str, ...] = FAMILIES
    images: int = IMAGES
    seed: int = 0
    severities: tuple[Severity, ...] = SEVERITIES

    def cells(self, labels: Rows) -> list[Cell]:
        """Draw the images of each family and severity from those of a split, by their labels.

        What a family is given depends on no other family.
        """
        return [cell for name in self.families for cell in self._cells(name, labels)]

    def _cells(self, name: str, labels: Rows) -> Iterator[Cell]:
        number = int(sha256(name.encode()).hexdigest()[:8], 16)
        order = _evenly(labels, np.random.default_rng([self.seed, number]))
        for severity in self.severities:
            part = self.images if severity == "middle" else max(1, self.images // 2)
            seed = (self.seed, number, 1 + SEVERITIES.index(severity))
            yield Cell(name, severity, order[:part], seed)

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """All that altered images depend on beside the images and their size."""
        registry = installed()
        code = registry.code_of(*(registry.shift(name) for name in self.families))
        settings = digest_json([self.families, self.images, self.seed, self.severities])
        return ("shift suite", settings, *code)


def judge_shift(
    artifact: Artifact,
    dataset: Dataset,
    reference: tuple[str, Artifact],
    *,
    suite: Suite,
    positive: str,
    predictions: Predictions,
    progress: Progress,
) -> ShiftFigures:
    """Return how far an artifact answers as the teacher `reference` does on altered images.

    `dataset` holds the images of one split. Answers are kept in `predictions`.

    Raises:
        PupilaError: the classes do not match, or the teacher answers the same to every image.
    """
    name, teacher = reference
    cells = suite.cells(dataset.labels)
    size = teacher.record.input
    ours, theirs = (
        _Answers.of(model, dataset, cells, suite, size, positive, predictions, progress)
        for model in (artifact, teacher)
    )
    families, silent = _families(cells, ours, theirs)
    drawn = np.unique(np.concatenate([cell.rows for cell in cells]))
    patients = None if dataset.patients is None else dataset.patients[drawn]
    middle = [
        (np.searchsorted(drawn, cell.rows), ours.logits(cell), theirs.logits(cell))
        for cell in cells
        if cell.severity == "middle" and cell.family not in silent
    ]
    if not middle:
        raise PupilaError(
            f"{name!r} answers the same to all altered images, so nothing can be compared with "
            f"it: give a teacher that tells images apart, or leave `shift` out of the recipe."
        )

    def value(counts: Floats) -> Floats:
        found = [correlation(mine, other, counts[:, rows]) for rows, mine, other in middle]
        return np.mean(found, axis=0)

    worst = families[0].name
    return ShiftFigures(
        reference=name,
        runtime=installed().runner(artifact.format).name,
        split=str(dataset.frame["split"].iloc[0]),
        seed=suite.seed,
        images=max(len(cell.rows) for cell in cells),
        value=bootstrapped(value, len(drawn), patients, suite.seed),
        unaltered=_step(None, ours.unaltered, theirs.unaltered, ours, theirs),
        families=families,
        left_out=tuple(sorted(silent)),
        parted=_parted(
            next(c for c in cells if (c.family, c.severity) == (worst, "middle")), ours, theirs
        ),
    )


@dataclass(frozen=True)
class _Cut:
    """Answers to some pictures."""

    scores: Floats
    labels: Rows


@dataclass(frozen=True)
class _Answers:
    """What a model answers to the unaltered images, and to the pictures of each cell."""

    model: Artifact
    classes: tuple[str, ...]
    positive: int
    unaltered: _Cut
    by_cell: dict[tuple[str, Severity], _Cut]

    @classmethod
    def of(
        cls,
        model: Artifact,
        dataset: Dataset,
        cells: Sequence[Cell],
        suite: Suite,
        size: InputContract,
        positive: str,
        predictions: Predictions,
        progress: Progress,
    ) -> _Answers:
        """Ask a model."""

        def judged(probabilities: NDArray[np.float32], labels: Rows) -> _Cut:
            return _Cut(*checked(probabilities, labels, dataset.classes, "altered"))

        answers = predictions.of_pictures(
            model,
            dataset,
            (*suite.identity, size.model_dump_json()),
            lambda: pictures(dataset, cells, size, model.record.input),
            sum(len(cell.rows) for cell in cells),
            progress,
        )
        by_cell: dict[tuple[str, Severity], _Cut] = {}
        start = 0
        for cell in cells:
            part = answers[start : start + len(cell.rows)]
            by_cell[cell.family, cell.severity] = judged(part, dataset.labels[cell.rows])
            start += len(cell.rows)
        return cls(
            model,
            dataset.classes,
            dataset.classes.index(positive),
            judged(predictions.of(model, dataset, progress), dataset.labels),
            by_cell,
        )

    def cut(self, cell: Cell) -> _Cut:
        return self.by_cell[cell.family, cell.severity]

    def logits(self, cell: Cell) -> Floats:
        return logits_of(self.cut(cell).scores, self.positive)

    def accuracy(self, cut: _Cut) -> float:
        given = answers_of(cut.scores, self.classes, self.model.record.threshold)
        return float((given == cut.labels).mean())

    def auc(self, cut: _Cut) -> float | None:
        if not np.bincount(cut.labels, minlength=len(self.classes)).all():
            return None
        columns = [self.positive] if len(self.classes) == 2 else range(len(self.classes))
        return mean_area(cut.scores, cut.labels, columns)


def pictures(
    dataset: Dataset, cells: Sequence[Cell], size: InputContract, target: InputContract
) -> Iterator[NDArray[np.uint8]]:
    """Yield the altered images of each cell: altered at `size`, then resized to `target`."""
    pixels = dataset.pixels(size)
    for cell in cells:
        images = np.stack([pixels[row] for row in cell.rows.tolist()])
        family, random = installed().shift(cell.family), np.random.default_rng(cell.seed)
        altered = alter(family, images, cell.severity, random)
        yield np.stack([resize(Image.fromarray(image), target) for image in altered])


def _evenly(labels: Rows, random: np.random.Generator) -> Rows:
    """Return all rows in a drawn order in which the classes take turns, as long as they last."""
    order = random.permutation(len(labels))
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        turns[of_class] = np.arange(len(of_class))
    return order[np.argsort(turns[order], kind="stable")]


def _families(
    cells: Sequence[Cell], ours: _Answers, theirs: _Answers
) -> tuple[tuple[ShiftFamily, ...], set[str]]:
    """Return what is to say of each family, the worst first, and those that do not count."""
    steps: dict[str, list[ShiftStep]] = {}
    silent: set[str] = set()
    for cell in cells:
        step = _step(cell.severity, ours.cut(cell), theirs.cut(cell), ours, theirs)
        steps.setdefault(cell.family, []).append(step)
        if cell.severity == "middle" and theirs.logits(cell).std(axis=0).max() < _SAME:
            silent.add(cell.family)
    found = [ShiftFamily(name=name, steps=tuple(each)) for name, each in steps.items()]
    found.sort(key=lambda family: (family.name in silent, family.middle.fidelity))
    return tuple(found), silent


def _step(
    severity: Severity | None, mine: _Cut, other: _Cut, ours: _Answers, theirs: _Answers
) -> ShiftStep:
    logits, others = (logits_of(cut.scores, ours.positive) for cut in (mine, other))
    once = np.ones((1, len(logits)))
    return ShiftStep(
        severity=severity,
        images=len(logits),
        accuracy=ours.accuracy(mine),
        reference_accuracy=theirs.accuracy(other),
        auc=ours.auc(mine),
        reference_auc=theirs.auc(other),
        fidelity=float(correlation(logits, others, once)[0]),
        agreement=float((mine.scores.argmax(axis=1) == other.scores.argmax(axis=1)).mean()),
        mean_difference=float(mean_difference(logits, others, once)[0]),
    )


def _parted(cell: Cell, ours: _Answers, theirs: _Answers) -> tuple[Parted, ...]:
    """Return the pictures of a cell on which both are most apart."""
    mine, other = ours.cut(cell).scores, theirs.cut(cell).scores
    apart = np.abs(mine - other).max(axis=1)
    order: list[int] = np.argsort(-apart, kind="stable")[:PARTED].tolist()
    return tuple(
        Parted(
            row=int(cell.rows[place]),
            probability=float(mine[place, ours.positive]),
            reference=float(other[place, ours.positive]),
        )
        for place in order
    )
