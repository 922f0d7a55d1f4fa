"""The images that are answered most wrongly, as pictures: look at them before a model is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pupila.evaluation import NegativeGroup
from pupila.openset import ALL
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots.thumbnails import thumbnail
from pupila_flows.report.predictions import Answers, located
from pupila_flows.results import RunResult

_ARTIFACTS = 2
_IMAGES_EACH = 12


@dataclass(frozen=True)
class Mistake:
    """One image that is answered wrongly."""

    path: str
    picture: str | None
    truth: str
    answer: str
    probability: float
    """Of the answer."""

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Mistakes:
    """The worst mistakes of one artifact, the surest first."""

    name: str
    wrong: int
    images: int
    shown: tuple[Mistake, ...]
    accepts: str
    """Class that it lets through as a gate; empty where it was shown no near misses."""
    near_misses: int
    accepted: int
    """How many of the near misses it takes for that class."""
    let_through: tuple[Mistake, ...]
    """Those of them that are shown; their truth is their group."""


def mistakes(
    result: RunResult, lineage: Lineage, answers: Answers, chosen: str | None, folder: Path
) -> list[Mistakes]:
    """Collect the worst mistakes of the chosen artifact, and of the smallest that come last."""
    return [_of(result, answers, each, folder) for each in _shown(lineage, answers, chosen)]


def _shown(lineage: Lineage, answers: Answers, chosen: str | None) -> list[EvaluatedArtifact]:
    judged = [each for each in lineage.judged() if each.name in answers.probabilities]
    last = [each for each in judged if lineage.is_final(each.entry) or each.name == chosen]
    whole = [each for each in last if not each.entry.error] or last
    whole.sort(key=lambda each: (each.name != chosen, each.size_bytes))
    return whole[:_ARTIFACTS]


def _of(result: RunResult, answers: Answers, judged: EvaluatedArtifact, folder: Path) -> Mistakes:
    rows = np.arange(len(answers.labels))
    probabilities = answers.probabilities[judged.name][rows, answers.chosen(judged.name)]
    wrong = np.flatnonzero(~answers.correct(judged.name))
    worst: list[int] = wrong[np.argsort(-probabilities[wrong], kind="stable")].tolist()
    gate = judged.evaluation.open_set
    near = _near_misses(judged)
    return Mistakes(
        name=judged.name,
        wrong=len(worst),
        images=len(answers.labels),
        shown=tuple(_mistake(result, answers, judged, r, folder) for r in worst[:_IMAGES_EACH]),
        accepts=gate.accepts if gate and near else "",
        near_misses=near.images if near else 0,
        accepted=round(near.images * near.accepted.value) if near else 0,
        let_through=_let_through(judged, folder),
    )


def _mistake(
    result: RunResult, answers: Answers, judged: EvaluatedArtifact, row: int, folder: Path
) -> Mistake:
    path, answer = result.test_images[row], int(answers.chosen(judged.name)[row])
    return Mistake(
        path=path,
        picture=thumbnail(located(path, folder)),
        truth=result.data.classes[int(answers.labels[row])],
        answer=result.data.classes[answer],
        probability=float(answers.probabilities[judged.name][row, answer]),
    )


def _near_misses(judged: EvaluatedArtifact) -> NegativeGroup | None:
    """Return all near misses together; None where it was shown none."""
    gate = judged.evaluation.open_set
    together = (each for each in gate.negatives if each.near_miss) if gate else ()
    return next((each for each in together if each.name == ALL), None)


def _let_through(judged: EvaluatedArtifact, folder: Path) -> tuple[Mistake, ...]:
    gate = judged.evaluation.open_set
    if gate is None:
        return ()
    found = [each for each in gate.nearest if each.near_miss and each.accepted]
    return tuple(
        Mistake(
            path=each.path,
            picture=thumbnail(located(each.path, folder)),
            truth=each.group,
            answer=gate.accepts,
            probability=each.probability,
        )
        for each in found[:_IMAGES_EACH]
    )
