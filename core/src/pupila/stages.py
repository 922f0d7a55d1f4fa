"""Evaluates the stages of a chain: which images each one turns away, and how well it answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.dataset import UNLABELLED, Dataset
from pupila.evaluation import Metrics, StageFigures
from pupila.label_columns import LabelColumns
from pupila.plugin import Task, import_object
from pupila.plugin_registry import installed
from pupila.predictions import Predictions, open_model
from pupila.runtime import Fate, Progress, Stage, StagedModel, ignore_progress
from pupila.task import MetricSettings, methods_of
from pupila.views import AS_IS

Values = NDArray[np.float32]
Traced = Callable[[NDArray[np.uint8]], Values]


def evaluate_stages(
    artifact: Artifact, images: Dataset, predictions: Predictions, progress: Progress
) -> tuple[StageFigures, ...]:
    """Return what each stage of a model did with some images; empty if it has only one stage.

    A stage whose task is not that of the data gets metrics if the images have labels of its task in
    the columns of that task (`pupila.plugin.Task.label_columns`; they may begin with the stage's
    class, as in `disc_x`), besides those of the data. An image in which all of these columns are
    empty has no such label.

    Raises:
        PupilaError: a label of a stage's task cannot be read.
    """
    runner = installed().runner(artifact.format)
    if runner.stages is None:
        return ()
    with installed().calling(runner):
        stages: Sequence[Stage] = import_object(runner.stages)(artifact)
    (rows,) = predictions.compute(
        artifact,
        images,
        AS_IS,
        progress,
        what=" ".join(("stages", *installed().code_of(runner))),
        distribution=installed().origin(runner).distribution,
        opened=partial(_tracing, artifact),
    )
    trace = rows[:]
    return tuple(
        _figures(stage, fates, answers, images) for stage, fates, answers in _split(stages, trace)
    )


def label_columns_of_stages(images: Dataset) -> list[str]:
    """Return the columns of a dataset that hold labels of other tasks than its own."""
    tasks = (task for task in installed().all(Task) if task.name != images.task)
    header: list[str] = images.frame.columns.tolist()
    beside = (columns for task in tasks for columns in LabelColumns.beside(header, task))
    names = dict.fromkeys(name for columns in beside for name in columns.columns)
    return [name for name in names if name != "label"]


@contextmanager
def _tracing(artifact: Artifact) -> Generator[Traced]:
    with closing(open_model(artifact)) as model:
        staged: StagedModel = model  # pyright: ignore[reportAssignmentType]  - its runner has stages
        yield partial(staged.trace, progress=ignore_progress)


def _split(stages: Sequence[Stage], trace: Values) -> Iterator[tuple[Stage, Values, Values]]:
    """Yield each stage with its fates `(images,)` and answers `(images, columns)`."""
    start = 0
    for stage in stages:
        last = stage is stages[-1]
        names = () if last else methods_of(stage.output.task).answer_columns(stage.output.classes)
        end = start + 1 + len(names)
        yield stage, trace[:, start], trace[:, start + 1 : end]
        start = end


def _figures(stage: Stage, fates: Values, answers: Values, images: Dataset) -> StageFigures:
    reached = fates != Fate.NOT_REACHED
    return StageFigures(
        name=stage.name,
        images=int(reached.sum()),
        turned_away=int((fates == Fate.TURNED_AWAY).sum()),
        recognised=int((fates == Fate.RECOGNISED).sum()),
        metrics=_metrics(stage, answers, images, reached) if answers.shape[1] else None,
    )


def _metrics(
    stage: Stage, answers: Values, images: Dataset, reached: NDArray[np.bool_]
) -> Metrics | None:
    """Return the metrics of a stage on the images that reached it and have labels of its task."""
    task = installed().task(stage.output.task)
    header: list[str] = images.frame.columns.tolist()
    columns = next(iter(LabelColumns.beside(header, task, stage.output.classes)), None)
    if task.name == images.task or columns is None:
        return None
    texts = list(zip(*(_texts(images, name) for name in columns.columns), strict=True))
    rows = np.flatnonzero(np.array([any(fields) for fields in texts], bool) & reached)
    if not len(rows):
        return None
    labelled = _labelled(stage, images, rows, columns, texts)
    methods = methods_of(task.name)
    settings = MetricSettings(
        classes=stage.output.classes, patients=labelled.patients, shipped=stage.threshold
    )
    return methods.metrics(
        np.asarray(answers[rows], np.float64), methods.truths(labelled), settings
    )


def _labelled(
    stage: Stage,
    images: Dataset,
    rows: NDArray[np.int64],
    columns: LabelColumns,
    texts: Sequence[tuple[str, ...]],
) -> Dataset:
    """Return some of the images with labels of the stage's task."""
    labels = [
        columns.label_of(
            str(images.paths[row]), dict(zip(columns.columns, texts[row], strict=True))
        )
        for row in map(int, rows)
    ]
    frame = images.frame.iloc[rows].copy()
    splits: list[str] = frame["split"].tolist()
    frame["label"] = labels
    frame["split"] = ["test" if split == UNLABELLED else split for split in splits]
    chosen = images.of_frame(frame)
    return replace(chosen, classes=stage.output.classes, task=stage.output.task)


def _texts(images: Dataset, name: str) -> list[str]:
    column = images.frame[name].astype(object)
    return [text.strip() for text in column.where(column.notna(), "").astype(str).tolist()]
