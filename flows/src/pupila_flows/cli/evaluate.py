"""`pupila evaluate`: evaluates models on images, and compares them with a teacher."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pupila.errors import PupilaError
from pupila.evaluation import SPECIFICITY
from pupila_flows.cli.console import print_table, say, say_if_synthetic, working
from pupila_flows.cli.options import HERE, AsJson, LearnedTask, PixelScaling, WorkspaceFolder

if TYPE_CHECKING:
    from pupila_flows.run.evaluate_models import EvaluatedModel, EvaluatedModels

_SHOWN_FILES = 10


def evaluate(
    models: Annotated[
        list[Path], typer.Argument(help="Model files or folders of artifacts.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with a folder for each class (with or without splits above), folder of "
            "images alone, or CSV with a column `path`.",
            show_default=False,
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option(help="Teacher that they are compared with, image by image."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split to evaluate, if the data has splits; by default `test`."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder of the files that a CSV lists, if not the CSV's own."),
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=CLASS",
            help="Class that a label of the images means; can be repeated.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the CSV by which figures are shown too; can be repeated.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="File to write every answer to, a line for each image.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Class of each output column of model files; by default alphabetical."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="softmax (the default), logits or sigmoid, or of the task.")
    ] = None,
    preprocess: PixelScaling = None,
    task: LearnedTask = None,
    positive: Annotated[
        str | None, typer.Option(help="Class that counts as positive; by default the first.")
    ] = None,
    specificity: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, help="For which validation images choose a threshold."),
    ] = SPECIFICITY,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Evaluate models on images, each in its own runtime, and compare them with a teacher."""
    from pupila_flows.run.evaluate_models import EvaluationRequest, evaluate_models
    from pupila_flows.run.given_models import parse_classes
    from pupila_flows.workspace import Workspace

    request = EvaluationRequest(
        models=tuple(models),
        data=data,
        against=against,
        classes=parse_classes(classes, None if task is None else task),
        output=output,
        preprocess=preprocess or "none",
        task=task,
        positive=positive,
        specificity=specificity,
        split=split,
        folder=folder,
        renamed=dict(parse_mapping(text) for text in map or ()),
        groups=tuple(group or ()),
    )
    opened = Workspace.at(workspace)
    with working(as_json), opened.writing():
        evaluated = evaluate_models(opened, request)
    if csv is not None:
        from pupila_flows.report.answers_csv import write_answers
        from pupila_flows.run.evaluation_text import answers_of

        images = evaluated.images
        write_answers(
            csv, images.dataset, answers_of(evaluated), request.groups, labelled=images.labelled
        )
    for model in evaluated.every:
        for warning in model.warnings:
            say(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(_as_json(evaluated))) if as_json else _print(evaluated, specificity)
    if not as_json:
        say_if_synthetic(data)


def parse_mapping(text: str) -> tuple[str, str]:
    """Split `label=class` into label and class.

    Raises:
        PupilaError: the text does not have this form.
    """
    label, sign, name = text.rpartition("=")
    if not sign or not label.strip() or not name.strip():
        raise PupilaError(f"--map {text!r} names no class: write it as `--map LABEL=CLASS`.")
    return label.strip(), name.strip()


def _as_json(evaluated: EvaluatedModels) -> dict[str, Any]:
    images = evaluated.images
    return {
        "images": {
            "path": str(images.source),
            "images": len(images.dataset),
            "classes": images.dataset.classes,
            "labelled": images.labelled,
            "skipped": [image.model_dump(mode="json") for image in images.skipped],
        },
        "teacher": evaluated.teacher and evaluated.teacher.name,
        "models": [_model_as_json(evaluated, model) for model in evaluated.every],
    }


def _model_as_json(evaluated: EvaluatedModels, model: EvaluatedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "artifact": model.artifact.digest,
        **model.result.model_dump(mode="json"),
        "differences": {
            field: estimate.model_dump(mode="json")
            for field, estimate in evaluated.differences(model.name).items()
        },
        "not_compared": evaluated.not_compared(model.name),
        "warnings": model.warnings,
    }


def _print(evaluated: EvaluatedModels, specificity: float) -> None:
    from pupila_flows.report.external import legend
    from pupila_flows.report.terminal import evaluation_lines
    from pupila_flows.run.evaluation_text import (
        group_rows,
        model_rows,
        not_compared_lines,
        teacher_rows,
        verdict_lines,
    )

    task = evaluated.task
    for rows in (model_rows(evaluated), teacher_rows(evaluated), group_rows(evaluated)):
        print_table(rows)
    for model in evaluated.every:
        if model.result.evaluation:
            lines = evaluation_lines(model.result.evaluation, specificity, task)
            prefix = f"{model.name}: " if len(evaluated.every) > 1 else ""
            say(*(prefix + line for line in lines), sep="\n")
    for line in (*verdict_lines(evaluated), *not_compared_lines(evaluated)):
        say(line)
    if evaluated.teacher:
        say(legend(task))
    for skipped in evaluated.images.skipped[:_SHOWN_FILES]:
        say(f"left out: {skipped.path}: {skipped.reason}", file=sys.stderr)
    if len(evaluated.images.skipped) > _SHOWN_FILES:
        more = len(evaluated.images.skipped) - _SHOWN_FILES
        say(f"left out: {more} more files that cannot be read", file=sys.stderr)
