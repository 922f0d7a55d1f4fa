"""What the report's tables hold, row by row; the templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from markupsafe import Markup

from pupila.evaluation import Cost, Estimate, Evaluation, Measurement, Metrics
from pupila.measured import PluginWarning
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots import bars_and_rocs
from pupila_flows.results import Check, DataSummary, Entry


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown: the value, its interval, and what belongs to it."""

    value: str
    interval: str = ""
    bar: Markup = field(default_factory=Markup)
    notes: tuple[str, ...] = ()
    label: str = ""
    """What the value is, where a cell has several."""
    beside: tuple[Cell, ...] = ()
    """Figures that must not be read without this one."""


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
    """What there is to warn of; empty where there is nothing."""


def columns() -> tuple[str, ...]:
    """Return the titles of the results table, after name and plugin."""
    return (
        "Format · runtime",
        "Size",
        "Parameters",
        "Accuracy",
        "AUC",
        "Sensitivity and specificity",
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
    def of(cls, judged: list[EvaluatedArtifact]) -> _Bars:
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
        "specificity": point and point.specificity,
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
    """Return accuracy, AUC, operating point, calibration error and agreement."""
    if evaluation is None:
        none = Cell(formatting.NONE)
        return (Cell("not measured", notes=("untrained",)), none, none, none, none)
    estimates = _estimates(evaluation)
    return (
        bars.percent("accuracy", evaluation.metrics.accuracy),
        bars.score("auc", estimates["auc"]) if "auc" in estimates else Cell(formatting.NONE),
        _operating_point(evaluation.metrics, bars),
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


def _operating_point(metrics: Metrics, bars: _Bars) -> Cell:
    """Return sensitivity and specificity in one cell, with their threshold."""
    point = metrics.point
    if point is None:
        return Cell(formatting.NONE)
    specificity = bars.percent("specificity", point.specificity)
    at = f"at {formatting.threshold(metrics)}"
    return replace(
        bars.percent("sensitivity", point.sensitivity),
        label="sensitivity",
        beside=(replace(specificity, label="specificity", notes=(at,)),),
    )


def _agreement(evaluation: Evaluation, bars: _Bars) -> Cell:
    agreement = evaluation.agreement
    if agreement is None:
        return Cell(formatting.NONE)
    return bars.percent("agreement", agreement.labels, f"with {agreement.reference}")


def thresholds(lineage: Lineage, wanted: float) -> str:
    """Say which answers are counted, and how thresholds were chosen that do not ship.

    `wanted` is the specificity that these were chosen for.
    """
    found = [each.evaluation.metrics for each in lineage.judged()]
    points = [each.point for each in found if not each.shipped]
    splits = {point.chosen_on: point.images for point in points if point}
    told = ""
    if len(points) < len(found):
        told = (
            "Where a model ships a threshold, its accuracy and mistakes are those at it; else "
            "those of the most probable class. "
        )
    if not splits:
        return told.rstrip()
    chosen_on = [
        formatting.plural(images, f"{split} image") if images else f"the {split} images"
        for split, images in splits.items()
    ]
    optimistic = " (these very images: optimistic)" if "test" in splits else ""
    others = "Other thresholds" if told else "Thresholds"
    return (
        f"{told}{others} were chosen on {formatting.listed(chosen_on)}{optimistic}, for a "
        f"specificity of {formatting.percent(wanted, 0)} there; on these images it is what stands "
        f"beside the sensitivity."
    )


def _made_by(entry: Entry) -> str:
    without = [f"{column} {' or '.join(values)}" for column, values in entry.without.items()]
    made = f"{entry.uses} ← {', '.join(entry.inputs)}" if entry.inputs else entry.uses
    return f"{made}, without {', '.join(without)}" if without else made


def warning_of(entry: Entry) -> str:
    """Return what the plugin that made an entry warns of, and ties; empty where there are none."""
    measured = entry.measured.read(PluginWarning)
    said = (measured and measured.warning, entry.evaluation and entry.evaluation.tie_warning)
    return " ".join(sentence for sentence in said if sentence)


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
    at: str
    """Which answers are counted, in words."""
    rows: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]


def confusions(lineage: Lineage, classes: tuple[str, ...]) -> list[Confusion]:
    """Return the confusion matrix of every judged entry."""
    return [
        Confusion(
            each.name,
            _confusion_at(each.evaluation.metrics),
            tuple(
                (truth, _shaded(counts))
                for truth, counts in zip(classes, each.evaluation.metrics.confusion, strict=True)
            ),
        )
        for each in lineage.judged()
    ]


def _confusion_at(metrics: Metrics) -> str:
    if metrics.confusion_at is None:
        return "most probable class"
    return f"{metrics.positive} from {formatting.threshold(metrics)}"


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


def _group_table(column: str, judged: list[EvaluatedArtifact]) -> GroupTable:
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
