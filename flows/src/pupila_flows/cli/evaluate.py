"""`pupila evaluate`: models judged on images, beside a teacher."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pupila.errors import PupilaError, join_names
from pupila.evaluation import SPECIFICITY
from pupila_flows.cli.console import print_table, say, say_if_synthetic, working
from pupila_flows.cli.options import HERE, AsJson, WorkspaceFolder

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
        str | None, typer.Option(help="Split that is judged, where there are some; else `test`.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the files of a CSV lie, if that is not where it says."),
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
    output: Annotated[str, typer.Option(help="softmax, logits or sigmoid.")] = "softmax",
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
    """Judge models on images, each in its own runtime, and compare them with a teacher."""
    from pupila_flows.run.evaluate_models import EvaluationRequest, evaluate_models
    from pupila_flows.run.given_models import parse_classes
    from pupila_flows.workspace import Workspace

    asked = EvaluationRequest(
        models=tuple(models),
        data=data,
        against=against,
        classes=parse_classes(classes),
        output=output,
        positive=positive,
        specificity=specificity,
        split=split,
        folder=folder,
        renamed=dict(map_of(each) for each in map or ()),
        groups=tuple(group or ()),
    )
    place = Workspace.at(workspace)
    with working(as_json), place.writing():
        found = evaluate_models(place, asked)
    if csv is not None:
        from pupila_flows.report.answers_csv import write_answers

        images = found.images
        write_answers(csv, images.dataset, _answers(found), asked.groups, labelled=images.labelled)
    for model in found.every:
        for warning in model.warnings:
            say(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(_as_json(found))) if as_json else _print(found, specificity)
    if not as_json:
        say_if_synthetic(data)


def map_of(text: str) -> tuple[str, str]:
    """Return label and class of `label=class`.

    Raises:
        PupilaError: it is not written so.
    """
    label, sign, name = text.rpartition("=")
    if not sign or not label.strip() or not name.strip():
        raise PupilaError(f"--map {text!r} says no class: write it as `--map LABEL=CLASS`.")
    return label.strip(), name.strip()


def _answers(found: EvaluatedModels) -> list[Any]:
    from pupila_flows.report.answers_csv import ModelAnswers

    return [
        ModelAnswers(each.name, each.result.probabilities, each.artifact.record.threshold)
        for each in found.every
    ]


def _as_json(found: EvaluatedModels) -> dict[str, Any]:
    images = found.images
    return {
        "images": {
            "path": str(images.source),
            "images": len(images.dataset),
            "classes": images.dataset.classes,
            "labelled": images.labelled,
            "skipped": [each.model_dump(mode="json") for each in images.skipped],
        },
        "teacher": found.teacher and found.teacher.name,
        "models": [_model_as_json(found, each) for each in found.every],
    }


def _model_as_json(found: EvaluatedModels, model: EvaluatedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "artifact": model.artifact.digest,
        **model.result.model_dump(mode="json"),
        "differences": {
            field: estimate.model_dump(mode="json")
            for field, estimate in found.differences(model.name).items()
        },
        "not_compared": found.not_compared(model.name),
        "warnings": model.warnings,
    }


def _print(found: EvaluatedModels, specificity: float) -> None:
    from pupila_flows.report.external import LEGEND
    from pupila_flows.report.terminal import evaluation_lines

    print_table([{"name": each.name} | _own_row(each) for each in found.every])
    print_table(_beside_teacher(found))
    print_table(_group_rows(found))
    for each in found.every:
        if each.result.evaluation:
            lines = evaluation_lines(each.result.evaluation, specificity)
            prefix = f"{each.name}: " if len(found.every) > 1 else ""
            say(*(prefix + line for line in lines), sep="\n")
    for line in (*_verdicts(found), *not_compared_lines(found)):
        say(line)
    if found.teacher:
        say(LEGEND)
    for skipped in found.images.skipped[:_SHOWN_FILES]:
        say(f"left out: {skipped.path}: {skipped.reason}", file=sys.stderr)
    if len(found.images.skipped) > _SHOWN_FILES:
        more = len(found.images.skipped) - _SHOWN_FILES
        say(f"left out: {more} more files that cannot be read", file=sys.stderr)


def _own_row(model: EvaluatedModel) -> dict[str, str]:
    """Return what is to be said of a model alone."""
    from pupila_flows.report.terminal import evaluation_row, measurement_row

    if model.result.evaluation:
        return evaluation_row(model.result.evaluation)
    return measurement_row(model.result.measurement, {}) if model.result.measurement else {}


def _beside_teacher(found: EvaluatedModels) -> list[dict[str, str]]:
    from pupila_flows.report.external import beside_teacher

    if found.teacher is None:
        return []
    return [
        {f"against {found.teacher.name}": each.name}
        | beside_teacher(each.result.figures, found.differences(each.name))
        for each in found.models
    ]


def _group_rows(found: EvaluatedModels) -> list[dict[str, str]]:
    from pupila_flows.report.external import figure_row, with_all_columns

    rows = [
        {"where": f"{column} = {value}", "name": model.name}
        | figure_row(figures, found.group_differences(model.name, column, value))
        for model in found.every
        for column, groups in model.result.groups.items()
        for value, figures in groups.items()
    ]
    return with_all_columns(rows)


def _verdicts(found: EvaluatedModels) -> list[str]:
    """Say of each model and figure whether a difference from the teacher is shown."""
    from pupila_flows.gate.conditions import condition_of
    from pupila_flows.report.external import signed

    if found.teacher is None:
        return []
    lines: list[str] = []
    for model in found.models:
        for field, each in found.differences(model.name).items():
            shown = (
                "better" if each.low > 0 else "worse" if each.high < 0 else "not shown to differ"
            )
            lines.append(
                f"{model.name} against {found.teacher.name}: {condition_of(field).title} "
                f"{signed(each)}: {shown}."
            )
    return lines


def not_compared_lines(found: EvaluatedModels) -> list[str]:
    """Name the figures that were not compared with the teacher's, and say why."""
    from pupila_flows.gate.conditions import condition_of

    names: dict[str, list[str]] = {}
    for model in found.models:
        titles = [condition_of(field).title for field in found.not_compared(model.name)]
        metrics = model.result.figures.metrics
        if metrics and titles:
            why = (
                "that needs images of all classes"
                if metrics.auc is None
                else "that needs thresholds that validation images chose for both; data with a "
                "split `validation` has some"
            )
            names.setdefault(f"no difference of {join_names(titles)}, as {why}.", []).append(
                model.name
            )
    return [f"{join_names(each)}: {said}" for said, each in names.items()]
