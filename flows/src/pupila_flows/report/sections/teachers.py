"""Where several teachers of a pupil disagree, if a plugin measured `TeacherAgreement`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pupila.measured import OracleTeaching, TeacherAgreement, TeacherQualities
from pupila.task import TaskMethods
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.results import Entry

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Panel:
    """The teachers of one or more pupils, and how often two teachers answer an image alike."""

    pupils: tuple[str, ...]
    teachers: tuple[str, ...]
    agreement: Matrix
    """Fraction of training images answered alike by two teachers, `(teachers, teachers)`."""
    accuracies: tuple[str, ...]
    """Fraction right of each teacher on the validation images, as text; empty if not measured."""
    sentences: tuple[str, ...]


def panels(lineage: Lineage, task: TaskMethods) -> list[Panel]:
    """Return a panel for each set of teachers; pupils with equal measurements share a panel."""
    panels: list[Panel] = []
    every = (_panel(entry, task) for entry in lineage.entries.values())
    for panel in filter(None, every):
        alike = next(
            (other for other in panels if replace(other, pupils=panel.pupils) == panel), None
        )
        if alike is None:
            panels.append(panel)
        else:
            both = (*alike.pupils, *panel.pupils)
            panels[panels.index(alike)] = replace(alike, pupils=both)
    return panels


def _panel(entry: Entry, task: TaskMethods) -> Panel | None:
    measured = entry.measured
    teachers, agreement = len(entry.inputs), measured.read(TeacherAgreement)
    if teachers < 2 or agreement is None or len(agreement.agreement) != teachers:
        return None
    return Panel(
        pupils=(entry.name,),
        teachers=entry.inputs,
        agreement=agreement.agreement,
        accuracies=_accuracies(measured.read(TeacherQualities), teachers),
        sentences=(*_disagreement(agreement, task), *_taught_by(measured.read(OracleTeaching))),
    )


def _disagreement(agreement: TeacherAgreement, task: TaskMethods) -> list[str]:
    if agreement.teachers_disagree is None:
        return []
    fraction = formatting.percent(agreement.teachers_disagree)
    return [f"They do not all give the {task.same_title} to {fraction} of the images."]


def _taught_by(teaching: OracleTeaching | None) -> list[str]:
    """Say how often teachers were right, for a pupil that learns only from right teachers."""
    if teaching is None:
        return []
    fractions = teaching.taught_by
    return [
        f"All teachers were right on {formatting.percent(fractions.all)} of the images, some on "
        f"{formatting.percent(fractions.some)}; on {formatting.percent(fractions.none)} no teacher "
        f"was right, and only the label was used."
    ]


def _accuracies(qualities: TeacherQualities | None, count: int) -> tuple[str, ...]:
    if qualities is None or len(qualities.teachers) != count:
        return ()
    return tuple(
        formatting.percent(teacher.validation_accuracy.value) for teacher in qualities.teachers
    )
