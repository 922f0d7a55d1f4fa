"""The results of a run as rows and lines of text, for the terminal and for Prefect."""

from __future__ import annotations

from pathlib import Path

import yaml

from pupila.data_plugins import DatasetReader, ImageFormat
from pupila.evaluation import Evaluation, Measurement, OpenSet
from pupila.openset import ALL
from pupila.plugin import DataCheck, Loader, Plugin, Runner, Shift, StepPlugin, Student, Task
from pupila.plugin_registry import PluginRegistry
from pupila.result_plugins import GateCondition, Metric, ReportSection
from pupila.task import TaskMethods
from pupila_flows.gate.conditions import title_of
from pupila_flows.gate.messages import notes
from pupila_flows.report import formatting
from pupila_flows.report.external import interval, quality_row
from pupila_flows.report.figures import main_figure, titled, words
from pupila_flows.report.predictions import read_predictions
from pupila_flows.report.sections.gains import gains
from pupila_flows.report.sections.seeds import seed_table
from pupila_flows.results import Check, Entry, Finding, GateResult, RunResult, RuntimeResult

NO_GATE = "Gate: none in the recipe, so NOTHING of this run may be published: write `gate: {}`."
"""Message about a run without a gate whose recipe has a section `publish`."""
UNASKED = "Gate: none in the recipe."
_SHOWN_IMAGES = 5


def result_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per teacher and artifact of the first seed.

    In a sweep, artifacts that were not evaluated are left out, as they are only intermediate.
    """
    shown = [entry for entry in result.entries if entry.repeats is None]
    return [
        _row(entry, result.data.methods)
        for entry in shown
        if entry.evaluation or entry.error or not result.sweep
    ]


def summary_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per teacher and artifact as `result_rows` does, with what matters most.

    These are size, the fraction right, the main figure, time, and the gate's verdict.
    """
    gate = result.gate.artifacts if result.gate else ()
    verdicts = {artifact.entry: artifact.verdict.upper() for artifact in gate}
    rows = [
        (entry, entry.evaluation or entry.measurement)
        for entry in result.entries
        if entry.repeats is None and (entry.evaluation or entry.error or not result.sweep)
    ]
    task = result.data.methods
    return [
        {
            "name": entry.name,
            "made by": entry.uses,
            **(_summary(measured, task) if measured else {"size": ""}),
            "verdict": entry.error or verdicts.get(entry.name) or _unmeasured(entry),
        }
        for entry, measured in rows
    ]


def _summary(measured: Evaluation | Measurement, task: TaskMethods) -> dict[str, str]:
    cost, metrics = measured.cost, measured.metrics if isinstance(measured, Evaluation) else None
    figure = main_figure(metrics) if metrics else None
    return {
        "size": formatting.size(cost.size_bytes),
        task.right_title: interval(metrics.accuracy) if metrics else "untrained",
        **({titled(figure): interval(figure.estimate)} if figure else {}),
        "median ms": f"{cost.latency.median_ms:.2f}",
    }


def _unmeasured(entry: Entry) -> str:
    if entry.evaluation or entry.measurement:
        return ""
    return entry.not_evaluated or "not evaluated"


def _row(entry: Entry, task: TaskMethods) -> dict[str, str]:
    row = {"name": entry.name, "made by": entry.uses}
    if entry.measurement:
        return row | measurement_row(
            entry.measurement, {task.right_title: "not measured: untrained"}
        )
    if entry.evaluation is None:
        return row | {"runtime": entry.error or entry.not_evaluated or "not evaluated"}
    failed = {"failure": entry.error} if entry.error else {}
    return row | evaluation_row(entry.evaluation, task) | failed


def evaluation_row(evaluation: Evaluation, task: TaskMethods) -> dict[str, str]:
    """Return the metrics of one artifact as text, with units in the column names."""
    columns = {
        **quality_row(evaluation.metrics, task),
        "agrees": f"{evaluation.agreement.labels.value:.3f}" if evaluation.agreement else "",
        **(_filter(evaluation.open_set) if evaluation.open_set else {}),
    }
    return measurement_row(evaluation, columns)


def evaluation_lines(evaluation: Evaluation, specificity: float, task: TaskMethods) -> list[str]:
    """Explain the metrics of `evaluation_row` in sentences: class, threshold, patients, ties.

    In a task without classes, they say what is right, and give the first figure. A threshold that
    does not ship with its model was chosen to reach `specificity`.
    """
    metrics = evaluation.metrics
    if not task.has_classes:
        right = f"{formatting.capitalised(task.right_title)}: {task.right_meaning}."
        figures = [f"{formatting.capitalised(words(figure))}." for figure in metrics.figures[:1]]
        return [right, *figures, formatting.independence(metrics)]
    point = metrics.point
    measured = formatting.sensitivity_and_specificity(point) if point else ""
    summary = f"{metrics.positive}: {measured}." if measured else ""
    lines = [
        summary,
        formatting.threshold_origin(metrics, specificity),
        formatting.independence(metrics),
        *evaluation.warnings,
    ]
    return [line for line in lines if line]


def _filter(open_set: OpenSet) -> dict[str, str]:
    """Return how much a filter lets through of its class, other test images and near misses."""
    groups = {group.near_miss: group for group in open_set.negatives if group.name == ALL}
    row = {"lets through": interval(open_set.accepted.accepted)}
    for near_miss, of in ((False, "others"), (True, "near misses")):
        if near_miss in groups:
            group = groups[near_miss]
            row[f"AUC, {of}"] = interval(group.auc) if group.auc else ""
            row[f"false accepts, {of}"] = interval(group.accepted)
    return row


def measurement_row(measurement: Measurement, metrics: dict[str, str]) -> dict[str, str]:
    """Return a model's costs as columns of text, with `metrics` between sizes and latency."""
    cost = measurement.cost
    return {
        "runtime": measurement.runtime,
        "MB": f"{cost.size_bytes / 1e6:.3f}",
        "gzip MB": f"{cost.gzip_bytes / 1e6:.3f}",
        **metrics,
        "median ms": f"{cost.latency.median_ms:.1f}",
    }


def runtime_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row for each runtime check of an artifact, with runtime and thread count."""
    return [
        {"name": entry.name, "checked in": outcome.runtime, **_runtime_row(outcome)}
        for entry in result.entries
        for outcome in entry.runtimes
    ]


def _runtime_row(result: RuntimeResult) -> dict[str, str]:
    check, failure = result.check, result.failure or ""
    if check is None:
        return {"runtime": "", "failure": f"does not run: {failure}"}
    agreement, startup = check.agreement, check.startup
    return {
        "runtime": check.runtime,
        "threads": str(check.latency.threads),
        "agrees": f"{agreement.labels.value:.3f}" if agreement else "",
        "largest difference": f"{agreement.largest_difference:.2g}" if agreement else "",
        "median ms": f"{check.latency.median_ms:.1f}",
        "p95 ms": f"{check.latency.p95_ms:.1f}",
        "ready ms": f"{startup.cold_start_ms:.0f}" if startup else "",
        "first ms": f"{startup.first_inference_ms:.0f}" if startup else "",
        "failure": failure,
    }


def shift_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per artifact that was compared with its teacher on altered images."""
    return [
        {
            "altered images": entry.name,
            "teacher": shift.reference,
            "fidelity": interval(shift.value),
            "on validation": f"{shift.validation.value:.3f}" if shift.validation else "",
            "worst family": f"{shift.worst.name} {shift.worst.middle.fidelity:.3f}",
            "unaltered": f"{shift.unaltered.fidelity:.3f}",
        }
        for entry in result.entries
        if (shift := entry.shift)
    ]


def seed_rows(result: RunResult, folder: Path) -> list[dict[str, str]]:
    """Return one row per artifact with its metrics over all seeds; empty with a single seed.

    Relative paths of predictions start from `folder`.
    """
    table = seed_table(result, read_predictions(result, folder))
    return [
        {
            "over seeds": row.name,
            "seeds": row.seeds,
            result.data.methods.right_title: row.right,
            "95 % interval": row.interval,
            "lowest–highest": row.range,
            **{title: mean for title, (mean, _) in zip(table.titles, row.figures, strict=True)},
        }
        for row in table.rows
    ]


def gain_rows(result: RunResult, folder: Path) -> list[dict[str, str]]:
    """Return one row per pupil with a control: what its teacher adds, in percentage points."""
    return [
        {
            "what the teacher adds": gain.pupil,
            "control": gain.control,
            "points": formatting.points(gain.value),
            "95 % interval": formatting.points_interval(gain.difference) if gain.difference else "",
            "shown": {"gain": "a gain", "loss": "a loss", "nothing": "no gain"}[gain.shown],
        }
        for gain in gains(result.entries, read_predictions(result, folder))
    ]


def gate_rows(gate: GateResult) -> list[dict[str, str]]:
    """Return one row per artifact and condition; the artifact's verdict is in its first row."""
    return [
        {
            "gate": artifact.entry if not number else "",
            "verdict": artifact.verdict.upper() if not number else "",
            "condition": title_of(finding.condition, gate.task),
            "against": finding.against or "limit",
            "where": finding.group or finding.external or "",
            "finding": finding.verdict,
            "difference": _difference(finding),
            "images needed": finding.needs,
        }
        for artifact in gate.artifacts
        for number, finding in enumerate(artifact.findings)
    ]


def gate_lines(result: RunResult) -> list[str]:
    """Return the gate's verdict, each condition that was not met, and what to try."""
    gate = result.gate
    if gate is None:
        return [NO_GATE if _publishes(result) else UNASKED]
    lines = [f"Gate: {gate.verdict.upper()}{f': {gate.reason}' if gate.reason else ''}"]
    for artifact in gate.artifacts:
        unmet = [finding for finding in artifact.findings if finding.verdict != "pass"]
        lines += [f"  {artifact.entry} ({artifact.made}): {artifact.verdict}"] if unmet else []
        lines += [f"    {finding.verdict}: {finding.text}" for finding in unmet]
        advice = dict.fromkeys(finding.advice for finding in unmet if finding.advice)
        lines += [f"    try: {sentence}" for sentence in advice]
    lines += [f"  {note}" for note in notes(gate)]
    if gate.best:
        lines.append(
            f"  {gate.best} came closest to passing; it is kept as an artifact, not published."
        )
    return lines


def _publishes(result: RunResult) -> bool:
    """Return whether the recipe of a run has a section `publish`."""
    return "publish" in (yaml.safe_load(result.recipe_text) or {})


def _difference(finding: Finding) -> str:
    estimate = finding.difference
    if estimate is None:
        return ""
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def check_lines(check: Check) -> list[str]:
    """Return the lines about a data check; a failed check has advice and some images as well."""
    state = "ok" if check.passed else check.severity
    lines = [f"{state:8} {check.name}: {check.observed}."]
    if not check.passed:
        more = ["…"] if check.images[_SHOWN_IMAGES:] else []
        lines += [f"{'':8} {line}" for line in (check.advice, *check.images[:_SHOWN_IMAGES], *more)]
    return lines


def plugin_rows(registry: PluginRegistry) -> list[dict[str, str]]:
    """Return one row per installed plugin, sorted by kind and name."""
    entries = sorted(registry.plugins, key=lambda entry: (entry.plugin.kind, entry.plugin.name))
    return [
        {
            "kind": entry.plugin.kind,
            "name": entry.plugin.name,
            "summary": entry.plugin.summary,
            **_formats(entry.plugin),
            "distribution": entry.distribution,
            "version": entry.version,
        }
        for entry in entries
    ]


def _formats(plugin: Plugin) -> dict[str, str]:
    """Return the formats that a plugin takes and produces."""
    if isinstance(plugin, StepPlugin):
        return {"takes": ", ".join(sorted(plugin.accepts)), "gives": plugin.produces or "the same"}
    if isinstance(plugin, Loader):
        return {"takes": "file", "gives": plugin.produces}
    if isinstance(plugin, Runner):
        return {"takes": plugin.format, "gives": "predictions"}
    if isinstance(plugin, Task):
        return {"takes": ", ".join(plugin.label_columns), "gives": ", ".join(plugin.output_kinds)}
    fits = (words for kind, words in _TAKES_AND_GIVES.items() if isinstance(plugin, kind))
    takes, gives = next(fits, ("", ""))
    return {"takes": takes, "gives": gives}


_TAKES_AND_GIVES: dict[type[Plugin], tuple[str, str]] = {
    Metric: ("answers", "a number"),
    GateCondition: ("a model", "a verdict"),
    ReportSection: ("a result", "a section"),
    Shift: ("images", "images"),
    DataCheck: ("manifest", "verdict"),
    ImageFormat: ("file", "image"),
    DatasetReader: ("data", "images"),
    Student: ("", "keras"),
}
"""What plugins take and give that are always the same."""
