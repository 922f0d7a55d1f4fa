"""The images to which teacher and pupil give different answers: what a clinician looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots.thumbnails import thumbnail
from pupila_flows.report.predictions import Answers, located
from pupila_flows.report.sections.headline import is_near
from pupila_flows.results import RunResult

_PUPILS = 5
_IMAGES_EACH = 24
_IMAGES = 48


@dataclass(frozen=True)
class Opinion:
    """What one model says of one image."""

    name: str
    is_teacher: bool
    answer: str
    probability: float
    """Of the positive class; of the answer where none is positive."""
    right: bool
    differs: bool


@dataclass(frozen=True)
class Disagreement:
    """One image with the opinions of it, teachers first."""

    path: str
    picture: str | None
    truth: str
    opinions: tuple[Opinion, ...]

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Tally:
    """How often one pupil and its teacher differ, and who is right then."""

    pupil: str
    teacher: str
    images: int
    teacher_right: int
    pupil_right: int
    both_wrong: int


@dataclass(frozen=True)
class Disagreements:
    """The tallies of the pupils shown, and their images without repetition."""

    tallies: tuple[Tally, ...]
    images: tuple[Disagreement, ...]
    left_out: int


_Pair = tuple[EvaluatedArtifact, EvaluatedArtifact]


def disagreements(
    result: RunResult, lineage: Lineage, answers: Answers, chosen: str | None, folder: Path
) -> Disagreements:
    """Collect what the most important pupils and their teachers answer differently."""
    pairs = _important(result, lineage, answers, chosen)
    differing = {pupil.name: _differing(answers, pupil, teacher) for pupil, teacher in pairs}
    shown = _ranked(answers, pairs, differing)
    every = {row for rows in differing.values() for row in rows}
    return Disagreements(
        tallies=tuple(_tally(answers, pair, differing[pair[0].name]) for pair in pairs),
        images=tuple(_disagreement(result, answers, pairs, row, folder) for row in shown),
        left_out=len(every) - len(shown),
    )


def _important(
    result: RunResult, lineage: Lineage, answers: Answers, chosen: str | None
) -> list[_Pair]:
    """Return the chosen pupil, then final ones: first those near their teacher, small to large."""
    pairs = [
        (pupil, teacher)
        for pupil in lineage.pupils()
        if (lineage.is_final(pupil.entry) or pupil.name == chosen)
        and pupil.name in answers.probabilities
        and (teacher := lineage.reference(pupil.entry))
        and teacher.name in answers.probabilities
    ]
    pairs.sort(
        key=lambda pair: (
            pair[0].name != chosen,
            not is_near(*pair, result),
            pair[0].size_bytes,
        )
    )
    return pairs[:_PUPILS]


def _differing(answers: Answers, pupil: EvaluatedArtifact, teacher: EvaluatedArtifact) -> list[int]:
    """Return the rows of images answered differently, the largest difference first."""
    rows = np.flatnonzero(answers.chosen(pupil.name) != answers.chosen(teacher.name))
    mine, theirs = answers.probabilities[pupil.name], answers.probabilities[teacher.name]
    distance = np.abs(mine - theirs).max(axis=1)
    return sorted(rows.tolist(), key=lambda row: (-distance[row], row))


def _ranked(answers: Answers, pairs: list[_Pair], differing: dict[str, list[int]]) -> list[int]:
    """Merge the pupils' images; first those that most pupils lose and a teacher gets right."""
    rows = {row for found in differing.values() for row in found[:_IMAGES_EACH]}

    def lost(row: int) -> int:
        return sum(
            bool(answers.correct(teacher.name)[row])
            for pupil, teacher in pairs
            if row in differing[pupil.name]
        )

    def against(row: int) -> int:
        return sum(row in found for found in differing.values())

    return sorted(rows, key=lambda row: (-lost(row), -against(row), row))[:_IMAGES]


def _tally(answers: Answers, pair: _Pair, rows: list[int]) -> Tally:
    pupil, teacher = pair
    theirs, mine = answers.correct(teacher.name)[rows], answers.correct(pupil.name)[rows]
    return Tally(
        pupil=pupil.name,
        teacher=teacher.name,
        images=len(rows),
        teacher_right=int(theirs.sum()),
        pupil_right=int(mine.sum()),
        both_wrong=int((~theirs & ~mine).sum()),
    )


def _disagreement(
    result: RunResult, answers: Answers, pairs: list[_Pair], row: int, folder: Path
) -> Disagreement:
    path = result.test_images[row]
    teachers = dict.fromkeys(teacher.name for _, teacher in pairs)
    opinions = [_opinion(result, answers, name, name, row) for name in teachers]
    opinions += [
        _opinion(result, answers, pupil.name, teacher.name, row) for pupil, teacher in pairs
    ]
    return Disagreement(
        path=path,
        picture=thumbnail(located(path, folder)),
        truth=result.data.classes[int(answers.labels[row])],
        opinions=tuple(opinions),
    )


def _opinion(result: RunResult, answers: Answers, name: str, teacher: str, row: int) -> Opinion:
    data = result.data
    answer = int(answers.chosen(name)[row])
    column = data.classes.index(data.positive) if data.positive in data.classes else answer
    return Opinion(
        name=name,
        is_teacher=name == teacher,
        answer=data.classes[answer],
        probability=float(answers.probabilities[name][row, column]),
        right=bool(answers.correct(name)[row]),
        differs=answer != int(answers.chosen(teacher)[row]),
    )
