"""How pupils compare with their teachers on altered images: metrics, curves and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from pupila.errors import PupilaError
from pupila.images import content_of, decode, resize
from pupila.plugin_registry import installed
from pupila.shift import SEVERITIES, alter_each
from pupila.shift.evaluation import Disagreement, ShiftEvaluation, ShiftFamily, ShiftMetrics
from pupila.shift_suite import Suite
from pupila.spec import InputSpec
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import svg
from pupila_flows.report.predictions import RunPredictions, locate
from pupila_flows.results import Entry, RunResult
from pupila_flows.thumbnails import as_thumbnail

_DRAWN = 3
"""Most pupils with curves and pictures: those in the gate first, then the lowest fidelity."""
_PICTURES = 6
_WIDTH, _HEIGHT = 150.0, 104.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 26.0, 6.0, 6.0, 18.0
_TITLES = ("none", *SEVERITIES)


@dataclass(frozen=True)
class ShiftRow:
    """One row of the table: an artifact's results on altered images, as text."""

    name: str
    teacher: str
    control: bool
    value: str
    interval: str
    validation: str
    worst: str
    accuracy: str
    """Fractions right of artifact and teacher, averaged over families at the middle severity."""
    agreement: str
    runtime: str


@dataclass(frozen=True)
class FamilyCurve:
    """The plot of one family of alterations."""

    name: str
    fidelity: str
    picture: Markup


@dataclass(frozen=True)
class ShiftPicture:
    """An altered image on which pupil and teacher differ."""

    path: str
    original: str
    altered: str
    truth: str
    pupil: str
    """The pupil's probability of the positive class, or its answer, as text."""
    teacher: str
    """The same by the teacher."""

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class ShiftPanel:
    """Curves and pictures of one pupil in one of its formats.

    If the gate checks the pupil in one of its formats, that format is shown. Otherwise, the format
    with the lowest fidelity is shown.
    """

    name: str
    teacher: str
    worst: str
    curves: tuple[FamilyCurve, ...]
    pictures: tuple[ShiftPicture, ...]


@dataclass(frozen=True)
class ShiftReport:
    """All results on altered images."""

    families: int
    """Number of families of alterations."""
    images: int
    """Number of images of each family at the middle severity."""
    whole: bool
    """Whether the curves cover every severity."""
    rows: tuple[ShiftRow, ...]
    panels: tuple[ShiftPanel, ...]


def shift_report(
    result: RunResult, lineage: Lineage, predictions: RunPredictions, folder: Path
) -> ShiftReport | None:
    """Return all results on altered images, the lowest fidelity first; None if there are none.

    Relative paths of images are also looked up in `folder`.
    """
    evaluated = [(entry, entry.shift) for entry in lineage.entries.values() if entry.shift]
    if not evaluated:
        return None
    evaluated.sort(key=lambda pair: pair[1].value.value)
    gated = {artifact.entry for artifact in result.gate.artifacts} if result.gate else set[str]()
    shown: dict[str, tuple[Entry, ShiftEvaluation]] = {}
    for entry, shift in sorted(evaluated, key=lambda pair: pair[0].name not in gated):
        if not lineage.is_control(entry):
            shown.setdefault(lineage.trained(entry).name, (entry, shift))
    return ShiftReport(
        families=len(evaluated[0][1].families),
        images=evaluated[0][1].images,
        whole=len(evaluated[0][1].families[0].steps) == len(SEVERITIES),
        rows=tuple(_row(entry, shift, lineage) for entry, shift in evaluated),
        panels=tuple(
            _panel(entry, shift, result, lineage, predictions, folder)
            for entry, shift in list(shown.values())[:_DRAWN]
        ),
    )


def _row(entry: Entry, shift: ShiftEvaluation, lineage: Lineage) -> ShiftRow:
    def mean(metric: Callable[[ShiftMetrics], float]) -> str:
        return formatting.percent(
            float(np.mean([metric(family.middle) for family in shift.families]))
        )

    worst = shift.worst
    return ShiftRow(
        name=entry.name,
        teacher=shift.reference,
        control=lineage.is_control(entry),
        value=formatting.score(shift.value.value),
        interval=formatting.score_interval(shift.value),
        validation=formatting.score(shift.validation.value)
        if shift.validation
        else formatting.NONE,
        worst=f"{worst.name} {formatting.score(worst.middle.fidelity)}",
        accuracy=f"{mean(lambda step: step.accuracy)}, teacher "
        f"{mean(lambda step: step.reference_accuracy)}",
        agreement=mean(lambda step: step.agreement),
        runtime=shift.runtime,
    )


def _panel(
    entry: Entry,
    shift: ShiftEvaluation,
    result: RunResult,
    lineage: Lineage,
    predictions: RunPredictions,
    folder: Path,
) -> ShiftPanel:
    teacher = lineage.entries.get(shift.reference)
    record = teacher.record if teacher else None
    pictures = _pictures(shift, result, record.input, predictions, folder) if record else ()
    return ShiftPanel(
        name=entry.name,
        teacher=shift.reference,
        worst=shift.worst.name,
        curves=tuple(_curve(family, shift) for family in shift.families),
        pictures=pictures,
    )


def _curve(family: ShiftFamily, shift: ShiftEvaluation) -> FamilyCurve:
    steps = [shift.unaltered, *family.steps]
    curves = [
        svg.path(_points(steps, lambda step: step.reference_accuracy), "teacher-curve"),
        svg.path(_points(steps, lambda step: step.accuracy), "beside"),
        svg.path(_points(steps, lambda step: step.fidelity), "curve"),
    ]
    values = ", ".join(f"{step.severity or _TITLES[0]} {step.fidelity:.2f}" for step in steps)
    label = f"Fidelity under {family.name}: {values}"
    picture = svg.picture(_WIDTH, _HEIGHT, label, _frame(), *curves, class_="roc")
    return FamilyCurve(family.name, formatting.score(family.middle.fidelity), picture)


def _points(
    steps: Sequence[ShiftMetrics], metric: Callable[[ShiftMetrics], float]
) -> list[tuple[float, float]]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    width = (right - _LEFT) / (len(_TITLES) - 1)
    return [
        (
            _LEFT + _TITLES.index(step.severity or _TITLES[0]) * width,
            bottom - (bottom - _TOP) * min(1.0, max(0.0, metric(step))),
        )
        for step in steps
    ]


def _frame() -> Markup:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    marks = [
        svg.element(
            "rect", x=_LEFT, y=_TOP, width=right - _LEFT, height=bottom - _TOP, class_="frame"
        ),
        svg.text(_LEFT - 4, _TOP + 8, "1", "tick", "end"),
        svg.text(_LEFT - 4, bottom, "0", "tick", "end"),
        svg.text(_LEFT, bottom + 13, _TITLES[0], "tick", "start"),
        svg.text(right, bottom + 13, _TITLES[-1], "tick", "end"),
    ]
    return Markup("").join(marks)


def _pictures(
    shift: ShiftEvaluation,
    result: RunResult,
    size: InputSpec,
    predictions: RunPredictions,
    folder: Path,
) -> tuple[ShiftPicture, ...]:
    """Return images altered again by the worst family; empty if any original is missing."""
    labels = np.array(result.test_labels, np.int64)
    cells = Suite((shift.worst.name,), shift.images, shift.seed, ("middle",)).cells(labels)
    rows: list[int] = cells[0].rows.tolist()
    index_of = {row: index for index, row in enumerate(rows)}
    if not all(image.row in index_of for image in shift.disagreements):
        return ()
    files = [locate(result.test_images[row], folder) for row in index_of]
    try:
        originals = [decode(file) for file in files if file]
        family = installed().shift(shift.worst.name)
    except PupilaError:
        return ()
    if len(originals) < len(index_of):
        return ()
    images = [content_of(resize(image, size), size) for image in originals]
    altered = alter_each(family, images, "middle", np.random.default_rng(cells[0].seed))

    def picture(image: Disagreement) -> ShiftPicture:
        index = index_of[image.row]
        return ShiftPicture(
            path=result.test_images[image.row],
            original=as_thumbnail(originals[index]),
            altered=as_thumbnail(Image.fromarray(altered[index])),
            truth=predictions.truth(image.row),
            pupil=_answer(image.probability, image.answer),
            teacher=_answer(image.reference, image.other),
        )

    return tuple(map(picture, shift.disagreements[:_PICTURES]))


def _answer(probability: float | None, words: str) -> str:
    """Write an answer as its probability of the positive class, or in words without classes."""
    return words if probability is None else f"{probability:.2f}"
