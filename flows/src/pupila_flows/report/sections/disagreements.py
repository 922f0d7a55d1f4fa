"""The images that teacher and pupil answer differently, for a clinician to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.predictions import RunPredictions, locate
from pupila_flows.report.sections.headline import is_near
from pupila_flows.report.sections.pictures import picture_of
from pupila_flows.results import RunResult

_PUPILS = 5
_IMAGES_EACH = 24
_IMAGES = 48


@dataclass(frozen=True)
class Opinion:
    """One model's prediction for one image."""

    name: str
    is_teacher: bool
    answer: str
    probability: float | None
    """Probability of the positive class; without a positive class, of the predicted class. None in
    a task without classes."""
    right: bool
    differs: bool
    """Whether the prediction differs from the teacher's."""


@dataclass(frozen=True)
class Disagreement:
    """An image with the predictions of the models, teachers first."""

    path: str
    picture: str | Markup | None
    """The image as a `data:` URL, or as a drawing with marks; None if it cannot be read."""
    truth: str
    opinions: tuple[Opinion, ...]

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Tally:
    """Counts of the images on which a pupil and its teacher differ, by which model is right."""

    pupil: str
    teacher: str
    images: int
    teacher_right: int
    pupil_right: int
    both_wrong: int


@dataclass(frozen=True)
class Disagreements:
    """Tallies of the shown pupils, and the images on which a pupil and its teacher differ."""

    tallies: tuple[Tally, ...]
    images: tuple[Disagreement, ...]
    left_out: int
    """Number of images that are not shown."""


_Pair = tuple[EvaluatedArtifact, EvaluatedArtifact]


def disagreements(
    result: RunResult,
    lineage: Lineage,
    predictions: RunPredictions,
    chosen: str | None,
    folder: Path,
) -> Disagreements:
    """Return the images on which the chosen pupil or a final pupil differs from its teacher.

    A final pupil is one that nothing else was made from. At most five pupils are shown, the chosen
    one first. Relative paths of images are also looked up in `folder`.
    """
    pairs = _important(result, lineage, predictions, chosen)
    differing = {pupil.name: _differing(predictions, pupil, teacher) for pupil, teacher in pairs}
    ranked = _ranked(predictions, pairs, differing)
    all_rows = {row for rows in differing.values() for row in rows}
    return Disagreements(
        tallies=tuple(_tally(predictions, pair, differing[pair[0].name]) for pair in pairs),
        images=tuple(_disagreement(result, predictions, pairs, row, folder) for row in ranked),
        left_out=len(all_rows) - len(ranked),
    )


def _important(
    result: RunResult, lineage: Lineage, predictions: RunPredictions, chosen: str | None
) -> list[_Pair]:
    """Return the chosen pupil, then other final pupils: first those near their teacher, by size."""
    pairs = [
        (pupil, teacher)
        for pupil in lineage.pupils()
        if (lineage.is_final(pupil.entry) or pupil.name == chosen)
        and pupil.name in predictions.answers
        and (teacher := lineage.reference(pupil.entry))
        and teacher.name in predictions.answers
    ]
    pairs.sort(
        key=lambda pair: (
            pair[0].name != chosen,
            not is_near(*pair, result),
            pair[0].size_bytes,
        )
    )
    return pairs[:_PUPILS]


def _differing(
    predictions: RunPredictions, pupil: EvaluatedArtifact, teacher: EvaluatedArtifact
) -> list[int]:
    """Return the rows of images that pupil and teacher answer differently.

    The image with the largest difference of a number of the answer comes first.
    """
    rows = np.flatnonzero(~predictions.same(pupil.name, teacher.name))
    mine, theirs = predictions.answers[pupil.name], predictions.answers[teacher.name]
    distance = np.abs(mine - theirs).max(axis=1)
    return sorted(rows.tolist(), key=lambda row: (-distance[row], row))


def _ranked(
    predictions: RunPredictions, pairs: list[_Pair], differing: dict[str, list[int]]
) -> list[int]:
    """Merge the images of all pupils, most important first.

    Images come first that most pupils get wrong while their teachers get them right.
    """
    rows = {row for rows_of_pupil in differing.values() for row in rows_of_pupil[:_IMAGES_EACH]}

    def wrong_pupils(row: int) -> int:
        return sum(
            bool(predictions.correct(teacher.name)[row])
            for pupil, teacher in pairs
            if row in differing[pupil.name]
        )

    def differing_pupils(row: int) -> int:
        return sum(row in rows_of_pupil for rows_of_pupil in differing.values())

    return sorted(rows, key=lambda row: (-wrong_pupils(row), -differing_pupils(row), row))[:_IMAGES]


def _tally(predictions: RunPredictions, pair: _Pair, rows: list[int]) -> Tally:
    pupil, teacher = pair
    theirs, mine = predictions.correct(teacher.name)[rows], predictions.correct(pupil.name)[rows]
    return Tally(
        pupil=pupil.name,
        teacher=teacher.name,
        images=len(rows),
        teacher_right=int(theirs.sum()),
        pupil_right=int(mine.sum()),
        both_wrong=int((~theirs & ~mine).sum()),
    )


def _disagreement(
    result: RunResult, predictions: RunPredictions, pairs: list[_Pair], row: int, folder: Path
) -> Disagreement:
    path = result.test_images[row]
    teachers = dict.fromkeys(teacher.name for _, teacher in pairs)
    opinions = [_opinion(result, predictions, name, name, row) for name in teachers]
    opinions += [
        _opinion(result, predictions, pupil.name, teacher.name, row) for pupil, teacher in pairs
    ]
    drawn = [("teacher", name) for name in teachers]
    drawn += [("answered", pupil.name) for pupil, _ in pairs]
    return Disagreement(
        path=path,
        picture=picture_of(predictions, row, locate(path, folder), drawn),
        truth=predictions.truth(row),
        opinions=tuple(opinions),
    )


def _opinion(
    result: RunResult, predictions: RunPredictions, name: str, teacher: str, row: int
) -> Opinion:
    data = result.data
    probabilities = predictions.confidence(name)
    if data.positive in data.classes:
        column = data.classes.index(data.positive)
        probabilities = predictions.task.scores(predictions.answers[name], column)
    return Opinion(
        name=name,
        is_teacher=name == teacher,
        answer=predictions.answer(name, row),
        probability=None if probabilities is None else float(probabilities[row]),
        right=bool(predictions.correct(name)[row]),
        differs=not predictions.same(name, teacher)[row],
    )
