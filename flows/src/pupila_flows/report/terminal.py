"""The results of a run as rows and lines of text, for the terminal and for Prefect."""

from __future__ import annotations

from pathlib import Path

import yaml

from pupila.evaluation import Evaluation, Measurement, OpenSet
from pupila.openset import ALL
from pupila.plugin import Loader, Plugin, Runner, Shift, StepPlugin
from pupila.plugin_registry import PluginRegistry
from pupila_flows.gate.conditions import condition_of
from pupila_flows.gate.messages import notes
from pupila_flows.report import formatting
from pupila_flows.report.external import interval
from pupila_flows.report.predictions import read_answers
from pupila_flows.report.sections.gains import gains
from pupila_flows.report.sections.seeds import seed_table
from pupila_flows.results import Check, Entry, Finding, GateResult, RunResult, RuntimeResult

NO_GATE = "Gate: none in the recipe, so NOTHING of this run may be published: write `gate: {}`."
"""Where a recipe wants to publish."""
UNASKED = "Gate: none in the recipe."
_SHOWN_IMAGES = 5


def result_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per teacher and artifact, of the first seed where there are several.

    In a sweep, what only other things were made from is left out, as it was not judged.
    """
    shown = [entry for entry in result.entries if entry.repeats is None]
    return [_row(entry) for entry in shown if entry.evaluation or entry.error or not result.sweep]


def _row(entry: Entry) -> dict[str, str]:
    row = {"name": entry.name, "made by": entry.uses}
    if entry.measurement:
        return row | measurement_row(entry.measurement, {"accuracy": "not measured: untrained"})
    if entry.evaluation is None:
        return row | {"runtime": entry.error or entry.not_evaluated or "not judged"}
    failed = {"failure": entry.error} if entry.error else {}
    return row | evaluation_row(entry.evaluation) | failed


def evaluation_row(evaluation: Evaluation) -> dict[str, str]:
    """Return the figures of one artifact as text, with units in the column names."""
    metrics = evaluation.metrics
    point = metrics.point
    answers = {
        "accuracy": interval(metrics.accuracy),
        "AUC": interval(metrics.auc) if metrics.auc else "",
        "sensitivity": interval(point.sensitivity) if point else "",
        "specificity": interval(point.specificity) if point else "",
        "at threshold": formatting.threshold(metrics) if point else "",
        "ECE": f"{metrics.ece.value:.3f}",
        "agrees": f"{evaluation.agreement.labels.value:.3f}" if evaluation.agreement else "",
        **(_filter(evaluation.open_set) if evaluation.open_set else {}),
    }
    return measurement_row(evaluation, answers)


def evaluation_lines(evaluation: Evaluation, specificity: float) -> list[str]:
    """Say what must be known of the figures of `evaluation_row` to read them.

    `specificity` is what a threshold that does not ship was chosen for.
    """
    metrics = evaluation.metrics
    point = metrics.point
    measured = formatting.sensitivity_and_specificity(point) if point else ""
    figures = f"{metrics.positive}: {measured}." if measured else ""
    lines = [
        figures,
        formatting.chosen_for(metrics, specificity),
        formatting.independence(metrics),
        evaluation.tie_warning,
    ]
    return [line for line in lines if line]


def _filter(open_set: OpenSet) -> dict[str, str]:
    """Return what a filter lets through: of its class, of other test images, of near misses."""
    groups = {group.near_miss: group for group in open_set.negatives if group.name == ALL}
    row = {"lets through": interval(open_set.accepted.accepted)}
    for near_miss, of in ((False, "others"), (True, "near misses")):
        if near_miss in groups:
            group = groups[near_miss]
            row[f"AUC, {of}"] = interval(group.auc) if group.auc else ""
            row[f"false accepts, {of}"] = interval(group.accepted)
    return row


def measurement_row(measurement: Measurement, answers: dict[str, str]) -> dict[str, str]:
    """Return what a model costs, with what it answers in between."""
    cost = measurement.cost
    return {
        "runtime": measurement.runtime,
        "MB": f"{cost.size_bytes / 1e6:.3f}",
        "gzip MB": f"{cost.gzip_bytes / 1e6:.3f}",
        **answers,
        "median ms": f"{cost.latency.median_ms:.1f}",
    }


def runtime_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per artifact, runtime and number of threads that it was tried with."""
    return [
        {"name": entry.name, "tried in": outcome.runtime, **_runtime_row(outcome)}
        for entry in result.entries
        for outcome in entry.runtimes
    ]


def _runtime_row(result: RuntimeResult) -> dict[str, str]:
    check, said = result.check, result.failure or ""
    if check is None:
        return {"runtime": "", "failure": f"does not run: {said}"}
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
        "failure": said,
    }


def shift_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per artifact that was held against its teacher on altered images."""
    return [
        {
            "altered images": entry.name,
            "teacher": found.reference,
            "fidelity": interval(found.value),
            "on validation": f"{found.validation.value:.3f}" if found.validation else "",
            "worst family": f"{found.worst.name} {found.worst.middle.fidelity:.3f}",
            "unaltered": f"{found.unaltered.fidelity:.3f}",
        }
        for entry in result.entries
        if (found := entry.shift)
    ]


def seed_rows(result: RunResult, folder: Path) -> list[dict[str, str]]:
    """Return one row per artifact with its figures over all seeds; none where there is one seed.

    `folder` is where relative paths of predictions are understood from.
    """
    return [
        {
            "over seeds": row.name,
            "seeds": row.seeds,
            "accuracy": row.accuracy,
            "95 % interval": row.interval,
            "lowest–highest": row.range,
            "AUC": row.auc,
        }
        for row in seed_table(result, read_answers(result, folder))
    ]


def gain_rows(result: RunResult, folder: Path) -> list[dict[str, str]]:
    """Return one row per pupil that has a control: what its teacher is worth, in points."""
    return [
        {
            "what the teacher adds": gain.pupil,
            "control": gain.control,
            "points": formatting.points(gain.value),
            "95 % interval": formatting.points_interval(gain.difference) if gain.difference else "",
            "shown": {"gain": "a gain", "loss": "a loss", "nothing": "no gain"}[gain.shown],
        }
        for gain in gains(result.entries, read_answers(result, folder))
    ]


def gate_rows(gate: GateResult) -> list[dict[str, str]]:
    """Return one row per artifact and condition, the artifact's verdict in its first."""
    return [
        {
            "gate": artifact.entry if not number else "",
            "verdict": artifact.verdict.upper() if not number else "",
            "condition": condition_of(finding.condition).title,
            "against": finding.against or "limit",
            "where": finding.group or finding.external or "",
            "found": finding.verdict,
            "difference": _difference(finding),
            "needs images": finding.needs,
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
        lines.append(f"  {gate.best} came nearest; it is kept as an artifact, not published.")
    return lines


def _publishes(result: RunResult) -> bool:
    """Tell whether the recipe of a run has a section `publish`."""
    return "publish" in (yaml.safe_load(result.recipe_text) or {})


def _difference(finding: Finding) -> str:
    estimate = finding.difference
    if estimate is None:
        return ""
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def check_lines(check: Check) -> list[str]:
    """Say what a check of the data found; after a failure, what to do and some of the images."""
    state = "ok" if check.passed else check.severity
    lines = [f"{state:8} {check.name}: {check.found}."]
    if not check.passed:
        more = ["…"] if check.images[_SHOWN_IMAGES:] else []
        lines += [f"{'':8} {each}" for each in (check.advice, *check.images[:_SHOWN_IMAGES], *more)]
    return lines


def plugin_rows(registry: PluginRegistry) -> list[dict[str, str]]:
    """Return one row per installed plugin, by kind and name."""
    entries = sorted(registry.plugins, key=lambda each: (each.plugin.kind, each.plugin.name))
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
    """Return the formats that a plugin takes and gives."""
    if isinstance(plugin, StepPlugin):
        return {"takes": ", ".join(sorted(plugin.accepts)), "gives": plugin.produces or "the same"}
    if isinstance(plugin, Loader):
        return {"takes": "file", "gives": plugin.produces}
    if isinstance(plugin, Runner):
        return {"takes": plugin.format, "gives": "predictions"}
    if isinstance(plugin, Shift):
        return {"takes": "images", "gives": "images"}
    return {"takes": "", "gives": "keras"}
