"""The shift suite measures how well a pupil agrees with its teacher on altered images.

Pupil and teacher predict the same altered images. Each family of alterations is applied to a random
sample of the images, spread evenly over the classes. Families have different samples, so that the
suite covers more images. Images are altered at the size that the teacher reads, and then resized
for the pupil. The suite's value is the fidelity (see `pupila.fidelity`) at the middle severity,
averaged over the families. The interval of the value is computed by resampling images, or patients.
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
from pupila.fidelity import bootstrap, correlation, mean_difference
from pupila.images import content_of, resize
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.runtime import Progress
from pupila.shift import FAMILIES, SEVERITIES, Severity, alter_each
from pupila.shift.evaluation import Disagreement, ShiftEvaluation, ShiftFamily, ShiftMetrics
from pupila.spec import InputSpec
from pupila.task import TaskMethods, Truths, methods_of

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

IMAGES = 24
"""Number of images of a family at the middle severity; other severities use a third of them."""
DISAGREEMENTS_KEPT = 8
"""Number of altered images listed: those on which pupil and teacher differ most."""
_AT_ONCE = 64
"""Number of images that a model predicts, and most that a family alters, at once."""
_SILENT = 0.25
"""A family is left out if the teacher's logits vary too little on its images: by less than this
fraction of their variation on the unaltered images. The teacher then does not distinguish the
family's images, and agreement with its answers is chance."""


@dataclass(frozen=True)
class Cell:
    """The images that one family alters at one severity."""

    family: str
    severity: Severity
    rows: Rows
    """Rows of the images in their split, `(images,)`."""
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Suite:
    """Settings of a shift suite: which images of a split are altered, and how."""

    families: tuple[str, ...] = FAMILIES
    images: int = IMAGES
    seed: int = 0
    severities: tuple[Severity, ...] = SEVERITIES

    def cells(self, strata: Rows) -> list[Cell]:
        """Choose the images of each family and severity at random, evenly over the strata.

        `labels` are the labels of all images of the split, `(images,)`. Which images a family gets
        does not depend on the other families.
        """
        return [cell for name in self.families for cell in self._cells(name, strata)]

    def _cells(self, name: str, strata: Rows) -> Iterator[Cell]:
        number = int(sha256(name.encode()).hexdigest()[:8], 16)
        order = _evenly(strata, np.random.default_rng([self.seed, number]))
        for severity in self.severities:
            count = self.images if severity == "middle" else max(1, self.images // 3)
            seed = (self.seed, number, 1 + SEVERITIES.index(severity))
            yield Cell(name, severity, order[:count], seed)

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """Texts on everything that altered images depend on besides the images and their size."""
        registry = installed()
        families = [registry.shift(name) for name in self.families]
        modules = {family.implementation.partition(":")[0] for family in families}
        settings = digest_json([self.families, self.images, self.seed, self.severities])
        code = digest_code(__name__, "pupila.shift", *sorted(modules))
        return ("shift suite", settings, code, *registry.code_of(*families))


def evaluate_shift(
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
) -> ShiftEvaluation:
    """Return how well an artifact agrees with the teacher `reference` on altered images.

    The images are those of one split of `dataset`, which holds every split. `reference` is the
    teacher's name and artifact. With `validated`, the suite's value is also computed on the
    validation images, if there are any; choices between models are based on the validation images.
    Answers are cached in `predictions`.

    Raises:
        PupilaError: the classes do not match, or the teacher gives every image the same answer.
    """
    name, teacher = reference

    def compare(split: str, severities: tuple[Severity, ...]) -> _Comparison:
        images, chosen = dataset.select(split), replace(suite, severities=severities)
        cells = chosen.cells(images.strata)
        size = teacher.record.input
        ours, theirs = (
            _ModelAnswers.of(model, images, cells, chosen, size, positive, predictions, progress)
            for model in (artifact, teacher)
        )
        return _Comparison(name, images, chosen, cells, ours, theirs)

    comparison = compare(split, suite.severities)
    has_validation = validated and "validation" in dataset.splits
    families = comparison.families()
    return ShiftEvaluation(
        reference=name,
        runtime=installed().runner(artifact.format).name,
        split=split,
        seed=suite.seed,
        images=max(len(cell.rows) for cell in comparison.cells),
        value=comparison.value(),
        validation=compare("validation", ("middle",)).value() if has_validation else None,
        unaltered=comparison.unaltered,
        families=families,
        left_out=tuple(sorted(comparison.silent)),
        disagreements=comparison.disagreements(families[0].name),
    )


@dataclass(frozen=True)
class _Answers:
    """A model's answers to some images, and what their labels say."""

    scores: Floats
    truths: Truths


@dataclass(frozen=True)
class _ModelAnswers:
    """A model's answers to the unaltered images, and to the images of each cell."""

    model: Artifact
    task: TaskMethods
    classes: tuple[str, ...]
    positive: int
    unaltered: _Answers
    by_cell: dict[tuple[str, Severity], _Answers]

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
    ) -> _ModelAnswers:
        """Return a model's answers to the unaltered images and to all altered ones."""
        task = methods_of(dataset.task)
        truths = task.truths(dataset)
        answers = answers_to(model, dataset, cells, suite, size, predictions, progress)
        by_cell: dict[tuple[str, Severity], _Answers] = {
            (cell.family, cell.severity): _Answers(scores.astype(np.float64), truths[cell.rows])
            for cell, scores in zip(cells, answers, strict=True)
        }
        unaltered = predictions.of(model, dataset, progress).astype(np.float64)
        return cls(
            model,
            task,
            dataset.classes,
            dataset.classes.index(positive) if positive else 0,
            _Answers(unaltered, truths),
            by_cell,
        )

    def to(self, cell: Cell) -> _Answers:
        return self.by_cell[cell.family, cell.severity]

    def logits(self, cell: Cell) -> Floats:
        return self.comparable(self.to(cell))

    def comparable(self, answers: _Answers) -> Floats:
        return self.task.comparable(answers.scores, self.positive)

    def accuracy(self, answers: _Answers) -> float:
        threshold = self.model.record.threshold
        right = self.task.right(answers.scores, answers.truths, self.classes, threshold)
        return float(right.mean())

    def auc(self, answers: _Answers) -> float | None:
        return self.task.area(answers.scores, answers.truths, self.positive)


def answers_to(
    model: Artifact,
    dataset: Dataset,
    cells: Sequence[Cell],
    suite: Suite,
    size: InputSpec,
    predictions: Predictions,
    progress: Progress,
) -> list[NDArray[np.float32]]:
    """Return a model's probabilities `(images, classes)` for the altered images of each cell.

    Images are altered at `size`, and then resized for the model. `suite` has the settings from
    which the cells were made; the settings are part of the cache key.
    """
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
    """Whether a teacher hardly distinguishes the altered images of a family.

    The arguments are the teacher's logits for the altered and for the unaltered images,
    `(images, columns)`.
    """
    return bool(altered.std(axis=0).max() <= _SILENT * unaltered.std(axis=0).max())


def pictures(
    dataset: Dataset, cells: Sequence[Cell], size: InputSpec, target: InputSpec
) -> Iterator[NDArray[np.uint8]]:
    """Yield the altered images of all cells in batches `(n, height, width, 3)`.

    Images are altered at `size`, and then resized to `target`. Of an image that lies in a larger
    picture (`InputSpec.fit`), only the image is altered.
    """
    batch: list[NDArray[np.uint8]] = []
    for image in _altered(dataset.pixels(size), size, cells):
        batch.append(resize(Image.fromarray(image), target))
        if len(batch) == _AT_ONCE:
            yield np.stack(batch)
            batch.clear()
    if batch:
        yield np.stack(batch)


def _altered(pixels: Pixels, size: InputSpec, cells: Sequence[Cell]) -> Iterator[NDArray[np.uint8]]:
    """Yield the altered images of all cells, one by one."""
    for cell in cells:
        family, random = installed().shift(cell.family), np.random.default_rng(cell.seed)
        for start in range(0, len(cell.rows), _AT_ONCE):
            rows: list[int] = cell.rows[start : start + _AT_ONCE].tolist()
            images = [content_of(pixels[row], size) for row in rows]
            yield from alter_each(family, images, cell.severity, random)


def _evenly(strata: Rows, random: np.random.Generator) -> Rows:
    """Return all rows in a random order that alternates between the strata while it can."""
    order = random.permutation(len(strata))
    turns = np.empty(len(strata), np.int64)
    for stratum in np.unique(strata):
        of_stratum = order[strata[order] == stratum]
        turns[of_stratum] = np.arange(len(of_stratum))
    return order[np.argsort(turns[order], kind="stable")]


@dataclass(frozen=True)
class _Comparison:
    """The answers of an artifact and of its teacher to the altered images of one split."""

    teacher: str
    images: Dataset
    suite: Suite
    cells: Sequence[Cell]
    ours: _ModelAnswers
    theirs: _ModelAnswers

    @cached_property
    def silent(self) -> set[str]:
        """Families left out of the value: the teacher gives all images nearly the same answer."""
        unaltered = self.theirs.comparable(self.theirs.unaltered)
        return {
            cell.family
            for cell in self.cells
            if cell.severity == "middle" and is_silent(self.theirs.logits(cell), unaltered)
        }

    def value(self) -> Estimate:
        """Return the suite's value: the mean fidelity over families at the middle severity.

        Raises:
            PupilaError: the teacher gives nearly the same answer to all images of every family.
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
            fidelities = [
                correlation(ours, theirs, counts[:, rows]) for rows, ours, theirs in middle
            ]
            return np.mean(fidelities, axis=0)

        clusters = None if patients is None else patients[drawn]
        return bootstrap(mean, len(drawn), clusters, self.suite.seed)

    def families(self) -> tuple[ShiftFamily, ...]:
        """Return the metrics of each family, sorted by fidelity, the lowest first."""
        by_family: dict[str, list[ShiftMetrics]] = {}
        for cell in self.cells:
            metrics = self._metrics(cell.severity, self.ours.to(cell), self.theirs.to(cell))
            by_family.setdefault(cell.family, []).append(metrics)
        families = [ShiftFamily(name=name, steps=tuple(by_family[name])) for name in by_family]
        families.sort(key=lambda family: (family.name in self.silent, family.middle.fidelity))
        return tuple(families)

    @property
    def unaltered(self) -> ShiftMetrics:
        """The metrics on the unaltered images."""
        return self._metrics(None, self.ours.unaltered, self.theirs.unaltered)

    def _metrics(self, severity: Severity | None, ours: _Answers, theirs: _Answers) -> ShiftMetrics:
        mine, others = (self.ours.comparable(answers) for answers in (ours, theirs))
        once = np.ones((1, len(mine)))
        return ShiftMetrics(
            severity=severity,
            images=len(mine),
            accuracy=self.ours.accuracy(ours),
            reference_accuracy=self.theirs.accuracy(theirs),
            auc=self.ours.auc(ours),
            reference_auc=self.theirs.auc(theirs),
            fidelity=float(correlation(mine, others, once)[0]),
            agreement=float(self.ours.task.same(ours.scores, theirs.scores).mean()),
            mean_difference=float(mean_difference(mine, others, once)[0]),
        )

    def disagreements(self, family: str) -> tuple[Disagreement, ...]:
        """Return the images of a family that pupil and teacher answer most differently.

        They are altered at the middle severity.
        """
        (cell,) = (
            cell for cell in self.cells if (cell.family, cell.severity) == (family, "middle")
        )
        mine, other = self.ours.to(cell).scores, self.theirs.to(cell).scores
        differences = np.abs(mine - other).max(axis=1)
        order: list[int] = np.argsort(-differences, kind="stable")[:DISAGREEMENTS_KEPT].tolist()
        task, positive = self.ours.task, self.ours.positive
        ours, theirs = task.scores(mine, positive), task.scores(other, positive)
        return tuple(
            Disagreement(
                row=int(cell.rows[index]),
                probability=None if ours is None else float(ours[index]),
                reference=None if theirs is None else float(theirs[index]),
                answer=task.describe(mine[index], self.ours.classes),
                other=task.describe(other[index], self.ours.classes),
            )
            for index in order
        )
