"""External sets: each model's metrics, and the images on which it differs from its teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pupila.evaluation import Estimate
from pupila.external import ExternalEvaluation, ImageDisagreement
from pupila.task import TaskMethods
from pupila_flows.report import external, formatting
from pupila_flows.report.figures import listed_figures
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.predictions import locate
from pupila_flows.report.sections.cells import FIGURES, Cell, figure_cell, listed
from pupila_flows.results import ExternalResult, ExternalSet, RunResult
from pupila_flows.thumbnails import thumbnail

_OF_CLASSES = ("AUC", "Sensitivity", "Specificity", FIGURES)
_FIDELITY_COLUMNS = 4
_PUPILS = 3
"""Most models whose images are shown for one external set."""
_IMAGES = 8


@dataclass(frozen=True)
class ExternalRow:
    """One row of the table: a model's metrics on an external set."""

    name: str
    teacher: str | None
    cells: tuple[Cell, ...]
    error: str | None


@dataclass(frozen=True)
class ExternalPicture:
    """An image on which a model and its teacher differ."""

    image: ImageDisagreement
    picture: str | None

    @property
    def file(self) -> str:
        return Path(self.image.path).name


@dataclass(frozen=True)
class ExternalPictures:
    """The images on which one model differs most from its teacher."""

    name: str
    teacher: str
    pictures: tuple[ExternalPicture, ...]


@dataclass(frozen=True)
class ExternalPanel:
    """All results on one external set."""

    images: ExternalSet
    columns: tuple[str, ...]
    rows: tuple[ExternalRow, ...]
    disagreements: tuple[ExternalPictures, ...]
    """Images on which the most important models differ from their teachers."""


def external_panels(
    result: RunResult, lineage: Lineage, chosen: str | None, folder: Path
) -> list[ExternalPanel]:
    """Return a panel for each external set, with the entries of `lineage`.

    `chosen` is the pupil of the headline. Relative paths of images are also looked up in `folder`.
    """
    task = result.data.methods
    return [_panel(images, lineage, task, chosen, folder) for images in result.external]


def _panel(
    images: ExternalSet, lineage: Lineage, task: TaskMethods, chosen: str | None, folder: Path
) -> ExternalPanel:
    results = [
        (artifact, external_result)
        for artifact in lineage.evaluated()
        for external_result in artifact.entry.external
        if external_result.name == images.name
    ]
    quality = _quality_titles(task) if images.counts is not None else ()
    return ExternalPanel(
        images=images,
        columns=(*quality, *_fidelity_titles(task)),
        rows=tuple(
            ExternalRow(
                name=artifact.name,
                teacher=artifact.entry.reference,
                cells=(
                    *(_quality(external_result, task) if quality else ()),
                    *_fidelity(external_result, task),
                )
                if external_result.evaluation
                else (),
                error=external_result.error,
            )
            for artifact, external_result in results
        ),
        disagreements=tuple(
            _pictures(artifact, external_result.evaluation, folder)
            for artifact, external_result in _important(results, lineage, chosen)
            if external_result.evaluation
        ),
    )


def _quality_titles(task: TaskMethods) -> tuple[str, ...]:
    titles = _OF_CLASSES if task.has_classes else (FIGURES,)
    return formatting.capitalised(task.right_title), *titles


def _fidelity_titles(task: TaskMethods) -> tuple[str, ...]:
    return (
        f"Correlation of {task.compared_title}s",
        f"{formatting.capitalised(task.same_title)} as teacher",
        f"{formatting.capitalised(task.compared_title)} minus teacher’s",
        "Explained by colour",
    )


def _important(
    results: list[tuple[EvaluatedArtifact, ExternalResult]], lineage: Lineage, chosen: str | None
) -> list[tuple[EvaluatedArtifact, ExternalResult]]:
    """Return the chosen pupil, then the last artifact of each branch, by size.

    A pupil in several formats is returned once.
    """
    shown = [
        (artifact, external_result)
        for artifact, external_result in results
        if external_result.evaluation
        and external_result.evaluation.disagreements
        and artifact.entry.reference
        if artifact.name == chosen
        or (lineage.is_final(artifact.entry) and not lineage.is_control(artifact.entry))
    ]
    shown.sort(key=lambda pair: (pair[0].name != chosen, pair[0].size_bytes))
    pupils: dict[str, tuple[EvaluatedArtifact, ExternalResult]] = {}
    for artifact, external_result in shown:
        pupils.setdefault(lineage.trained(artifact.entry).name, (artifact, external_result))
    return list(pupils.values())[:_PUPILS]


def _pictures(
    artifact: EvaluatedArtifact, evaluation: ExternalEvaluation, folder: Path
) -> ExternalPictures:
    return ExternalPictures(
        name=artifact.name,
        teacher=str(artifact.entry.reference),
        pictures=tuple(
            ExternalPicture(image, thumbnail(locate(image.path, folder)))
            for image in evaluation.disagreements[:_IMAGES]
        ),
    )


def _quality(external_result: ExternalResult, task: TaskMethods) -> list[Cell]:
    """Return the fraction right and the figures, which need labels."""
    evaluation, differences = external_result.evaluation, external_result.differences
    metrics = evaluation.figures.metrics if evaluation else None
    if metrics is None:
        return [_NOTHING] * len(_quality_titles(task))

    def paired(field: str) -> tuple[str, ...]:
        difference = differences.get(field)
        return (f"difference {external.signed(difference)}",) if difference else ()

    right = _percent(metrics.accuracy, *paired("accuracy"))
    figures = listed(map(figure_cell, listed_figures(metrics)))
    if not task.has_classes:
        return [right, figures]
    point = metrics.point
    return [
        right,
        _score(metrics.auc, *paired("auc")),
        _percent(
            point and point.sensitivity,
            f"at {formatting.threshold(metrics)}",
            *paired("sensitivity"),
        ),
        _percent(point and point.specificity, *paired("specificity")),
        figures,
    ]


def _fidelity(external_result: ExternalResult, task: TaskMethods) -> list[Cell]:
    """Return how closely a model follows its teacher, which needs no labels."""
    evaluation = external_result.evaluation
    fidelity = evaluation.figures.fidelity if evaluation else None
    if fidelity is None:
        return [_NOTHING] * _FIDELITY_COLUMNS
    teacher_colour = fidelity.reference_colour
    return [
        _score(fidelity.correlation),
        _percent(fidelity.labels),
        _number(fidelity.mean_difference, ("{:+.2f}" if task.has_classes else "{:+.4f}").format),
        _percent(
            fidelity.colour,
            f"teacher {formatting.percent(teacher_colour.value)}" if teacher_colour else "",
        ),
    ]


_NOTHING = Cell(formatting.NONE)


def _number(estimate: Estimate, write: Callable[[float], str]) -> Cell:
    value, low, high = (
        write(number).replace("-", "−") for number in (estimate.value, estimate.low, estimate.high)
    )
    return Cell(value, f"{low} to {high}")


def _score(estimate: Estimate | None, *notes: str) -> Cell:
    if estimate is None:
        return _NOTHING
    return Cell(formatting.score(estimate.value), formatting.score_interval(estimate), notes=notes)


def _percent(estimate: Estimate | None, *notes: str) -> Cell:
    if estimate is None:
        return _NOTHING
    shown = tuple(note for note in notes if note)
    interval = formatting.percent_interval(estimate)
    return Cell(formatting.percent(estimate.value), interval, notes=shown)
