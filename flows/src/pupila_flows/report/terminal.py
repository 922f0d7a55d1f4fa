"""The results of a run as rows of text, for the terminal and for Prefect."""

from __future__ import annotations

from pupila.evaluation import Estimate, Evaluation, Measurement, OpenSet
from pupila.openset import ALL
from pupila.plugin import Loader, Plugin, Runner, StepPlugin
from pupila.registry import Registry
from pupila_flows.results import Check, Entry, RunResult, Tried

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
        return row | _measurement_row(entry.measurement, {"accuracy": "not measured: untrained"})
    if entry.evaluation is None:
        return row | {"runtime": entry.error or entry.unjudged or "not judged"}
    failed = {"failure": entry.error} if entry.error else {}
    return row | evaluation_row(entry.evaluation) | failed


def evaluation_row(evaluation: Evaluation) -> dict[str, str]:
    """Return the figures of one artifact as text, with units in the column names."""
    metrics = evaluation.metrics
    point = metrics.point
    answers = {
        "accuracy": _interval(metrics.accuracy),
        "AUC": _interval(metrics.auc) if metrics.auc else "",
        "sensitivity": _interval(point.sensitivity) if point else "",
        "ECE": f"{metrics.ece.value:.3f}",
        "agrees": f"{evaluation.agreement.labels.value:.3f}" if evaluation.agreement else "",
        **(_gate(evaluation.open_set) if evaluation.open_set else {}),
    }
    return _measurement_row(evaluation, answers)


def _gate(found: OpenSet) -> dict[str, str]:
    """Return what a gate lets through: of its class, of other test images, of near misses."""
    groups = {each.near_miss: each for each in found.negatives if each.name == ALL}
    row = {"lets through": _interval(found.accepted.accepted)}
    for near_miss, of in ((False, "others"), (True, "near misses")):
        if near_miss in groups:
            group = groups[near_miss]
            row[f"AUC, {of}"] = _interval(group.auc) if group.auc else ""
            row[f"false accepts, {of}"] = _interval(group.accepted)
    return row


def _measurement_row(measurement: Measurement, answers: dict[str, str]) -> dict[str, str]:
    cost = measurement.cost
    return {
        "runtime": measurement.runtime,
        "MB": f"{cost.size_bytes / 1e6:.3f}",
        "gzip MB": f"{cost.gzip_bytes / 1e6:.3f}",
        **answers,
        "median ms": f"{cost.latency.median_ms:.1f}",
    }


def trial_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per artifact, runtime and number of threads that it was tried with."""
    return [
        {"name": entry.name, "tried in": tried.runtime, **_trial(tried)}
        for entry in result.entries
        for tried in entry.tried
    ]


def _trial(tried: Tried) -> dict[str, str]:
    trial, said = tried.trial, tried.failure or ""
    if trial is None:
        return {"runtime": "", "failure": f"does not run: {said}"}
    agreement, startup = trial.agreement, trial.startup
    return {
        "runtime": trial.runtime,
        "threads": str(trial.latency.threads),
        "agrees": f"{agreement.labels.value:.3f}" if agreement else "",
        "largest difference": f"{agreement.largest_difference:.2g}" if agreement else "",
        "median ms": f"{trial.latency.median_ms:.1f}",
        "p95 ms": f"{trial.latency.p95_ms:.1f}",
        "ready ms": f"{startup.cold_start_ms:.0f}" if startup else "",
        "first ms": f"{startup.first_inference_ms:.0f}" if startup else "",
        "failure": said,
    }


def check_lines(check: Check) -> list[str]:
    """Say what a check of the data found; after a failure, what to do and some of the images."""
    state = "ok" if check.passed else check.severity
    lines = [f"{state:8} {check.name}: {check.found}."]
    if not check.passed:
        more = ["…"] if check.images[_SHOWN_IMAGES:] else []
        lines += [f"{'':8} {each}" for each in (check.advice, *check.images[:_SHOWN_IMAGES], *more)]
    return lines


def plugin_rows(registry: Registry) -> list[dict[str, str]]:
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
    return {"takes": "", "gives": "keras"}


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"
