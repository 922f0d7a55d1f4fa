"""Evaluates models on images, as `pupila evaluate` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pupila.evaluation import SPECIFICITY
from pupila.external import ExternalMetrics
from pupila.pixel_scaling import Preprocess
from pupila_flows.api import html
from pupila_flows.api.options import class_names, task_name
from pupila_flows.api.progress import display_progress
from pupila_flows.api.tables import (
    cost_columns,
    estimate_columns,
    fidelity_columns,
    metrics_columns,
)
from pupila_flows.api.workspace import PathLike, open_workspace
from pupila_flows.printable import printable
from pupila_flows.report.answers_csv import answer_columns
from pupila_flows.run.evaluate_models import EvaluatedModels, EvaluationRequest, evaluate_models
from pupila_flows.run.evaluation_text import (
    answers_of,
    group_rows,
    model_rows,
    not_compared_lines,
    teacher_rows,
    verdict_lines,
)
from pupila_flows.run.given_models import check_preprocess

_SHOWN_FILES = 10
"""Most files that were left out that are shown; `warnings` has all."""


class Evaluated:
    """Models evaluated on some images; a notebook shows the tables of `pupila evaluate`."""

    def __init__(self, details: EvaluatedModels, groups: Sequence[str]) -> None:
        self.details = details
        """Everything that was computed."""
        self._groups = groups

    @cached_property
    def models(self) -> pd.DataFrame:
        """One row per model, by name; the teacher, if there is one, comes first.

        Accuracies and the like are fractions; `x_low` and `x_high` are the 95 % interval of `x`.
        """
        rows = [
            {"name": model.name}
            | (cost_columns(model.result.measurement) if model.result.measurement else {})
            | _figures(model.result.figures)
            for model in self.details.every
        ]
        return pd.DataFrame(rows).set_index("name")

    @cached_property
    def differences(self) -> pd.DataFrame:
        """One row per model and metric: the model's value minus the teacher's, image by image."""
        rows = [
            {"model": model.name, "metric": metric, **estimate_columns("difference", estimate)}
            for model in self.details.models
            for metric, estimate in self.details.differences(model.name).items()
        ]
        columns = ["model", "metric", "difference", "difference_low", "difference_high"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per model and value of each column in `groups`."""
        rows = [
            {"model": model.name, "column": column, "value": value, **_figures(figures)}
            for model in self.details.every
            for column, values in model.result.groups.items()
            for value, figures in values.items()
        ]
        return pd.DataFrame(rows)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """One row per image: its path, its label and the answers of every model."""
        images, answers = self.details.images, answers_of(self.details)
        table = answer_columns(images.dataset, answers, self._groups, labelled=images.labelled)
        return pd.DataFrame(dict(table))

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures should know, as sentences."""
        left_out = [
            f"Left out: {image.path}: {image.reason}" for image in self.details.images.skipped
        ]
        return [*(text for model in self.details.every for text in model.warnings), *left_out]

    @property
    def _title(self) -> str:
        images = self.details.images
        return f"{images.name}: {len(images.dataset):,} images"

    @property
    def _warned(self) -> list[str]:
        """Lines with the warnings; of many files that were left out, only the first."""
        lines = [f"Warning: {text}" for text in self.warnings]
        skipped = len(self.details.images.skipped)
        more = skipped - _SHOWN_FILES
        if more <= 0:
            return lines
        return [*lines[:-more], f"Warning: Left out: {more:,} more files that cannot be read"]

    @property
    def _lines(self) -> list[str]:
        return [*verdict_lines(self.details), *not_compared_lines(self.details)]

    def __repr__(self) -> str:
        table = pd.DataFrame(model_rows(self.details)).to_string(index=False)
        return printable("\n".join([self._title, *self._warned, table, *self._lines]))

    def _repr_html_(self) -> str:
        details = self.details
        tables = (model_rows(details), teacher_rows(details), group_rows(details))
        return str(
            html.heading(self._title)
            + html.paragraphs(self._warned)
            + html.tables(tables)
            + html.paragraphs(self._lines)
        )


def evaluate(
    models: PathLike | Sequence[PathLike],
    data: PathLike,
    against: PathLike | None = None,
    *,
    split: str | None = None,
    folder: PathLike | None = None,
    map: Mapping[Any, str] | None = None,
    groups: str | Sequence[str] = (),
    classes: Sequence[str] | None = None,
    output: str | None = None,
    preprocess: Preprocess = "none",
    task: str | None = None,
    positive: str | None = None,
    specificity: float = SPECIFICITY,
    workspace: PathLike | None = None,
) -> Evaluated:
    """Evaluate models on images, each in its own runtime, and compare them with a teacher.

    Args:
        models: Model files, folders of artifacts, or models that `load` returned; one or several.
        data: Folder with a folder for each class (with or without splits above), folder of images
            alone, or CSV with a column `path`.
        against: Teacher that they are compared with, image by image.
        split: Split to evaluate, if the data has splits; by default `test`.
        folder: Folder of the files that a CSV lists, if not the CSV's own.
        map: Class that a label of the images means, by label.
        groups: Column of the CSV by which figures are shown too, or several.
        classes: Class of each output column of model files; by default alphabetical. One text has
            them with commas.
        output: Kind of output of model files: softmax (the default), logits or sigmoid, or a kind
            of the task.
        preprocess: What is done with pixels outside a model file.
        task: What model files have learned; by default a classification.
        positive: Class that counts as positive; by default the first.
        specificity: For which validation images choose a threshold.
        workspace: Folder of all results; by default what `PUPILA_WORKSPACE` names, else `.pupila`.

    Raises:
        PupilaError: models or images are missing, or do not fit each other.
        RuntimeError: the process of a model crashed; the message names its log.
    """
    check_preprocess(preprocess)
    learned = task_name(task)
    paths = [models] if isinstance(models, str | os.PathLike) else models
    request = EvaluationRequest(
        models=tuple(Path(path) for path in paths),
        data=Path(data),
        against=None if against is None else Path(against),
        classes=class_names(classes, learned),
        output=output,
        preprocess=preprocess,
        task=learned,
        positive=positive,
        specificity=specificity,
        split=split,
        folder=None if folder is None else Path(folder),
        renamed={str(label): str(name) for label, name in (map or {}).items()},
        groups=(groups,) if isinstance(groups, str) else tuple(groups),
    )
    opened = open_workspace(workspace)
    with display_progress(), opened.writing():
        return Evaluated(evaluate_models(opened, request), request.groups)


def _figures(figures: ExternalMetrics) -> dict[str, Any]:
    return (
        {"images": figures.images}
        | (metrics_columns(figures.metrics) if figures.metrics else {})
        | (fidelity_columns(figures.fidelity) if figures.fidelity else {})
    )
