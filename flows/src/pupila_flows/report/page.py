"""Puts the report together: one HTML file with its styles, figures and pictures inside."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from pupila.store import write_atomically
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots import bars_and_rocs, graph, scatter
from pupila_flows.report.predictions import Answers, read_answers
from pupila_flows.report.search import searches
from pupila_flows.report.sections import (
    controls,
    gate,
    teachers,
)
from pupila_flows.report.sections import (
    results_table as tables,
)
from pupila_flows.report.sections import (
    runtimes as trials,
)
from pupila_flows.report.sections.disagreements import disagreements
from pupila_flows.report.sections.external import external_panels
from pupila_flows.report.sections.gains import gains
from pupila_flows.report.sections.headline import asked, headline
from pupila_flows.report.sections.layers import sensitive_layers
from pupila_flows.report.sections.mistakes import mistakes
from pupila_flows.report.sections.open_set import gate_table
from pupila_flows.report.sections.pruning import pruning_curves
from pupila_flows.report.sections.seeds import seed_table, seeds_note
from pupila_flows.report.sections.shift import shift_report
from pupila_flows.report.templating import fill
from pupila_flows.results import DataSummary, RunResult

REPORT_NAME = "report.html"


def write_report(result: RunResult, folder: Path) -> Path:
    """Write `report.html` into `folder` and return its path; the same run gives the same bytes.

    Predictions and images that are gone are said to be missing; the rest of the report stands.

    Raises:
        PupilaError: predictions do not have a row per test image and a column per class.
    """
    path = folder / REPORT_NAME
    write_atomically(path, render(result, folder).encode())
    return path


def render(result: RunResult, folder: Path) -> str:
    """Return the report as HTML; links and relative paths are understood from `folder`.

    Of entries that are repeated with other seeds, those of the first seed are shown; what is over
    all seeds says so.
    """
    lineage = Lineage.of([entry for entry in result.entries if entry.repeats is None])
    answers = read_answers(result, folder)
    found = gains(result.entries, answers)
    verdict = headline(result, lineage, answers)
    chosen = verdict.pupil.name if verdict.pupil and verdict.keeps else None
    return fill(
        "report.html",
        result=result,
        asked=asked(result, lineage),
        verdict=verdict,
        verdict_bars=_verdict_bars(verdict.pupil, verdict.teacher),
        keeps=verdict.meaning,
        badge=verdict.badge,
        shortcuts=tables.shortcuts(result.data),
        columns=tables.columns(),
        rows=tables.results(lineage, chosen),
        thresholds=tables.thresholds(lineage, result.specificity),
        independence=formatting.independence(lineage.judged()[0].evaluation.metrics)
        if lineage.judged()
        else "",
        seeds_note=seeds_note(result),
        teaching=controls.summary(found, verdict.pupil.name if verdict.pupil else None),
        comparisons=controls.comparisons(found),
        seed_table=seed_table(result, answers),
        repeats=[entry for entry in result.entries if entry.repeats],
        panels=teachers.panels(lineage),
        curves=pruning_curves(lineage),
        layers=sensitive_layers(lineage),
        searches=searches(lineage),
        judged=lineage.judged(),
        missing=[each.name for each in lineage.judged() if each.name not in answers.probabilities],
        rocs=_rocs(result, lineage, answers),
        scatter=_scatter(lineage, chosen),
        trials=trials.runtime_rows(lineage),
        trial_columns=trials.COLUMNS,
        latencies=tables.latencies(lineage),
        confusions=tables.confusions(lineage, result.data.classes),
        elsewhere=external_panels(result, lineage, chosen, folder),
        gates=gate_table(lineage),
        shift=shift_report(result, lineage, folder),
        release=gate.panels(result, folder),
        release_words=gate.WORDS,
        release_notes=gate.notes(result),
        mistakes=mistakes(result, lineage, answers, chosen, folder),
        disagreements=disagreements(result, lineage, answers, chosen, folder),
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
    """Draw the two accuracies of the headline on one scale."""
    if pupil is None or teacher is None:
        return None
    mine, theirs = pupil.evaluation.metrics.accuracy, teacher.evaluation.metrics.accuracy
    low = min(mine.low, theirs.low)
    high = max(mine.high, theirs.high)
    return bars_and_rocs.interval_bar(mine, low, high), bars_and_rocs.interval_bar(
        theirs, low, high
    )


def _rocs(
    result: RunResult, lineage: Lineage, answers: Answers
) -> list[tuple[str, str, str, Markup]]:
    """Return name, AUC, operating point and ROC curve of every judged entry.

    None without a positive class.
    """
    data = result.data
    if data.positive not in data.classes:
        return []
    column = data.classes.index(data.positive)
    truth = answers.labels == column
    curves = {
        name: bars_and_rocs.roc_points(truth, values[:, column])
        for name, values in answers.probabilities.items()
    }
    drawn: list[tuple[str, str, str, Markup]] = []
    for judged in lineage.judged():
        if judged.name not in curves:
            continue
        metrics = judged.evaluation.metrics
        auc = formatting.score(metrics.auc.value) if metrics.auc else formatting.NONE
        teacher = lineage.reference(judged.entry)
        behind = curves.get(teacher.name) if teacher else None
        point = metrics.point
        there = formatting.sensitivity_and_specificity(point) if point else ""
        label = f"ROC curve of {judged.name} for {data.positive}: AUC {auc}"
        label += f"; {there}" if there else ""
        curve = bars_and_rocs.roc(curves[judged.name], behind, point, label)
        drawn.append((judged.name, auc, there, curve))
    return drawn


def _scatter(lineage: Lineage, chosen: str | None) -> tuple[str, Markup] | None:
    """Return what is plotted over size (AUC, or accuracy where an AUC is missing), and the plot."""
    judged = lineage.judged()
    if not judged:
        return None
    by_auc = all(each.evaluation.metrics.auc for each in judged)
    spots: list[scatter.Spot] = []
    for each in judged:
        metrics = each.evaluation.metrics
        quality = (metrics.auc if by_auc else None) or metrics.accuracy
        style = _style(each, lineage, chosen)
        spots.append(scatter.Spot(each.name, each.size_bytes, quality, style))
    title = "AUC" if by_auc else "Accuracy"
    return title, scatter.size_against_quality(spots, title)


def _style(judged: EvaluatedArtifact, lineage: Lineage, chosen: str | None) -> str:
    if judged.name == chosen:
        return "chosen"
    if lineage.is_control(judged.entry):
        return "control"
    return "teacher" if judged.entry.kind == "teacher" else "pupil"


def data_docs(data: DataSummary, folder: Path) -> str | None:
    """Return the address of the Data Docs from `folder` on: as files, and where both are served."""
    if data.data_docs is None:
        return None
    target, base = Path(data.data_docs).resolve(), folder.resolve()
    return quote(Path(os.path.relpath(target, base)).as_posix())
