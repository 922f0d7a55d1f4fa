"""The results of evaluated models as rows and lines of text."""

from __future__ import annotations

from pupila.errors import join_names
from pupila.plugin import CLASSIFICATION
from pupila.task import TaskMethods
from pupila_flows.gate.conditions import condition_of, margin_rule
from pupila_flows.report.answers_csv import ModelAnswers
from pupila_flows.report.external import fidelity_row, metrics_row, signed, with_all_columns
from pupila_flows.report.terminal import evaluation_row, measurement_row
from pupila_flows.run.evaluate_models import EvaluatedModel, EvaluatedModels


def model_rows(evaluated: EvaluatedModels) -> list[dict[str, str]]:
    """Return one row per model with its own metrics, the teacher's first."""
    return [{"name": model.name} | _own_row(model, evaluated.task) for model in evaluated.every]


def answers_of(evaluated: EvaluatedModels) -> list[ModelAnswers]:
    """Return the answers of every model to the images, the teacher's first."""
    return [
        ModelAnswers(model.name, model.result.probabilities, model.artifact.record.threshold)
        for model in evaluated.every
    ]


def _own_row(model: EvaluatedModel, task: TaskMethods) -> dict[str, str]:
    """Return the row with a model's own metrics, or its measurements if it was never trained."""
    if model.result.evaluation:
        return evaluation_row(model.result.evaluation, task)
    return measurement_row(model.result.measurement, {}) if model.result.measurement else {}


def teacher_rows(evaluated: EvaluatedModels) -> list[dict[str, str]]:
    """Return one row per model that compares it with the teacher; empty without a teacher."""
    if evaluated.teacher is None:
        return []
    return [
        {f"against {evaluated.teacher.name}": model.name}
        | fidelity_row(model.result.figures, evaluated.differences(model.name), evaluated.task)
        for model in evaluated.models
    ]


def group_rows(evaluated: EvaluatedModels) -> list[dict[str, str]]:
    """Return one row per model and group of images."""
    rows = [
        {"where": f"{column} = {value}", "name": model.name}
        | metrics_row(
            figures, evaluated.group_differences(model.name, column, value), evaluated.task
        )
        for model in evaluated.every
        for column, groups in model.result.groups.items()
        for value, figures in groups.items()
    ]
    return with_all_columns(rows)


def verdict_lines(evaluated: EvaluatedModels) -> list[str]:
    """Say for each model and metric whether it is better or worse than the teacher."""
    if evaluated.teacher is None:
        return []
    lines: list[str] = []
    task = evaluated.images.dataset.task
    for model in evaluated.models:
        for field, difference in evaluated.differences(model.name).items():
            direction = margin_rule(field).direction
            gains = [direction.gain(end) for end in (difference.low, difference.high)]
            shown = (
                "better" if min(gains) > 0 else "worse" if max(gains) < 0 else "not shown to differ"
            )
            lines.append(
                f"{model.name} against {evaluated.teacher.name}: {condition_of(field, task).title} "
                f"{signed(difference)}: {shown}."
            )
    return lines


def not_compared_lines(evaluated: EvaluatedModels) -> list[str]:
    """Return lines that say which metrics could not be compared with the teacher's, and why."""
    task = evaluated.images.dataset.task
    names: dict[str, list[str]] = {}
    for model in evaluated.models:
        titles = [condition_of(field, task).title for field in evaluated.not_compared(model.name)]
        metrics = model.result.figures.metrics
        if metrics and titles:
            why = (
                "that needs images with something to be found"
                if task != CLASSIFICATION
                else "that needs images of all classes"
                if metrics.auc is None
                else "that needs thresholds that validation images chose for both; data with a "
                "split `validation` has some"
            )
            names.setdefault(f"no difference of {join_names(titles)}, as {why}.", []).append(
                model.name
            )
    return [f"{join_names(models)}: {reason}" for reason, models in names.items()]
