"""How pupils answer beside their teachers on altered images: figures, curves, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from pupila.errors import PupilaError
from pupila.images import decode, resize
from pupila.plugin_registry import installed
from pupila.shift import SEVERITIES, alter
from pupila.shift.evaluation import Disagreement, ShiftEvaluation, ShiftFamily, ShiftMetrics
from pupila.shift_suite import Suite
from pupila.spec import InputSpec
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import svg
from pupila_flows.report.plots.thumbnails import as_thumbnail
from pupila_flows.report.predictions import located
from pupila_flows.results import Entry, RunResult

_DRAWN = 3
"""Pupils of which curves and pictures are shown: what the gate judged, then the lowest values."""
_PICTURES = 6
_WIDTH, _HEIGHT = 150.0, 104.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 26.0, 6.0, 6.0, 18.0
_TITLES = ("none", *SEVERITIES)


@dataclass(frozen=True)
class ShiftRow:
    """One artifact in the table."""

    name: str
    teacher: str
    control: bool
    value: str
    interval: str
    validation: str
    worst: str
    accuracy: str
    """Mean over families at the middle severity, and the teacher's."""
    agreement: str
    runtime: str


@dataclass(frozen=True)
class FamilyCurve:
    """One family, drawn."""

    name: str
    fidelity: str
    picture: Markup


@dataclass(frozen=True)
class ShiftPicture:
    """An altered image on which pupil and teacher part."""

    path: str
    original: str
    altered: str
    truth: str
    pupil: str
    teacher: str

    @property
    def file(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class ShiftPanel:
    """One pupil in curves and pictures, in one format: the one that is judged, or the lowest."""

    name: str
    teacher: str
    worst: str
    curves: tuple[FamilyCurve, ...]
    pictures: tuple[ShiftPicture, ...]


@dataclass(frozen=True)
class ShiftReport:
    """All that is known of altered images."""

    families: int
    images: int
    whole: bool
    """Whether curves are drawn through every severity."""
    rows: tuple[ShiftRow, ...]
    panels: tuple[ShiftPanel, ...]


def shift_report(result: RunResult, lineage: Lineage, folder: Path) -> ShiftReport | None:
    """Return the figures of every artifact that was asked, the lowest first; None without any."""
    asked = [(entry, entry.shift) for entry in lineage.entries.values() if entry.shift]
    if not asked:
        return None
    asked.sort(key=lambda each: each[1].value.value)
    judged = {each.entry for each in result.gate.artifacts} if result.gate else set[str]()
    shown: dict[str, tuple[Entry, ShiftEvaluation]] = {}
    for entry, found in sorted(asked, key=lambda each: each[0].name not in judged):
        if not lineage.is_control(entry):
            shown.setdefault(lineage.trained(entry).name, (entry, found))
    return ShiftReport(
        families=len(asked[0][1].families),
        images=asked[0][1].images,
        whole=len(asked[0][1].families[0].steps) == len(SEVERITIES),
        rows=tuple(_row(entry, found, lineage) for entry, found in asked),
        panels=tuple(
            _panel(entry, found, result, lineage, folder)
            for entry, found in list(shown.values())[:_DRAWN]
        ),
    )


def _row(entry: Entry, found: ShiftEvaluation, lineage: Lineage) -> ShiftRow:
    def mean(figure: Callable[[ShiftMetrics], float]) -> str:
        return formatting.percent(
            float(np.mean([figure(family.middle) for family in found.families]))
        )

    worst = found.worst
    return ShiftRow(
        name=entry.name,
        teacher=found.reference,
        control=lineage.is_control(entry),
        value=formatting.score(found.value.value),
        interval=formatting.score_interval(found.value),
        validation=formatting.score(found.validation.value)
        if found.validation
        else formatting.NONE,
        worst=f"{worst.name} {formatting.score(worst.middle.fidelity)}",
        accuracy=f"{mean(lambda step: step.accuracy)}, teacher "
        f"{mean(lambda step: step.reference_accuracy)}",
        agreement=mean(lambda step: step.agreement),
        runtime=found.runtime,
    )


def _panel(
    entry: Entry, found: ShiftEvaluation, result: RunResult, lineage: Lineage, folder: Path
) -> ShiftPanel:
    teacher = lineage.entries.get(found.reference)
    record = teacher.record if teacher else None
    pictures = _pictures(found, result, record.input, folder) if record else ()
    return ShiftPanel(
        name=entry.name,
        teacher=found.reference,
        worst=found.worst.name,
        curves=tuple(_curve(family, found) for family in found.families),
        pictures=pictures,
    )


def _curve(family: ShiftFamily, found: ShiftEvaluation) -> FamilyCurve:
    steps = [found.unaltered, *family.steps]
    drawn = [
        svg.path(_points(steps, lambda step: step.reference_accuracy), "teacher-curve"),
        svg.path(_points(steps, lambda step: step.accuracy), "beside"),
        svg.path(_points(steps, lambda step: step.fidelity), "curve"),
    ]
    figures = ", ".join(f"{step.severity or _TITLES[0]} {step.fidelity:.2f}" for step in steps)
    label = f"Fidelity under {family.name}: {figures}"
    picture = svg.picture(_WIDTH, _HEIGHT, label, _frame(), *drawn, class_="roc")
    return FamilyCurve(family.name, formatting.score(family.middle.fidelity), picture)


def _points(
    steps: Sequence[ShiftMetrics], figure: Callable[[ShiftMetrics], float]
) -> list[tuple[float, float]]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    width = (right - _LEFT) / (len(_TITLES) - 1)
    return [
        (
            _LEFT + _TITLES.index(step.severity or _TITLES[0]) * width,
            bottom - (bottom - _TOP) * min(1.0, max(0.0, figure(step))),
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
    found: ShiftEvaluation, result: RunResult, size: InputSpec, folder: Path
) -> tuple[ShiftPicture, ...]:
    """Alter the images of the worst family again; none where one of them is gone."""
    labels = np.array(result.test_labels, np.int64)
    cells = Suite((found.worst.name,), found.images, found.seed, ("middle",)).cells(labels)
    drawn: list[int] = cells[0].rows.tolist()
    places = {row: place for place, row in enumerate(drawn)}
    if not all(each.row in places for each in found.parted):
        return ()
    files = [located(result.test_images[row], folder) for row in places]
    try:
        originals = [decode(file) for file in files if file]
        family = installed().shift(found.worst.name)
    except PupilaError:
        return ()
    if len(originals) < len(places):
        return ()
    batch = np.stack([resize(image, size) for image in originals])
    altered = alter(family, batch, "middle", np.random.default_rng(cells[0].seed))

    def picture(each: Disagreement) -> ShiftPicture:
        place = places[each.row]
        return ShiftPicture(
            path=result.test_images[each.row],
            original=as_thumbnail(originals[place]),
            altered=as_thumbnail(Image.fromarray(altered[place])),
            truth=result.data.classes[int(labels[each.row])],
            pupil=f"{each.probability:.2f}",
            teacher=f"{each.reference:.2f}",
        )

    return tuple(map(picture, found.parted[:_PICTURES]))
