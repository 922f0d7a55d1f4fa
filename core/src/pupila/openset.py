"""Evaluates a filter on images that it was not trained on: near misses and corrupted images.

A filter accepts one of two classes. In use, it sees groups of images that it was not trained on. So
each group of images that it should reject gets its own results, and groups known from training are
marked. False accepts are counted at two thresholds: the threshold that ships with the artifact, and
the threshold that accepts 95 % of the accepted class's test images. The rate at the second
threshold is FPR at 95 % TPR (Liang et al. 2018, arXiv 1706.02690), by which filters are compared
independently of their own thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.dataset import GROUP_COLUMNS, UNLABELLED, Dataset
from pupila.errors import PupilaError, list_names
from pupila.evaluation import Acceptance, NearMiss, NegativeGroup, OpenSet
from pupila.intervals import Floats, share
from pupila.metrics import check_answers
from pupila.predictions import Predictions
from pupila.roc import auc
from pupila.runtime import Progress
from pupila.true_accepts import false_accepts, threshold_accepting

KEPT = 24
"""Number of near misses listed by name: those most likely to be accepted."""

ALL = "all"
"""Name under which all groups of one kind are reported together."""

NO_SOURCE = "no source"
"""Name of the group of test images without a source, if other test images have a source."""

Texts = NDArray[np.str_]
Flags = NDArray[np.bool_]
_Predict = Callable[[Dataset, str], Floats]
"""Function from a dataset to probabilities of the accepted class; the text is for errors."""


@dataclass(frozen=True)
class OpenSetImages:
    """Images on which a filter is evaluated in addition to the data's test images."""

    accepts: str
    """Class that the filter accepts: one of the two classes of the data."""
    near_misses: Dataset | None = None
    """Near misses: images that are not of the accepted class; each label names a group."""
    corrupted: Dataset | None = None
    """Altered test images of the accepted class; each label names the alteration."""


@dataclass(frozen=True)
class _Negatives:
    """Images that should be rejected, with their probabilities of the accepted class."""

    near_miss: bool
    paths: list[str]
    groups: Texts
    trained: Flags
    """For each image, whether the training images include its group or the same image."""
    scores: Floats
    patients: Texts | None

    def by_group(self) -> Iterator[tuple[str, Flags]]:
        """Yield a name and a mask of images: first for all images, then for each group, if any."""
        yield ALL, np.ones(len(self.scores), bool)
        names = sorted(set(self.groups.tolist()))
        for name in names if names != [""] else ():
            yield name or NO_SOURCE, self.groups == name


@dataclass(frozen=True)
class _Thresholds:
    """The shipped threshold, and the threshold (95 % TPR) at which filters are compared."""

    shipped: float
    comparable: float


@dataclass(frozen=True)
class _Accepted:
    """The test images of the accepted class."""

    scores: Floats
    patients: Texts | None


def check_accepts(accepts: str, dataset: Dataset) -> None:
    """Make sure that a filter that accepts the class `accepts` can be evaluated on a dataset.

    Raises:
        PupilaError: there are not two classes; `accepts` is not one of the classes, or has no test
            image; or test images of the other class have a source named `all`, which is the name
            for all sources together.
    """
    if len(dataset.classes) != 2 or accepts not in dataset.classes:
        raise PupilaError(
            f"Open-set evaluation accepts {accepts!r} of the classes "
            f"{list_names(dataset.classes)}: it needs two classes, and `accepts` must be one of "
            f"them."
        )
    test = dataset.frame[dataset.frame["split"] == "test"]
    if accepts not in set(test["label"].tolist()):
        raise PupilaError(
            f"Open-set evaluation needs images of {accepts!r} in the split 'test': there is none."
        )
    if "source" in test and ALL in set(test["source"][test["label"] != accepts].tolist()):
        raise PupilaError(
            f"Test images have the source {ALL!r}, which open-set evaluation calls all sources "
            f"together: rename it."
        )


def evaluate_open_set(
    artifact: Artifact,
    dataset: Dataset,
    images: OpenSetImages,
    *,
    predictions: Predictions,
    progress: Progress,
) -> OpenSet:
    """Return how many images a filter accepts, in all and in each group of images.

    The images are the test images of `dataset`, and the near misses and altered images of `images`.

    Raises:
        PupilaError: there are not two classes, the accepted class has no test image, or a
            probability is outside 0..1.
    """
    check_accepts(images.accepts, dataset)
    column = dataset.classes.index(images.accepts)

    def predict(asked: Dataset, what: str) -> Floats:
        answers = predictions.of(artifact, asked, progress)
        unknown = np.zeros(len(asked), np.int64)  # near misses have no class
        return check_answers(answers, unknown, dataset.classes, what)[0][:, column]

    test = dataset.select("test")
    is_accepted, scores = test.labels == column, predict(test, "test")
    accepted = _Accepted(scores[is_accepted], _rows(test.patients, is_accepted))
    thresholds = _Thresholds(
        artifact.record.threshold_of(images.accepts), threshold_accepting(accepted.scores)
    )
    negatives = list(_negatives(dataset, test, is_accepted, scores, images.near_misses, predict))
    return OpenSet(
        accepts=images.accepts,
        threshold=thresholds.shipped,
        chosen_on=_chosen_on(artifact, images.accepts),
        comparable_threshold=thresholds.comparable,
        accepted=_acceptance(ALL, accepted.scores, thresholds, accepted.patients),
        accepted_groups=tuple(_accepted_groups(test, is_accepted, scores, thresholds)),
        negatives=tuple(
            _negative_group(images_to_reject, name, rows, accepted, thresholds)
            for images_to_reject in negatives
            for name, rows in images_to_reject.by_group()
        ),
        corrupted=tuple(_corrupted(images.corrupted, predict, thresholds)),
        nearest=_nearest(negatives, thresholds),
    )


def _chosen_on(artifact: Artifact, accepts: str) -> str | None:
    shipped = artifact.record.shipped_for(accepts)
    return shipped.chosen_on if shipped else None


def _acceptance(
    name: str, scores: Floats, thresholds: _Thresholds, patients: Texts | None
) -> Acceptance:
    accepted = share(scores >= thresholds.shipped, patients)
    return Acceptance(name=name, images=len(scores), accepted=accepted)


def _rows(values: Texts | None, rows: Flags) -> Texts | None:
    return None if values is None else values[rows]


def _accepted_groups(
    test: Dataset, is_accepted: Flags, scores: Floats, thresholds: _Thresholds
) -> Iterator[Acceptance]:
    """Yield the accepted fraction per value of each grouping column that has several values."""
    for column in GROUP_COLUMNS:
        values = _values(test, column)
        names = sorted(set(values[is_accepted].tolist()) - {""})
        for name in names if len(names) > 1 else ():
            rows = is_accepted & (values == name)
            yield _acceptance(
                f"{column} {name}", scores[rows], thresholds, _rows(test.patients, rows)
            )


def _negatives(
    dataset: Dataset,
    test: Dataset,
    is_accepted: Flags,
    scores: Floats,
    near_misses: Dataset | None,
    predict: _Predict,
) -> Iterator[_Negatives]:
    train = dataset.frame[dataset.frame["split"].isin(["train", UNLABELLED])]
    trained = set(train["source"].tolist()) - {""} if "source" in train else set[str]()
    contents = set(train["sha256"].tolist())
    if not is_accepted.all():
        rows = ~is_accepted
        groups = _values(test, "source")[rows]
        known = np.array([group in trained or group == "" for group in groups.tolist()], bool)
        paths = [str(path) for path, other in zip(test.paths, rows, strict=True) if other]
        yield _Negatives(False, paths, groups, known, scores[rows], _rows(test.patients, rows))
    if near_misses is not None:
        groups = _values(near_misses, "label")
        images = zip(groups.tolist(), near_misses.frame["sha256"].tolist(), strict=True)
        known = np.array([group in trained or sha in contents for group, sha in images], bool)
        paths = list(map(str, near_misses.paths))
        near_scores = predict(near_misses, "near-miss")
        yield _Negatives(True, paths, groups, known, near_scores, near_misses.patients)


def _values(dataset: Dataset, column: str) -> Texts:
    """Return a column of the manifest as text; "" for missing values or a missing column."""
    if column not in dataset.frame:
        return np.full(len(dataset), "", dtype=np.str_)
    values = dataset.frame[column].astype(object)
    return np.array(values.where(values.notna(), "").tolist(), dtype=np.str_)


def _negative_group(
    others: _Negatives, name: str, rows: Flags, accepted: _Accepted, thresholds: _Thresholds
) -> NegativeGroup:
    scores, patients = others.scores[rows], _rows(others.patients, rows)
    every = np.concatenate([accepted.scores, scores])
    truth = (np.arange(len(every)) >= len(accepted.scores)).astype(np.int64)
    every_patient = None
    if accepted.patients is not None and patients is not None:
        every_patient = np.concatenate([accepted.patients, patients])
    return NegativeGroup(
        name=name,
        near_miss=others.near_miss,
        trained=bool(others.trained[rows].any()),
        images=len(scores),
        auc=auc(np.stack([every, 1 - every], axis=1), truth, 0, every_patient),
        accepted=share(scores >= thresholds.shipped, patients),
        accepted_at_95=false_accepts(accepted.scores, scores, accepted.patients, patients),
    )


def _corrupted(
    images: Dataset | None, predict: _Predict, thresholds: _Thresholds
) -> Iterator[Acceptance]:
    """Yield the accepted fraction of the altered images, one result per alteration."""
    if images is None:
        return
    scores, done = predict(images, "altered"), _values(images, "label")
    for name in sorted(set(done.tolist())):
        yield _acceptance(
            name, scores[done == name], thresholds, _rows(images.patients, done == name)
        )


def _nearest(negatives: list[_Negatives], thresholds: _Thresholds) -> tuple[NearMiss, ...]:
    """Return the near misses with the highest probability of the accepted class."""
    near_misses = [
        NearMiss(
            path=images.paths[row],
            group=images.groups.tolist()[row],
            near_miss=images.near_miss,
            probability=float(images.scores[row]),
            accepted=bool(images.scores[row] >= thresholds.shipped),
        )
        for images in negatives
        if images.near_miss
        for row in _highest(images.scores)
    ]
    return tuple(sorted(near_misses, key=lambda image: (-image.probability, image.path)))


def _highest(scores: Floats) -> list[int]:
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order[:KEPT]
