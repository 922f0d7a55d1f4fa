"""What each stage of a chain turned away: a row for each stage, chain and set of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pupila.evaluation import Estimate, Metrics, StageFigures
from pupila_flows.report import formatting
from pupila_flows.results import Entry

_TEST = "test images"


@dataclass(frozen=True)
class StageCell:
    """A figure of a stage's own answers, such as the median error of a locator."""

    title: str
    value: str
    interval: str


@dataclass(frozen=True)
class StageRow:
    """The row of one stage of a chain on one set of images."""

    artifact: str
    images: str
    """Name of the external set, or `test images`."""
    stage: StageFigures
    cells: tuple[StageCell, ...]

    @property
    def passed(self) -> int:
        """Number of images that went on to the next stage."""
        return self.stage.images - self.stage.turned_away - self.stage.recognised

    @property
    def texts(self) -> dict[str, str]:
        """The row as text, by column."""
        answers = "; ".join(f"{cell.title}: {cell.value} ({cell.interval})" for cell in self.cells)
        return {
            "chain": self.artifact,
            "images": self.images,
            "stage": self.stage.name,
            "reached": str(self.stage.images),
            "turned away": str(self.stage.turned_away),
            "recognised": str(self.stage.recognised),
            "its own answers": answers,
        }


def stage_rows(entries: Iterable[Entry]) -> list[StageRow]:
    """Return the rows of all chains, first on the test images, then on each external set."""
    return [
        StageRow(entry.name, images, stage, tuple(_cells(stage.metrics)))
        for entry in entries
        for images, stages in _by_images(entry)
        for stage in stages
    ]


def _by_images(entry: Entry) -> Iterator[tuple[str, tuple[StageFigures, ...]]]:
    if entry.evaluation:
        yield _TEST, entry.evaluation.stages
    for result in entry.external:
        if result.evaluation:
            yield result.name, result.evaluation.stages


def _cells(metrics: Metrics | None) -> Iterator[StageCell]:
    """Yield how many images are answered right, and the figures of the stage's task."""
    if metrics is None:
        return
    images = formatting.plural(metrics.images, "labelled image")
    right = metrics.accuracy
    interval = formatting.percent_interval(right)
    yield StageCell(f"right, of {images}", formatting.percent(right.value), interval)
    for figure in metrics.figures:
        value = f"{figure.estimate.value:.3g} {figure.unit}".strip()
        yield StageCell(figure.title, value, _interval(figure.estimate))


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.3g} to {estimate.high:.3g}"
