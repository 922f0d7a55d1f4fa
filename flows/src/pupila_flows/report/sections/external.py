"""Images of other places: what every model comes to there, and where it parts from its teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pupila.evaluation import Estimate
from pupila.external import ExternalEvaluation, ImageDisagreement
from pupila_flows.report import external, formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.plots.thumbnails import thumbnail
from pupila_flows.report.predictions import located
from pupila_flows.report.sections.results_table import Cell
from pupila_flows.results import ExternalResult, ExternalSet, RunResult

_LABELLED = ("Accuracy", "AUC", "Sensitivity", "Specificity", "Calibration error (ECE)")
_FIDELITY = (
    "Correlation of logits",
    "Same class as teacher",
    "Logit less the teacher’s",
    "Explained by colour",
)
_PUPILS = 3
"""Models of which images are shown for a set."""
_IMAGES = 8


@dataclass(frozen=True)
class ExternalRow:
    """One model on the images of one place."""

    name: str
    teacher: str | None
    cells: tuple[Cell, ...]
    error: str | None


@dataclass(frozen=True)
class ExternalPicture:
    """An image on which a model and its teacher part."""

    image: ImageDisagreement
    picture: str | None

    @property
    def file(self) -> str:
        return Path(self.image.path).name


@dataclass(frozen=True)
class ExternalPictures:
    """The images on which one model parts most from its teacher."""

    name: str
    teacher: str
    pictures: tuple[ExternalPicture, ...]


@dataclass(frozen=True)
class ExternalPanel:
    """All that is known of the models on the images of one place."""

    images: ExternalSet
    columns: tuple[str, ...]
    rows: tuple[ExternalRow, ...]
    parted: tuple[ExternalPictures, ...]


def external_panels(
    result: RunResult, lineage: Lineage, chosen: str | None, folder: Path
) -> list[ExternalPanel]:
    """Return a panel for each set, of the entries of the first seed."""
    return [_panel(images, lineage, chosen, folder) for images in result.external]


def _panel(
    images: ExternalSet, lineage: Lineage, chosen: str | None, folder: Path
) -> ExternalPanel:
    found = [
        (each, there)
        for each in lineage.judged()
        for there in each.entry.external
        if there.name == images.name
    ]
    labelled = images.counts is not None
    return ExternalPanel(
        images=images,
        columns=(*(_LABELLED if labelled else ()), *_FIDELITY),
        rows=tuple(
            ExternalRow(
                name=each.name,
                teacher=each.entry.reference,
                cells=_cells(there, labelled=labelled) if there.evaluation else (),
                error=there.error,
            )
            for each, there in found
        ),
        parted=tuple(
            _pictures(each, there.evaluation, folder)
            for each, there in _important(found, lineage, chosen)
            if there.evaluation
        ),
    )


def _important(
    found: list[tuple[EvaluatedArtifact, ExternalResult]], lineage: Lineage, chosen: str | None
) -> list[tuple[EvaluatedArtifact, ExternalResult]]:
    """Return the chosen pupil, then what comes last of a branch, small to large.

    Of a pupil in several formats that is one.
    """
    shown = [
        (each, there)
        for each, there in found
        if there.evaluation and there.evaluation.parted and each.entry.reference
        if each.name == chosen
        or (lineage.is_final(each.entry) and not lineage.is_control(each.entry))
    ]
    shown.sort(key=lambda pair: (pair[0].name != chosen, pair[0].size_bytes))
    pupils: dict[str, tuple[EvaluatedArtifact, ExternalResult]] = {}
    for each, there in shown:
        pupils.setdefault(lineage.trained(each.entry).name, (each, there))
    return list(pupils.values())[:_PUPILS]


def _pictures(
    judged: EvaluatedArtifact, found: ExternalEvaluation, folder: Path
) -> ExternalPictures:
    return ExternalPictures(
        name=judged.name,
        teacher=str(judged.entry.reference),
        pictures=tuple(
            ExternalPicture(image, thumbnail(located(image.path, folder)))
            for image in found.parted[:_IMAGES]
        ),
    )


def _cells(there: ExternalResult, *, labelled: bool) -> tuple[Cell, ...]:
    if there.evaluation is None:
        return ()
    figures, differences = there.evaluation.figures, there.differences
    metrics, fidelity = figures.metrics, figures.fidelity
    cells: list[Cell] = []
    if labelled and metrics:
        point = metrics.point

        def paired(field: str) -> tuple[str, ...]:
            found = differences.get(field)
            return (f"difference {external.signed(found)}",) if found else ()

        cells += [
            _percent(metrics.accuracy, *paired("accuracy")),
            _score(metrics.auc, *paired("auc")),
            _percent(
                point and point.sensitivity,
                f"at {formatting.threshold(metrics)}",
                *paired("sensitivity"),
            ),
            _percent(point and point.specificity, *paired("specificity")),
            _score(metrics.ece),
        ]
    elif labelled:
        cells += [_NOTHING] * len(_LABELLED)
    if fidelity is None:
        return (*cells, *[_NOTHING] * len(_FIDELITY))
    theirs = fidelity.reference_colour
    return (
        *cells,
        _score(fidelity.correlation),
        _percent(fidelity.labels),
        _figure(fidelity.mean_difference, "{:+.2f}".format),
        _percent(fidelity.colour, f"teacher {formatting.percent(theirs.value)}" if theirs else ""),
    )


_NOTHING = Cell(formatting.NONE)


def _figure(estimate: Estimate, written: Callable[[float], str]) -> Cell:
    value, low, high = (
        written(each).replace("-", "−") for each in (estimate.value, estimate.low, estimate.high)
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
