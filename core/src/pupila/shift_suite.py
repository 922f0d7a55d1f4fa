"""The shift suite: how far a pupil answers as its teacher does where images are as elsewhere.

Both are asked about the same altered images, some of each family, drawn evenly from the classes;
each family has others, so that the suite covers more of the images than one family does. They are
altered at the size that the teacher reads, and made smaller for the pupil. The suite's value is the
mean over families of the fidelity (see `pupila.fidelity`) at the middle severity; its interval is
of images, or of patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.arrays import Pixels
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.digest import digest_code, digest_json
from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.fidelity import bootstrap, correlation, logits_of, mean_difference
from pupila.images import resize
from pupila.metrics import answers_of, check_answers
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.roc import mean_auc
from pupila.runtime import Progress
from pupila.shift import FAMILIES, SEVERITIES, Severity, alter
from pupila.shift.figures import Parted, ShiftFamily, ShiftFigures, ShiftStep
from pupila.spec import InputSpec

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

IMAGES = 24
"""Of each family at the middle severity; at the others a third of them."""
DISAGREEMENTS_KEPT = 8
"""Altered images that are kept by name: those on which pupil and teacher are most apart."""
_AT_ONCE = 64
"""Pictures in memory: what a model is asked at a time, and what a family alters at most."""
_SILENT = 0.25
"""A teacher whose logits vary by less than this part of how they vary on the unaltered images does
not tell the pictures of a family apart: what a pupil keeps of such answers is chance."""


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
            part = self.images if severity == "middle" else max(1, self.images // 3)
            seed = (self.seed, number, 1 + SEVERITIES.index(severity))
            yield Cell(name, severity, order[:part], seed)

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """All that altered images depend on beside the images and their size."""
        registry = installed()
        families = [registry.shift(name) for name in self.families]
        modules = {family.implementation.partition(":")[0] for family in families}
        settings = digest_json([self.families, self.images, self.seed, self.severities])
        code = digest_code(__name__, "pupila.shift", *sorted(modules))
        return ("shift suite", settings, code, *registry.code_of(*families))


def judge_shift(
    artifact: Artifact,
    dataset: Dataset,
    reference: tuple[str, Artifact],
    *,
    suite: Suite,
    positive: str,
    predictions: Predictions,
    progress: Progress,
    split: str = "test",
    validated: bool = False,
) -> ShiftFigures:
    """Return how far an artifact answers as the teacher `reference` does on altered images.

    They are of one split of `dataset` (which holds every split). Where it is `validated`, the value
    is computed on the validation images too, if the data has some: choices are made by it. Answers
    are kept in `predictions`.

    Raises:
        PupilaError: the classes do not match, or the teacher answers the same to every image.
    """
    name, teacher = reference

    def asked(of: str, severities: tuple[Severity, ...]) -> _Asked:
        images, chosen = dataset.select(of), replace(suite, severities=severities)
        cells = chosen.cells(images.labels)
        size = teacher.record.input
        ours, theirs = (
            _Answers.of(model, images, cells, chosen, size, positive, predictions, progress)
            for model in (artifact, teacher)
        )
        return _Asked(name, images, chosen, cells, ours, theirs)

    judged = asked(split, suite.severities)
    others = validated and "validation" in dataset.splits
    families = judged.families()
    return ShiftFigures(
        reference=name,
        runtime=installed().runner(artifact.format).name,
        split=split,
        seed=suite.seed,
        images=max(len(cell.rows) for cell in judged.cells),
        value=judged.value(),
        validation=asked("validation", ("middle",)).value() if others else None,
        unaltered=judged.unaltered,
        families=families,
        left_out=tuple(sorted(judged.silent)),
        parted=judged.parted(families[0].name),
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
        size: InputSpec,
        positive: str,
        predictions: Predictions,
        progress: Progress,
    ) -> _Answers:
        """Ask a model."""

        def judged(probabilities: NDArray[np.float32], labels: Rows) -> _Cut:
            return _Cut(*check_answers(probabilities, labels, dataset.classes, "altered"))

        answers = answers_to(model, dataset, cells, suite, size, predictions, progress)
        by_cell: dict[tuple[str, Severity], _Cut] = {
            (cell.family, cell.severity): judged(given, dataset.labels[cell.rows])
            for cell, given in zip(cells, answers, strict=True)
        }
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
        return mean_auc(cut.scores, cut.labels, columns)


def answers_to(
    model: Artifact,
    dataset: Dataset,
    cells: Sequence[Cell],
    suite: Suite,
    size: InputSpec,
    predictions: Predictions,
    progress: Progress,
) -> list[NDArray[np.float32]]:
    """Return probabilities `(images, classes)` of the images of each cell, altered at `size`."""
    counts = [len(cell.rows) for cell in cells]
    answers = predictions.of_pictures(
        model,
        dataset,
        (*suite.identity, size.model_dump_json()),
        lambda: pictures(dataset, cells, size, model.record.input),
        sum(counts),
        progress,
    )
    return np.split(answers, np.cumsum(counts)[:-1])


def is_silent(altered: Floats, unaltered: Floats) -> bool:
    """Tell whether a teacher does not tell altered images apart, by its logits `(images, …)`."""
    return bool(altered.std(axis=0).max() <= _SILENT * unaltered.std(axis=0).max())


def pictures(
    dataset: Dataset, cells: Sequence[Cell], size: InputSpec, target: InputSpec
) -> Iterator[NDArray[np.uint8]]:
    """Yield the altered images of all cells, some at a time: altered at `size`, made `target`'s."""
    batch: list[NDArray[np.uint8]] = []
    for image in _altered(dataset.pixels(size), cells):
        batch.append(resize(Image.fromarray(image), target))
        if len(batch) == _AT_ONCE:
            yield np.stack(batch)
            batch.clear()
    if batch:
        yield np.stack(batch)


def _altered(pixels: Pixels, cells: Sequence[Cell]) -> Iterator[NDArray[np.uint8]]:
    """Yield the altered images of all cells, one by one."""
    for cell in cells:
        family, random = installed().shift(cell.family), np.random.default_rng(cell.seed)
        for start in range(0, len(cell.rows), _AT_ONCE):
            rows: list[int] = cell.rows[start : start + _AT_ONCE].tolist()
            yield from alter(family, np.stack([pixels[row] for row in rows]), cell.severity, random)


def _evenly(labels: Rows, random: np.random.Generator) -> Rows:
    """Return all rows in a drawn order in which the classes take turns, as long as they last."""
    order = random.permutation(len(labels))
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        turns[of_class] = np.arange(len(of_class))
    return order[np.argsort(turns[order], kind="stable")]


@dataclass(frozen=True)
class _Asked:
    """Artifact and teacher, asked about the altered images of one split."""

    teacher: str
    images: Dataset
    suite: Suite
    cells: Sequence[Cell]
    ours: _Answers
    theirs: _Answers

    @cached_property
    def silent(self) -> set[str]:
        """Families to whose pictures the teacher answers all alike: there is nothing to compare."""
        unaltered = logits_of(self.theirs.unaltered.scores, self.theirs.positive)
        return {
            cell.family
            for cell in self.cells
            if cell.severity == "middle" and is_silent(self.theirs.logits(cell), unaltered)
        }

    def value(self) -> Estimate:
        """Return the suite's value.

        Raises:
            PupilaError: the teacher answers the same to all pictures.
        """
        drawn = np.unique(np.concatenate([cell.rows for cell in self.cells]))
        patients = self.images.patients
        middle = [
            (np.searchsorted(drawn, cell.rows), self.ours.logits(cell), self.theirs.logits(cell))
            for cell in self.cells
            if cell.severity == "middle" and cell.family not in self.silent
        ]
        if not middle:
            raise PupilaError(
                f"{self.teacher!r} answers the same to all altered images, so nothing can be "
                f"compared with it: give a teacher that tells images apart, or leave `shift` and "
                f"`gate.fidelity` out of the recipe."
            )

        def mean(counts: Floats) -> Floats:
            found = [correlation(ours, theirs, counts[:, rows]) for rows, ours, theirs in middle]
            return np.mean(found, axis=0)

        clusters = None if patients is None else patients[drawn]
        return bootstrap(mean, len(drawn), clusters, self.suite.seed)

    def families(self) -> tuple[ShiftFamily, ...]:
        """Return what is to say of each family, first the one of the least fidelity."""
        steps: dict[str, list[ShiftStep]] = {}
        for cell in self.cells:
            step = self._step(cell.severity, self.ours.cut(cell), self.theirs.cut(cell))
            steps.setdefault(cell.family, []).append(step)
        found = [ShiftFamily(name=name, steps=tuple(each)) for name, each in steps.items()]
        found.sort(key=lambda family: (family.name in self.silent, family.middle.fidelity))
        return tuple(found)

    @property
    def unaltered(self) -> ShiftStep:
        """What is to say of the images themselves."""
        return self._step(None, self.ours.unaltered, self.theirs.unaltered)

    def _step(self, severity: Severity | None, ours: _Cut, theirs: _Cut) -> ShiftStep:
        mine, others = (logits_of(cut.scores, self.ours.positive) for cut in (ours, theirs))
        once = np.ones((1, len(mine)))
        return ShiftStep(
            severity=severity,
            images=len(mine),
            accuracy=self.ours.accuracy(ours),
            reference_accuracy=self.theirs.accuracy(theirs),
            auc=self.ours.auc(ours),
            reference_auc=self.theirs.auc(theirs),
            fidelity=float(correlation(mine, others, once)[0]),
            agreement=float((ours.scores.argmax(axis=1) == theirs.scores.argmax(axis=1)).mean()),
            mean_difference=float(mean_difference(mine, others, once)[0]),
        )

    def parted(self, family: str) -> tuple[Parted, ...]:
        """Return the pictures of a family, at the middle severity, on which both are most apart."""
        (cell,) = (
            cell for cell in self.cells if (cell.family, cell.severity) == (family, "middle")
        )
        mine, other = self.ours.cut(cell).scores, self.theirs.cut(cell).scores
        apart = np.abs(mine - other).max(axis=1)
        order: list[int] = np.argsort(-apart, kind="stable")[:DISAGREEMENTS_KEPT].tolist()
        return tuple(
            Parted(
                row=int(cell.rows[place]),
                probability=float(mine[place, self.ours.positive]),
                reference=float(other[place, self.ours.positive]),
            )
            for place in order
        )
