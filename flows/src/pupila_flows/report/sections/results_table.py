"""The report's tables, row by row; the templates only lay them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import Markup

from pupila.evaluation import Cost, Estimate, Evaluation, Figure, Measurement, Metrics
from pupila.measured import PluginWarning
from pupila.task import TaskMethods
from pupila_flows.report import figures, formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots import bars_and_rocs
from pupila_flows.report.sections.cells import FIGURES, Cell, figure_cell, listed
from pupila_flows.report.sections.results_csv import right_key
from pupila_flows.results import Check, DataSummary, Entry


@dataclass(frozen=True)
class Row:
    """One entry of the results table; `cells` is empty if nothing was measured."""

    number: int
    entry: Entry
    made_by: str
    badges: tuple[str, ...]
    cells: tuple[Cell, ...]
    chosen: bool
    warning: str
    """Warnings about the entry as one text; empty if there are none."""


class Column(NamedTuple):
    """A column of the results table."""

    title: str
    key: str = ""
    """The value of a record (see `.results_csv`) by which the page sorts; empty if it cannot."""


def columns(task: TaskMethods) -> tuple[Column, ...]:
    """Return the columns of the results table, after the artifact."""
    return (
        Column("Format · runtime", "format"),
        Column("Size", "size_bytes"),
        Column("Parameters", "parameters"),
        Column(formatting.capitalised(task.right_title), right_key(task)),
        *(_OF_CLASSES if task.has_classes else [Column(FIGURES)]),
        Column(f"{formatting.capitalised(task.same_title)} as teacher", "test_agreement"),
        Column("Latency", "latency_median_ms"),
        Column("Peak memory", "peak_memory_bytes"),
    )


_OF_CLASSES = (
    Column("AUC", "test_auc"),
    Column("Sensitivity and specificity", "test_sensitivity"),
    Column(FIGURES),
)


def results(lineage: Lineage, chosen: str | None, task: TaskMethods) -> list[Row]:
    """Return a row for every entry, teachers first."""
    bars = _Bars.of(lineage.evaluated())
    return [
        Row(
            number=number,
            entry=entry,
            made_by=_made_by(entry),
            badges=_badges(entry, lineage),
            cells=_cells(entry, lineage, bars, task),
            chosen=entry.name == chosen,
            warning=warning_of(entry),
        )
        for number, entry in enumerate(lineage.entries.values(), start=1)
    ]


@dataclass(frozen=True)
class _Bars:
    """The scale of each column's interval bars: it encloses all intervals of the column."""

    scales: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, artifacts: list[EvaluatedArtifact]) -> _Bars:
        estimates: dict[str, list[Estimate]] = {}
        for artifact in artifacts:
            for name, estimate in _estimates(artifact.evaluation).items():
                estimates.setdefault(name, []).append(estimate)
        return cls(
            {
                name: (
                    min(estimate.low for estimate in column),
                    max(estimate.high for estimate in column),
                )
                for name, column in estimates.items()
            }
        )

    def percent(self, name: str, estimate: Estimate, *notes: str) -> Cell:
        bar = bars_and_rocs.interval_bar(estimate, *self.scales[name])
        interval = formatting.percent_interval(estimate)
        return Cell(formatting.percent(estimate.value), interval, bar, notes)

    def score(self, name: str, estimate: Estimate) -> Cell:
        bar = bars_and_rocs.interval_bar(estimate, *self.scales[name])
        return Cell(formatting.score(estimate.value), formatting.score_interval(estimate), bar)

    def figure(self, figure: Figure) -> Cell:
        bar = bars_and_rocs.interval_bar(figure.estimate, *self.scales[figure.name])
        return replace(figure_cell(figure), bar=bar)


def _estimates(evaluation: Evaluation) -> dict[str, Estimate]:
    metrics, point = evaluation.metrics, evaluation.metrics.point
    estimates = {
        "accuracy": metrics.accuracy,
        "auc": metrics.auc,
        "sensitivity": point and point.sensitivity,
        "specificity": point and point.specificity,
        "agreement": evaluation.agreement and evaluation.agreement.labels,
        **{figure.name: figure.estimate for figure in figures.listed_figures(metrics)},
    }
    return {name: estimate for name, estimate in estimates.items() if estimate}


def _cells(entry: Entry, lineage: Lineage, bars: _Bars, task: TaskMethods) -> tuple[Cell, ...]:
    measurement = entry.evaluation or entry.measurement
    if measurement is None:
        return ()
    cost, latency = measurement.cost, measurement.cost.latency
    return (
        Cell(measurement.format, notes=(measurement.runtime,)),
        _size(entry, cost, lineage),
        Cell(formatting.count(cost.parameters), notes=(f"{formatting.count(cost.macs)} MACs",)),
        *_metrics(entry.evaluation, bars, task),
        Cell(
            formatting.milliseconds(latency.median_ms),
            f"p95 {formatting.milliseconds(latency.p95_ms)}",
            notes=(formatting.plural(latency.threads, "thread"),),
        ),
        Cell(formatting.size(cost.peak_memory_bytes)),
    )


def _metrics(evaluation: Evaluation | None, bars: _Bars, task: TaskMethods) -> tuple[Cell, ...]:
    """Return the fraction right, then figures, then agreement."""
    if evaluation is None:
        none = [Cell(formatting.NONE)] * (1 + len(_OF_CLASSES if task.has_classes else [FIGURES]))
        return (Cell("not measured", notes=("untrained",)), *none)
    metrics = evaluation.metrics
    cells = _of_classes(evaluation, bars) if task.has_classes else (_listed(metrics, bars),)
    return bars.percent("accuracy", metrics.accuracy), *cells, _agreement(evaluation, bars)


def _listed(metrics: Metrics, bars: _Bars) -> Cell:
    return listed(map(bars.figure, figures.listed_figures(metrics)))


def _of_classes(evaluation: Evaluation, bars: _Bars) -> tuple[Cell, Cell, Cell]:
    """Return AUC, operating point and the other figures."""
    estimates = _estimates(evaluation)
    return (
        bars.score("auc", estimates["auc"]) if "auc" in estimates else Cell(formatting.NONE),
        _operating_point(evaluation.metrics, bars),
        _listed(evaluation.metrics, bars),
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


def thresholds_note(lineage: Lineage, specificity: float) -> str:
    """Say at which thresholds the metrics hold, and how thresholds that do not ship were chosen.

    A threshold that does not ship with its model was chosen to reach `specificity`.
    """
    metrics = [artifact.evaluation.metrics for artifact in lineage.evaluated()]
    points = [model.point for model in metrics if not model.shipped]
    splits = {point.chosen_on: point.images for point in points if point}
    shipped = ""
    if len(points) < len(metrics):
        shipped = (
            "If a model ships a threshold, its accuracy and mistakes are at that threshold; else "
            "they are by the most probable class. "
        )
    if not splits:
        return shipped.rstrip()
    chosen_on = [
        formatting.plural(images, f"{split} image") if images else f"the {split} images"
        for split, images in splits.items()
    ]
    optimistic = " (the same images: optimistic)" if "test" in splits else ""
    others = "Other thresholds" if shipped else "Thresholds"
    return (
        f"{shipped}{others} were chosen on {formatting.listed(chosen_on)}{optimistic}, for a "
        f"specificity of {formatting.percent(specificity, 0)} there; the specificity on these "
        f"images is next to the sensitivity."
    )


def _made_by(entry: Entry) -> str:
    excluded = [f"{column} {' or '.join(values)}" for column, values in entry.excluded.items()]
    made = f"{entry.uses} ← {', '.join(entry.inputs)}" if entry.inputs else entry.uses
    return f"{made}, without {', '.join(excluded)}" if excluded else made


def warning_of(entry: Entry) -> str:
    """Return the warnings about an entry as one text; empty if there are none.

    There may be a warning of the entry's plugin, one about tied scores, and those about metrics
    that failed.
    """
    measured = entry.measured.read(PluginWarning)
    warnings = entry.evaluation.warnings if entry.evaluation else []
    return " ".join([*([measured.warning] if measured else []), *warnings])


def _badges(entry: Entry, lineage: Lineage) -> tuple[str, ...]:
    if entry.kind == "teacher":
        kind = ("teacher",)
    elif lineage.is_control(entry):
        kind = ("made from a control" if lineage.parents(entry) else "control: no teacher",)
    else:
        kind = ()
    return (*kind, *(("cached",) if entry.cached else ()))


def latencies(lineage: Lineage) -> list[tuple[Entry, Measurement, Markup]]:
    """Return every entry that was timed, with its latency bar; the fastest entry comes first."""
    timed = sorted(lineage.measured(), key=lambda pair: pair[1].cost.latency.median_ms)
    all_latencies = [measurement.cost.latency for _, measurement in timed]
    longest = max(
        (max(latency.p95_ms, latency.median_ms) for latency in all_latencies), default=1.0
    )
    return [
        (entry, measurement, bars_and_rocs.latency_bar(measurement.cost.latency, longest))
        for entry, measurement in timed
    ]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: counts, each with its percentage of the row, which sets the shading."""

    name: str
    at: str
    """How classes were decided, in words: the most probable class, or a threshold."""
    rows: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]
    """For each true class: its name, then count and percentage for each predicted class."""


def confusions(lineage: Lineage, classes: tuple[str, ...]) -> list[Confusion]:
    """Return the confusion matrix of every evaluated entry; none in a task without classes."""
    return [
        Confusion(
            artifact.name,
            _confusion_at(artifact.evaluation.metrics),
            tuple(
                (truth, _shaded(counts))
                for truth, counts in zip(
                    classes, artifact.evaluation.metrics.confusion, strict=True
                )
            ),
        )
        for artifact in lineage.evaluated()
        if artifact.evaluation.metrics.confusion
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
    """The fraction right and the main figure by the values of one manifest column."""

    column: str
    values: tuple[tuple[str, int], ...]
    """Each value of the column, with the number of images that have it."""
    rows: tuple[tuple[str, tuple[tuple[Cell, Cell] | None, ...]], ...]
    """For each artifact: its name, then fraction right and main figure by value, or None."""


def groups(lineage: Lineage) -> list[GroupTable]:
    """Return a table for each manifest column whose values divide the images into groups."""
    artifacts = lineage.evaluated()
    names = dict.fromkeys(name for artifact in artifacts for name in artifact.evaluation.groups)
    return [_group_table(name, artifacts) for name in names]


def _group_table(column: str, artifacts: list[EvaluatedArtifact]) -> GroupTable:
    values: dict[str, int] = {}
    for artifact in artifacts:
        for value, metrics in artifact.evaluation.groups.get(column, {}).items():
            values.setdefault(value, metrics.images)
    rows = tuple(
        (
            artifact.name,
            tuple(
                _group_cells(artifact.evaluation.groups.get(column, {}).get(value))
                for value in values
            ),
        )
        for artifact in artifacts
    )
    return GroupTable(column, tuple(values.items()), rows)


def _group_cells(metrics: Metrics | None) -> tuple[Cell, Cell] | None:
    if metrics is None:
        return None
    accuracy = metrics.accuracy
    shown = Cell(formatting.percent(accuracy.value), formatting.percent_interval(accuracy))
    figure = figures.main_figure(metrics)
    return shown, figure_cell(figure) if figure else Cell(formatting.NONE)


@dataclass(frozen=True)
class CheckRow:
    """A data check with its outcome: pass, warning or error."""

    check: Check
    outcome: str


def checks(data: DataSummary) -> list[CheckRow]:
    """Return all data checks: errors first, then warnings, then passes."""
    rows = [CheckRow(check, "pass" if check.passed else check.severity) for check in data.checks]
    return sorted(rows, key=lambda row: ("error", "warning", "pass").index(row.outcome))


def shortcuts(data: DataSummary) -> list[Check]:
    """Return the failed checks that found a shortcut: an image property that reveals the class."""
    return [check for check in data.checks if check.shortcut and not check.passed]


def counts(data: DataSummary) -> list[tuple[str, list[int], int]]:
    """Return the name of each split, its number of images by label, and its total.

    The total includes unlabelled images.
    """
    return [
        (split, [by_class.get(name, 0) for name in data.classes], sum(by_class.values()))
        for split, by_class in data.counts.items()
    ]
