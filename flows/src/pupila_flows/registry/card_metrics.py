"""The sections on metrics in a model card: on all test images, and by group."""

from __future__ import annotations

from collections.abc import Sequence

from pupila.evaluation import Estimate, Evaluation, Figure, Metrics
from pupila.task import TaskMethods
from pupila_flows.markdown import code, plain, table
from pupila_flows.report import formatting
from pupila_flows.report.figures import known_added, known_figures, titled, with_interval
from pupila_flows.results import Entry

_POINT = ("sensitivity", "specificity", "at threshold")
"""Columns shown together: sensitivity and specificity mean nothing without each other."""
_CALIBRATION = ("ECE", "Brier")


def metrics_lines(entries: Sequence[Entry], specificity: float, task: TaskMethods) -> list[str]:
    """Return the section's lines: how good each artifact is on the test images."""
    evaluated = [(entry, entry.evaluation) for entry in entries if entry.evaluation]
    if not evaluated:
        return ["## Metrics", "", "None of the published artifacts was evaluated by itself."]
    known = known_figures(evaluation.metrics for _, evaluation in evaluated)
    added = known_added(evaluation.metrics for _, evaluation in evaluated)
    rows = [
        [
            code(entry.name),
            *_metric_cells(evaluation, known, task),
            *_figures(evaluation.metrics.added, added),
        ]
        for entry, evaluation in evaluated
    ]
    head = ["model", *_quality_head(known, task)]
    head += [*(_CALIBRATION if task.has_classes else ()), "agrees with the teacher"]
    head += [plain(titled(figure)) for figure in added]
    split, independence = evaluated[0][1].split, formatting.independence(evaluated[0][1].metrics)
    sentences = [
        f"On the {split} images, each artifact in its own runtime; 95 % intervals in parentheses.",
        f"Sensitivity and specificity {_thresholds(evaluated, specificity)}."
        if task.has_classes
        else f"{formatting.capitalised(task.right_title)}: {plain(task.right_meaning)}.",
        independence,
        *(["The intervals of ECE and Brier score are rough."] if task.has_classes else []),
    ]
    return ["## Metrics", "", " ".join(sentences), "", *table(head, rows)]


def _quality_head(known: Sequence[Figure], task: TaskMethods) -> list[str]:
    figures = ["AUC", *_POINT] if task.has_classes else [plain(titled(figure)) for figure in known]
    return ["images", plain(task.right_title), *figures]


def _thresholds(evaluated: Sequence[tuple[Entry, Evaluation]], specificity: float) -> str:
    """Say at which threshold each model's sensitivity and specificity hold."""
    shipped = [
        f"{code(entry.name)} at its shipped threshold, {formatting.score(point.threshold)} "
        f"({plain(point.chosen_on)})"
        for entry, evaluation in evaluated
        if (point := evaluation.metrics.shipped)
    ]
    others = [
        evaluation.metrics.point for _, evaluation in evaluated if not evaluation.metrics.shipped
    ]
    chosen = {
        point.chosen_on: f"{point.images or 'the'} {point.chosen_on}" for point in others if point
    }
    if chosen:
        images = formatting.listed(list(chosen.values()))
        wanted = formatting.percent(specificity, 0)
        shipped.append(
            f"{'others ' if shipped else ''}at the threshold chosen on {images} images for a "
            f"specificity of {wanted} there"
            + (", which are the same images: optimistic" if "test" in chosen else "")
        )
    return f"are {'; '.join(shipped)}" if shipped else "have no threshold"


def _metric_cells(evaluation: Evaluation, known: Sequence[Figure], task: TaskMethods) -> list[str]:
    metrics, agreement = evaluation.metrics, evaluation.agreement
    calibration = (metrics.ece, metrics.brier) if task.has_classes else ()
    return [
        *_quality(metrics, known, task),
        *(_score(estimate) if estimate else formatting.NONE for estimate in calibration),
        _percent(agreement.labels) if agreement else formatting.NONE,
    ]


def _quality(metrics: Metrics, known: Sequence[Figure], task: TaskMethods) -> list[str]:
    right = [str(metrics.images), _percent(metrics.accuracy)]
    if not task.has_classes:
        return right + _figures(metrics.figures, known)
    point = metrics.point
    return [
        *right,
        _score(metrics.auc) if metrics.auc else formatting.NONE,
        _percent(point.sensitivity) if point else formatting.NONE,
        _percent(point.specificity) if point else formatting.NONE,
        formatting.threshold(metrics),
    ]


def _figures(own: Sequence[Figure], known: Sequence[Figure]) -> list[str]:
    """Return a cell for each of the `known` figures, given those that a model has."""
    by_name = {figure.name: figure for figure in own}
    figures = [by_name.get(figure.name) for figure in known]
    return [with_interval(figure) if figure else formatting.NONE for figure in figures]


def group_lines(entries: Sequence[Entry], task: TaskMethods) -> list[str]:
    """Return the lines with the metrics by group, such as site, if the data has groups."""
    lines: list[str] = []
    columns = {
        column: None for entry in entries if entry.evaluation for column in entry.evaluation.groups
    }
    for column in columns:
        by_value = [
            (entry.name, value, metrics)
            for entry in entries
            if entry.evaluation
            for value, metrics in entry.evaluation.groups.get(column, {}).items()
        ]
        known = known_figures(metrics for _, _, metrics in by_value)
        rows = [
            [code(name), plain(value), *_quality(metrics, known, task)]
            for name, value, metrics in by_value
        ]
        head = ["model", plain(column), *_quality_head(known, task)]
        lines += [f"### By {plain(column)}", "", *table(head, rows), ""]
    return lines[:-1]


def _percent(estimate: Estimate) -> str:
    return f"{formatting.percent(estimate.value)} ({formatting.percent_interval(estimate)})"


def _score(estimate: Estimate) -> str:
    return f"{formatting.score(estimate.value)} ({formatting.score_interval(estimate)})"
