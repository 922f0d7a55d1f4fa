"""What the report's tables hold, row by row; the templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from pupila.evaluation import Cost, Estimate, Evaluation, Measurement, Metrics
from pupila.measured import PluginWarning
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Judged, Lineage
from pupila_flows.report.plots import bars_and_rocs
from pupila_flows.results import Check, DataSummary, Entry, RunResult


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown: the value, its interval, and what belongs to it."""

    value: str
    interval: str = ""
    bar: Markup = field(default_factory=Markup)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One entry of the results table; `cells` is empty where nothing was measured."""

    number: int
    entry: Entry
    made_by: str
    badges: tuple[str, ...]
    cells: tuple[Cell, ...]
    chosen: bool
    warning: str
    """What the plugin that made it warns of; empty where it does not."""


def columns(result: RunResult) -> tuple[str, ...]:
    """Return the titles of the results table, after name and plugin."""
    ships = any(each.evaluation and each.evaluation.metrics.shipped for each in result.entries)
    wanted = f"Sensitivity at {formatting.percent(result.specificity, 0)} specificity"
    return (
        "Format · runtime",
        "Size",
        "Parameters",
        "Accuracy",
        "AUC",
        "Sensitivity at a threshold" if ships else wanted,
        "Calibration error (ECE)",
        "Same answer as teacher",
        "Latency",
        "Peak memory",
    )


def results(lineage: Lineage, chosen: str | None) -> list[Row]:
    """Return a row for every entry, teachers first."""
    bars = _Bars.of(lineage.judged())
    return [
        Row(
            number=number,
            entry=entry,
            made_by=_made_by(entry),
            badges=_badges(entry, lineage),
            cells=_cells(entry, lineage, bars),
            chosen=entry.name == chosen,
            warning=warning_of(entry),
        )
        for number, entry in enumerate(lineage.entries.values(), start=1)
    ]


@dataclass(frozen=True)
class _Bars:
    """Scale of the interval bars of each column: the widest of its intervals."""

    scales: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, judged: list[Judged]) -> _Bars:
        found: dict[str, list[Estimate]] = {}
        for each in judged:
            for name, estimate in _estimates(each.evaluation).items():
                found.setdefault(name, []).append(estimate)
        return cls(
            {
                name: (min(each.low for each in every), max(each.high for each in every))
                for name, every in found.items()
            }
        )

    def percent(self, name: str, estimate: Estimate, *notes: str) -> Cell:
        bar = bars_and_rocs.interval_bar(estimate, *self.scales[name])
        interval = formatting.percent_interval(estimate)
        return Cell(formatting.percent(estimate.value), interval, bar, notes)

    def score(self, name: str, estimate: Estimate) -> Cell:
        bar = bars_and_rocs.interval_bar(estimate, *self.scales[name])
        return Cell(formatting.score(estimate.value), formatting.score_interval(estimate), bar)


def _estimates(evaluation: Evaluation) -> dict[str, Estimate]:
    metrics, point = evaluation.metrics, evaluation.metrics.point
    estimates = {
        "accuracy": metrics.accuracy,
        "auc": metrics.auc,
        "sensitivity": point and point.sensitivity,
        "ece": metrics.ece,
        "agreement": evaluation.agreement and evaluation.agreement.labels,
    }
    return {name: estimate for name, estimate in estimates.items() if estimate}


def _cells(entry: Entry, lineage: Lineage, bars: _Bars) -> tuple[Cell, ...]:
    measurement = entry.evaluation or entry.measurement
    if measurement is None:
        return ()
    cost, latency = measurement.cost, measurement.cost.latency
    return (
        Cell(measurement.format, notes=(measurement.runtime,)),
        _size(entry, cost, lineage),
        Cell(formatting.count(cost.parameters), notes=(f"{formatting.count(cost.macs)} MACs",)),
        *_answers(entry.evaluation, bars),
        Cell(
            formatting.milliseconds(latency.median_ms),
            f"p95 {formatting.milliseconds(latency.p95_ms)}",
            notes=(formatting.plural(latency.threads, "thread"),),
        ),
        Cell(formatting.size(cost.peak_memory_bytes)),
    )


def _answers(evaluation: Evaluation | None, bars: _Bars) -> tuple[Cell, ...]:
    """Return accuracy, AUC, sensitivity, calibration error and agreement."""
    if evaluation is None:
        none = Cell(formatting.NONE)
        return (Cell("not measured", notes=("untrained",)), none, none, none, none)
    estimates = _estimates(evaluation)
    return (
        bars.percent("accuracy", evaluation.metrics.accuracy),
        bars.score("auc", estimates["auc"]) if "auc" in estimates else Cell(formatting.NONE),
        _sensitivity(evaluation.metrics, bars),
        bars.score("ece", evaluation.metrics.ece),
        _agreement(evaluation, bars),
    )


def _size(entry: Entry, cost: Cost, lineage: Lineage) -> Cell:
    teacher = lineage.reference(entry)
    notes = [f"{formatting.size(cost.gzip_bytes)} gzipped"]
    if teacher:
        times = formatting.smaller(teacher.size_bytes, cost.size_bytes)
        notes.insert(0, f"{times} {teacher.name}")
    if entry.record and entry.record.sparsity:
        zeros = formatting.percent(entry.record.sparsity, 0)
        notes.append(f"{zeros} of its weights are 0: the file stores them, gzip does not")
    return Cell(formatting.size(cost.size_bytes), notes=tuple(notes))


def _sensitivity(metrics: Metrics, bars: _Bars) -> Cell:
    point = metrics.point
    if point is None:
        return Cell(formatting.NONE)
    reached, interval = point.specificity, formatting.percent_interval(point.specificity)
    note = f"specificity {formatting.percent(reached.value)} ({interval})"
    if metrics.shipped:
        note += f", at the threshold that it ships, {formatting.score(point.threshold)}"
    return bars.percent("sensitivity", point.sensitivity, note)


def _agreement(evaluation: Evaluation, bars: _Bars) -> Cell:
    agreement = evaluation.agreement
    if agreement is None:
        return Cell(formatting.NONE)
    return bars.percent("agreement", agreement.labels, f"with {agreement.reference}")


def thresholds(lineage: Lineage, wanted: float) -> str:
    """Say on which images the thresholds were chosen, and what that means where it is the test.

    `wanted` is the specificity that those were chosen for which do not ship.
    """
    found = [each.evaluation.metrics for each in lineage.judged()]
    points = [each.point for each in found if not each.shipped]
    splits = sorted({point.chosen_on for point in points if point})
    told = "Where a model ships a threshold, it is that. " if len(points) < len(found) else ""
    if not splits:
        return told.rstrip()
    optimistic = " (these very images: optimistic)" if "test" in splits else ""
    which = (
        f"Other thresholds, for a specificity of {formatting.percent(wanted, 0)}," if told else ""
    )
    return (
        f"{told}{which or 'Thresholds'} were chosen on the {formatting.listed(splits)} "
        f"images{optimistic}."
    )


def _made_by(entry: Entry) -> str:
    without = [f"{column} {' or '.join(values)}" for column, values in entry.without.items()]
    made = f"{entry.uses} ← {', '.join(entry.inputs)}" if entry.inputs else entry.uses
    return f"{made}, without {', '.join(without)}" if without else made


def warning_of(entry: Entry) -> str:
    """Return what the plugin that made an entry warns of; empty where it does not."""
    measured = entry.measured.read(PluginWarning)
    return measured.warning if measured else ""


def _badges(entry: Entry, lineage: Lineage) -> tuple[str, ...]:
    if entry.kind == "teacher":
        kind = ("teacher",)
    elif lineage.is_control(entry):
        kind = ("made from a control" if lineage.parents(entry) else "control: no teacher",)
    else:
        kind = ()
    return (*kind, *(("cached",) if entry.cached else ()))


def plain_score(estimate: Estimate | None) -> Cell:
    """Show a score with its interval, without a bar."""
    if estimate is None:
        return Cell(formatting.NONE)
    return Cell(formatting.score(estimate.value), formatting.score_interval(estimate))


def latencies(lineage: Lineage) -> list[tuple[Entry, Measurement, Markup]]:
    """Return every entry that was timed, with its bar, the fastest first."""
    timed = sorted(lineage.measured(), key=lambda each: each[1].cost.latency.median_ms)
    every = [measurement.cost.latency for _, measurement in timed]
    longest = max((max(each.p95_ms, each.median_ms) for each in every), default=1.0)
    return [
        (entry, measurement, bars_and_rocs.latency_bar(measurement.cost.latency, longest))
        for entry, measurement in timed
    ]


@dataclass(frozen=True)
class Confusion:
    """Counts with, for the shading, their part of the row in percent."""

    name: str
    rows: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]


def confusions(lineage: Lineage, classes: tuple[str, ...]) -> list[Confusion]:
    """Return the confusion matrix of every judged entry."""
    return [
        Confusion(
            each.name,
            tuple(
                (truth, _shaded(counts))
                for truth, counts in zip(classes, each.evaluation.metrics.confusion, strict=True)
            ),
        )
        for each in lineage.judged()
    ]


def _shaded(counts: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    total = sum(counts) or 1
    return tuple((count, round(100 * count / total)) for count in counts)


@dataclass(frozen=True)
class GroupTable:
    """Accuracy and AUC by the values of one manifest column."""

    column: str
    values: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, tuple[tuple[Cell, Cell] | None, ...]], ...]


def groups(lineage: Lineage) -> list[GroupTable]:
    """Return one table for each grouping that any evaluation has."""
    judged = lineage.judged()
    names = dict.fromkeys(name for each in judged for name in each.evaluation.groups)
    return [_group_table(name, judged) for name in names]


def _group_table(column: str, judged: list[Judged]) -> GroupTable:
    values: dict[str, int] = {}
    for each in judged:
        for value, metrics in each.evaluation.groups.get(column, {}).items():
            values.setdefault(value, metrics.images)
    rows = tuple(
        (
            each.name,
            tuple(
                _group_cells(each.evaluation.groups.get(column, {}).get(value)) for value in values
            ),
        )
        for each in judged
    )
    return GroupTable(column, tuple(values.items()), rows)


def _group_cells(metrics: Metrics | None) -> tuple[Cell, Cell] | None:
    if metrics is None:
        return None
    accuracy = metrics.accuracy
    shown = Cell(formatting.percent(accuracy.value), formatting.percent_interval(accuracy))
    return shown, plain_score(metrics.auc)


@dataclass(frozen=True)
class CheckRow:
    """A check with the word for its outcome: pass, warning or error."""

    check: Check
    outcome: str


def checks(data: DataSummary) -> list[CheckRow]:
    """Return all checks, errors first, then warnings, then what passed."""
    rows = [CheckRow(check, "pass" if check.passed else check.severity) for check in data.checks]
    return sorted(rows, key=lambda row: ("error", "warning", "pass").index(row.outcome))


def shortcuts(data: DataSummary) -> list[Check]:
    """Return the failed checks that found a shortcut: a trait that gives the class away."""
    return [check for check in data.checks if check.shortcut and not check.passed]


def counts(data: DataSummary) -> list[tuple[str, list[int], int]]:
    """Return images by split: its name, one count per class, the sum of all, labelled or not."""
    return [
        (split, [by_class.get(name, 0) for name in data.classes], sum(by_class.values()))
        for split, by_class in data.counts.items()
    ]
