"""How a gate does on what it was never shown: near misses, and pictures that went wrong.

A gate accepts one class of two. What reaches it later is not of the groups it learned from, so each
group of other images is judged for itself, and those that training had are told from those that are
new. False accepts are counted at the threshold that ships with the artifact, and at the one that
accepts 95 % of the accepted test images: FPR at 95 % TPR, as Liang et al. 2018 (arXiv 1706.02690)
have it, which compares gates whatever their threshold.
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
"""Near misses that are kept by name: those that look most like the accepted class."""

ALL = "all"
"""Name of all groups of a kind together."""

NO_SOURCE = "no source"
"""Name of the test images without a source, where others have one."""

Texts = NDArray[np.str_]
Flags = NDArray[np.bool_]
_Ask = Callable[[Dataset, str], Floats]
"""Returns the probabilities of the accepted class; the text names the images in errors."""


@dataclass(frozen=True)
class OpenSetImages:
    """What a gate is asked about beside the data; labels of these images are names of groups."""

    accepts: str
    """Class of the data that the gate lets through."""
    near_misses: Dataset | None = None
    """Images that are not of the accepted class, by group."""
    corrupted: Dataset | None = None
    """Accepted test images, altered, by what was done to them."""


@dataclass(frozen=True)
class _Others:
    """Images that are not to be accepted, with the probability that they are taken for it."""

    near_miss: bool
    paths: list[str]
    groups: Texts
    trained: Flags
    """Whether training had the image's group, or the very image."""
    scores: Floats
    patients: Texts | None

    def parts(self) -> Iterator[tuple[str, Flags]]:
        """Yield all images, then those of each group, where that is not the same."""
        yield ALL, np.ones(len(self.scores), bool)
        names = sorted(set(self.groups.tolist()))
        for name in names if names != [""] else ():
            yield name or NO_SOURCE, self.groups == name


@dataclass(frozen=True)
class _Bar:
    """What an image must reach: the shipped threshold, and the one for comparison."""

    shipped: float
    comparable: float


@dataclass(frozen=True)
class _Accepted:
    """The accepted test images."""

    scores: Floats
    patients: Texts | None


def check_accepts(accepts: str, dataset: Dataset) -> None:
    """Make sure that a gate can be judged on these images.

    Raises:
        PupilaError: there are not two classes, `accepts` is not one of them, none of its images is
            for the test, or a source of the others has the name that stands for all.
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
    """Return whom a gate lets through: test images of `dataset`, near misses, altered images.

    Raises:
        PupilaError: there are not two classes, no test image of the accepted one, or a
            probability that is none.
    """
    check_accepts(images.accepts, dataset)
    column = dataset.classes.index(images.accepts)

    def ask(asked: Dataset, what: str) -> Floats:
        answers = predictions.of(artifact, asked, progress)
        unknown = np.zeros(len(asked), np.int64)  # near misses are of no class
        return check_answers(answers, unknown, dataset.classes, what)[0][:, column]

    test = dataset.select("test")
    is_accepted, scores = test.labels == column, ask(test, "test")
    accepted = _Accepted(scores[is_accepted], _rows(test.patients, is_accepted))
    bar = _Bar(artifact.record.threshold_of(images.accepts), threshold_accepting(accepted.scores))
    others = list(_others(dataset, test, is_accepted, scores, images.near_misses, ask))
    return OpenSet(
        accepts=images.accepts,
        threshold=bar.shipped,
        chosen_on=_chosen_on(artifact, images.accepts),
        comparable_threshold=bar.comparable,
        accepted=_acceptance(ALL, accepted.scores, bar, accepted.patients),
        accepted_groups=tuple(_accepted_groups(test, is_accepted, scores, bar)),
        negatives=tuple(
            _negatives(each, name, rows, accepted, bar)
            for each in others
            for name, rows in each.parts()
        ),
        corrupted=tuple(_corrupted(images.corrupted, ask, bar)),
        nearest=_nearest(others, bar),
    )


def _chosen_on(artifact: Artifact, accepts: str) -> str | None:
    shipped = artifact.record.shipped_for(accepts)
    return shipped.chosen_on if shipped else None


def _acceptance(name: str, scores: Floats, bar: _Bar, patients: Texts | None) -> Acceptance:
    accepted = share(scores >= bar.shipped, patients)
    return Acceptance(name=name, images=len(scores), accepted=accepted)


def _rows(values: Texts | None, rows: Flags) -> Texts | None:
    return None if values is None else values[rows]


def _accepted_groups(
    test: Dataset, is_accepted: Flags, scores: Floats, bar: _Bar
) -> Iterator[Acceptance]:
    """Yield the accepted class by each value of the grouping columns, where there are several."""
    for column in GROUP_COLUMNS:
        values = _values(test, column)
        names = sorted(set(values[is_accepted].tolist()) - {""})
        for name in names if len(names) > 1 else ():
            rows = is_accepted & (values == name)
            yield _acceptance(f"{column} {name}", scores[rows], bar, _rows(test.patients, rows))


def _others(
    dataset: Dataset,
    test: Dataset,
    is_accepted: Flags,
    scores: Floats,
    near_misses: Dataset | None,
    ask: _Ask,
) -> Iterator[_Others]:
    train = dataset.frame[dataset.frame["split"].isin(["train", UNLABELLED])]
    trained = set(train["source"].tolist()) - {""} if "source" in train else set[str]()
    contents = set(train["sha256"].tolist())
    if not is_accepted.all():
        rows = ~is_accepted
        groups = _values(test, "source")[rows]
        known = np.array([group in trained or group == "" for group in groups.tolist()], bool)
        paths = [str(path) for path, other in zip(test.paths, rows, strict=True) if other]
        yield _Others(False, paths, groups, known, scores[rows], _rows(test.patients, rows))
    if near_misses is not None:
        groups = _values(near_misses, "label")
        images = zip(groups.tolist(), near_misses.frame["sha256"].tolist(), strict=True)
        known = np.array([group in trained or sha in contents for group, sha in images], bool)
        paths = list(map(str, near_misses.paths))
        found = ask(near_misses, "near-miss")
        yield _Others(True, paths, groups, known, found, near_misses.patients)


def _values(dataset: Dataset, column: str) -> Texts:
    """Return a column as text; "" where there is no value, or no such column."""
    if column not in dataset.frame:
        return np.full(len(dataset), "", dtype=np.str_)
    given = dataset.frame[column].astype(object)
    return np.array(given.where(given.notna(), "").tolist(), dtype=np.str_)


def _negatives(
    others: _Others, name: str, rows: Flags, accepted: _Accepted, bar: _Bar
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
        accepted=share(scores >= bar.shipped, patients),
        accepted_at_95=false_accepts(accepted.scores, scores, accepted.patients, patients),
    )


def _corrupted(images: Dataset | None, ask: _Ask, bar: _Bar) -> Iterator[Acceptance]:
    """Yield the altered images by what was done to them."""
    if images is None:
        return
    scores, done = ask(images, "altered"), _values(images, "label")
    for name in sorted(set(done.tolist())):
        yield _acceptance(name, scores[done == name], bar, _rows(images.patients, done == name))


def _nearest(others: list[_Others], bar: _Bar) -> tuple[NearMiss, ...]:
    """Return the near misses that look most like the accepted class."""
    found = [
        NearMiss(
            path=each.paths[row],
            group=each.groups.tolist()[row],
            near_miss=each.near_miss,
            probability=float(each.scores[row]),
            accepted=bool(each.scores[row] >= bar.shipped),
        )
        for each in others
        if each.near_miss
        for row in _highest(each.scores)
    ]
    return tuple(sorted(found, key=lambda image: (-image.probability, image.path)))


def _highest(scores: Floats) -> list[int]:
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order[:KEPT]
