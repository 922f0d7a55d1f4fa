"""The images that a model gets most wrong, as pictures, to look at before using the model.

In a task without classes, these are the images with the largest losses, right or wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pupila.evaluation import NegativeGroup
from pupila.openset import ALL
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.predictions import RunPredictions, locate
from pupila_flows.report.sections.pictures import picture_of
from pupila_flows.results import RunResult
from pupila_flows.thumbnails import thumbnail

_ARTIFACTS = 2
_IMAGES_EACH = 12


@dataclass(frozen=True)
class Mistake:
    """One image that a model gets wrong, or answers worst."""

    path: str
    picture: str | Markup | None
    """The image as a `data:` URL, or as a drawing with marks; None if it cannot be read."""
    truth: str
    answer: str
    right: bool
    probability: float | None
    """Probability of the predicted class; None in a task without classes."""

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Mistakes:
    """The worst mistakes of one artifact, the most confident first.

    In a task without classes, these are its worst answers, right or wrong.
    """

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
    """Return the worst answers of the chosen artifact, then of the smallest final one.

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
    known = [artifact for artifact in lineage.evaluated() if artifact.name in predictions.answers]
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
    wrong = ~predictions.correct(artifact.name)
    open_set = artifact.evaluation.open_set
    near = _near_misses(artifact)
    return Mistakes(
        name=artifact.name,
        wrong=int(wrong.sum()),
        images=len(predictions.truths),
        shown=tuple(
            _mistake(result, predictions, artifact, row, folder)
            for row in _worst(predictions, artifact.name)[:_IMAGES_EACH]
        ),
        accepts=open_set.accepts if open_set and near else "",
        near_misses=near.images if near else 0,
        accepted=round(near.images * near.accepted.value) if near else 0,
        let_through=_let_through(artifact, folder),
    )


def _worst(predictions: RunPredictions, name: str) -> list[int]:
    """Return the rows of the images that an entry answers wrong, the most confident first.

    In a task without classes, these are all images, the one with the largest loss first.
    """
    confidence = predictions.confidence(name)
    if confidence is None:
        losses = predictions.task.losses(predictions.answers[name], predictions.truths)
        return np.argsort(-losses, kind="stable").tolist()
    wrong = np.flatnonzero(~predictions.correct(name))
    return wrong[np.argsort(-confidence[wrong], kind="stable")].tolist()


def _mistake(
    result: RunResult,
    predictions: RunPredictions,
    artifact: EvaluatedArtifact,
    row: int,
    folder: Path,
) -> Mistake:
    path, name = result.test_images[row], artifact.name
    confidence = predictions.confidence(name)
    return Mistake(
        path=path,
        picture=picture_of(predictions, row, locate(path, folder), [("answered", name)]),
        truth=predictions.truth(row),
        answer=predictions.answer(name, row),
        right=bool(predictions.correct(name)[row]),
        probability=None if confidence is None else float(confidence[row]),
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
            right=False,
            probability=image.probability,
        )
        for image in near_misses[:_IMAGES_EACH]
    )
