"""Builds the report: one HTML file with its styles, plots and pictures inside."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from pupila.store import write_atomically
from pupila.task import TaskMethods
from pupila_flows.report import figures, formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.past_runs import REPORT_NAME
from pupila_flows.report.plots import bars_and_rocs, graph, scatter
from pupila_flows.report.predictions import RunPredictions, read_predictions
from pupila_flows.report.search import searches
from pupila_flows.report.sections import (
    controls,
    gate,
    results_csv,
    runtimes,
    teachers,
)
from pupila_flows.report.sections import (
    results_table as tables,
)
from pupila_flows.report.sections.added import added_sections
from pupila_flows.report.sections.calibration import reliabilities
from pupila_flows.report.sections.disagreements import disagreements
from pupila_flows.report.sections.external import external_panels
from pupila_flows.report.sections.gains import gains
from pupila_flows.report.sections.headline import Headline, goal_of, headline
from pupila_flows.report.sections.layers import sensitive_layers
from pupila_flows.report.sections.learning import trainings
from pupila_flows.report.sections.missed import Missed, missed
from pupila_flows.report.sections.mistakes import mistakes
from pupila_flows.report.sections.open_set import filter_table
from pupila_flows.report.sections.predictive import predictive_table
from pupila_flows.report.sections.pruning import pruning_curves
from pupila_flows.report.sections.seeds import seed_table, seeds_note
from pupila_flows.report.sections.shift import shift_report
from pupila_flows.report.stages import stage_rows
from pupila_flows.report.templating import fill
from pupila_flows.results import DataSummary, RunResult


def write_report(result: RunResult, folder: Path) -> Path:
    """Write `report.html` into `folder` and return its path; the same run gives the same bytes.

    If predictions or images are missing, the report says so and shows the rest.

    Raises:
        PupilaError: predictions do not have a row per test image and the columns of the task.
    """
    path = folder / REPORT_NAME
    write_atomically(path, render(result, folder).encode())
    return path


def render(result: RunResult, folder: Path) -> str:
    """Return the report as HTML; links and relative paths start from `folder`.

    The page shows the entries of the first seed, except in parts that say they show all seeds.
    """
    lineage = Lineage.of([entry for entry in result.entries if entry.repeats is None])
    predictions = read_predictions(result, folder)
    comparisons = gains(result.entries, predictions)
    verdict, task = headline(result, lineage, predictions), predictions.task
    every_metrics = [artifact.evaluation.metrics for artifact in lineage.evaluated()]
    chosen = verdict.pupil.name if verdict.pupil and verdict.keeps else None
    shown = [artifact for artifact in (verdict.pupil, verdict.teacher) if artifact]
    shown = shown or lineage.evaluated()
    return fill(
        "report.html",
        result=result,
        task=task,
        main_title=figures.main_title(task, every_metrics),
        goal=goal_of(result, lineage),
        missed=_missed_images(verdict, result.data.classes),
        predictive=predictive_table(shown, result.data.classes),
        reliabilities=reliabilities(shown, predictions),
        trainings=trainings(lineage.entries.values(), task),
        repeated_trainings=trainings([entry for entry in result.entries if entry.repeats], task),
        verdict=verdict,
        verdict_bars=_verdict_bars(verdict.pupil, verdict.teacher),
        meaning=verdict.meaning,
        badge=verdict.badge,
        shortcuts=tables.shortcuts(result.data),
        columns=tables.columns(task),
        rows=tables.results(lineage, chosen, task),
        records=results_csv.records(lineage, task),
        thresholds=tables.thresholds_note(lineage, result.specificity),
        independence=formatting.independence(every_metrics[0]) if every_metrics else "",
        seeds_note=seeds_note(result),
        teaching=controls.summary(comparisons, verdict.pupil.name if verdict.pupil else None),
        comparisons=controls.comparisons(comparisons, task),
        seed_table=seed_table(result, predictions),
        repeats=[entry for entry in result.entries if entry.repeats],
        panels=teachers.panels(lineage, task),
        curves=pruning_curves(lineage, task),
        layers=sensitive_layers(lineage),
        searches=searches(lineage),
        added=added_sections(result, lineage),
        evaluated=lineage.evaluated(),
        missing=[
            artifact.name
            for artifact in lineage.evaluated()
            if artifact.name not in predictions.answers
        ],
        rocs=_rocs(result, lineage, predictions),
        scatter=_scatter(lineage, chosen, task),
        runtime_checks=runtimes.runtime_rows(lineage),
        runtime_columns=runtimes.columns(task),
        latencies=tables.latencies(lineage),
        confusions=tables.confusions(lineage, result.data.classes),
        external=external_panels(result, lineage, chosen, folder),
        stages=stage_rows(lineage.entries.values()),
        filters=filter_table(lineage),
        shift=shift_report(result, lineage, predictions, folder),
        release=gate.panels(result, folder),
        release_words=gate.WORDS,
        release_notes=gate.notes(result),
        mistakes=mistakes(result, lineage, predictions, chosen, folder),
        disagreements=disagreements(result, lineage, predictions, chosen, folder),
        graph=graph.draw(lineage) if result.entries else None,
        checks=tables.checks(result.data),
        counts=tables.counts(result.data),
        data_docs=data_docs(result.data, folder),
        groups=tables.groups(lineage),
        command=f"pupila run {shlex.quote(result.recipe_path)}",
    )


def _verdict_bars(
    pupil: EvaluatedArtifact | None, teacher: EvaluatedArtifact | None
) -> tuple[Markup, Markup] | None:
    """Draw the fractions right of the headline's pupil and teacher as bars on one scale."""
    if pupil is None or teacher is None:
        return None
    mine, theirs = pupil.evaluation.metrics.accuracy, teacher.evaluation.metrics.accuracy
    low = min(mine.low, theirs.low)
    high = max(mine.high, theirs.high)
    return bars_and_rocs.interval_bar(mine, low, high), bars_and_rocs.interval_bar(
        theirs, low, high
    )


def _missed_images(
    verdict: Headline, classes: Sequence[str]
) -> tuple[Missed, Missed | None] | None:
    """Return what the headline's pupil misses of the positive class, then its teacher.

    Return None if the pupil has no operating point.
    """
    own = missed(verdict.pupil.evaluation.metrics, classes) if verdict.pupil else None
    theirs = missed(verdict.teacher.evaluation.metrics, classes) if verdict.teacher else None
    return (own, theirs) if own else None


def _rocs(
    result: RunResult, lineage: Lineage, predictions: RunPredictions
) -> list[tuple[str, str, str, Markup]]:
    """Return name, AUC, operating point and ROC curve of every evaluated entry.

    The list is empty if the data has no positive class, or the task no classes.
    """
    data = result.data
    if not predictions.task.has_classes or data.positive not in data.classes:
        return []
    column = data.classes.index(data.positive)
    truth = predictions.truths == column
    curves = {
        name: bars_and_rocs.roc_points(truth, values[:, column])
        for name, values in predictions.answers.items()
    }
    panels: list[tuple[str, str, str, Markup]] = []
    for artifact in lineage.evaluated():
        if artifact.name not in curves:
            continue
        metrics = artifact.evaluation.metrics
        auc = formatting.score(metrics.auc.value) if metrics.auc else formatting.NONE
        teacher = lineage.reference(artifact.entry)
        teacher_curve = curves.get(teacher.name) if teacher else None
        point = metrics.point
        at_point = formatting.sensitivity_and_specificity(point) if point else ""
        label = f"ROC curve of {artifact.name} for {data.positive}: AUC {auc}"
        label += f"; {at_point}" if at_point else ""
        curve = bars_and_rocs.roc(curves[artifact.name], teacher_curve, point, label)
        panels.append((artifact.name, auc, at_point, curve))
    return panels


def _scatter(
    lineage: Lineage, chosen: str | None, task: TaskMethods
) -> tuple[str, str, Markup] | None:
    """Return the plot of the main figure against size, its title, and which end is better.

    If a model lacks the main figure, the fraction right is plotted.
    """
    artifacts = lineage.evaluated()
    if not artifacts:
        return None
    main = [figures.main_figure(artifact.evaluation.metrics) for artifact in artifacts]
    known = [figure for figure in main if figure]
    use_main = len(known) == len(artifacts)
    title = figures.titled(known[0]) if use_main else task.right_title
    unit = known[0].unit if use_main else ""
    spots = [
        scatter.Spot(
            artifact.name,
            artifact.size_bytes,
            known[row].estimate if use_main else artifact.evaluation.metrics.accuracy,
            _style(artifact, lineage, chosen),
        )
        for row, artifact in enumerate(artifacts)
    ]
    title = formatting.capitalised(title) if task.has_classes else title
    better = "lower" if use_main and known[0].lower_is_better else "higher"
    return title, better, scatter.size_against_quality(spots, title, unit)


def _style(artifact: EvaluatedArtifact, lineage: Lineage, chosen: str | None) -> str:
    if artifact.name == chosen:
        return "chosen"
    if lineage.is_control(artifact.entry):
        return "control"
    return "teacher" if artifact.entry.kind == "teacher" else "pupil"


def data_docs(data: DataSummary, folder: Path) -> str | None:
    """Return the URL of the Data Docs relative to `folder`; None if there are no Data Docs.

    A relative URL works on disk and on a web server.
    """
    if data.data_docs is None:
        return None
    target, base = Path(data.data_docs).resolve(), folder.resolve()
    return quote(Path(os.path.relpath(target, base)).as_posix())
