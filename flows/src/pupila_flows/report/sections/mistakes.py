"""The images that a model gets most wrong, as pictures, to look at before using the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pupila.evaluation import NegativeGroup
from pupila.openset import ALL
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots.thumbnails import thumbnail
from pupila_flows.report.predictions import RunPredictions, locate
from pupila_flows.results import RunResult

_ARTIFACTS = 2
_IMAGES_EACH = 12


@dataclass(frozen=True)
class Mistake:
    """One image that a model gets wrong."""

    path: str
    picture: str | None
    truth: str
    answer: str
    probability: float
    """Probability of the predicted class."""

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Mistakes:
    """The worst mistakes of one artifact, the most confident first."""

    name: str
    wrong: int
    images: int
    shown: tuple[Mistake, ...]
    accepts: str
    """Class that the artifact accepts as a filter; empty if evaluated without near misses."""
    near_misses: int
    """Number of near misses: images of other kinds, which the artifact should reject."""
    accepted: int
    """Number of near misses that the artifact mistakes for the class in `accepts`."""
    let_through: tuple[Mistake, ...]
    """The accepted near misses that are shown; `truth` is the name of their group."""


def mistakes(
    result: RunResult,
    lineage: Lineage,
    predictions: RunPredictions,
    chosen: str | None,
    folder: Path,
) -> list[Mistakes]:
    """Return the worst mistakes of the chosen artifact, then of the smallest final one.

    A final artifact is one that nothing else was made from. Without a chosen artifact, the two
    smallest final artifacts are taken. Relative paths of images are also looked up in `folder`.
    """
    return [
        _of(result, predictions, artifact, folder)
        for artifact in _shown(lineage, predictions, chosen)
    ]


def _shown(
    lineage: Lineage, predictions: RunPredictions, chosen: str | None
) -> list[EvaluatedArtifact]:
    known = [
        artifact for artifact in lineage.evaluated() if artifact.name in predictions.probabilities
    ]
    final = [
        artifact
        for artifact in known
        if lineage.is_final(artifact.entry) or artifact.name == chosen
    ]
    without_errors = [artifact for artifact in final if not artifact.entry.error] or final
    without_errors.sort(key=lambda artifact: (artifact.name != chosen, artifact.size_bytes))
    return without_errors[:_ARTIFACTS]


def _of(
    result: RunResult, predictions: RunPredictions, artifact: EvaluatedArtifact, folder: Path
) -> Mistakes:
    rows = np.arange(len(predictions.labels))
    probabilities = predictions.probabilities[artifact.name][
        rows, predictions.chosen(artifact.name)
    ]
    wrong = np.flatnonzero(~predictions.correct(artifact.name))
    worst: list[int] = wrong[np.argsort(-probabilities[wrong], kind="stable")].tolist()
    open_set = artifact.evaluation.open_set
    near = _near_misses(artifact)
    return Mistakes(
        name=artifact.name,
        wrong=len(worst),
        images=len(predictions.labels),
        shown=tuple(
            _mistake(result, predictions, artifact, r, folder) for r in worst[:_IMAGES_EACH]
        ),
        accepts=open_set.accepts if open_set and near else "",
        near_misses=near.images if near else 0,
        accepted=round(near.images * near.accepted.value) if near else 0,
        let_through=_let_through(artifact, folder),
    )


def _mistake(
    result: RunResult,
    predictions: RunPredictions,
    artifact: EvaluatedArtifact,
    row: int,
    folder: Path,
) -> Mistake:
    path, answer = result.test_images[row], int(predictions.chosen(artifact.name)[row])
    return Mistake(
        path=path,
        picture=thumbnail(locate(path, folder)),
        truth=result.data.classes[int(predictions.labels[row])],
        answer=result.data.classes[answer],
        probability=float(predictions.probabilities[artifact.name][row, answer]),
    )


def _near_misses(artifact: EvaluatedArtifact) -> NegativeGroup | None:
    """Return all near misses as one group; None if the artifact was evaluated without any."""
    open_set = artifact.evaluation.open_set
    together = (group for group in open_set.negatives if group.near_miss) if open_set else ()
    return next((group for group in together if group.name == ALL), None)


def _let_through(artifact: EvaluatedArtifact, folder: Path) -> tuple[Mistake, ...]:
    open_set = artifact.evaluation.open_set
    if open_set is None:
        return ()
    near_misses = [image for image in open_set.nearest if image.near_miss and image.accepted]
    return tuple(
        Mistake(
            path=image.path,
            picture=thumbnail(locate(image.path, folder)),
            truth=image.group,
            answer=open_set.accepts,
            probability=image.probability,
        )
        for image in near_misses[:_IMAGES_EACH]
    )
