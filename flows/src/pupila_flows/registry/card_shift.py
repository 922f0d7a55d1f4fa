"""The section on altered images in a model card."""

from __future__ import annotations

from collections.abc import Sequence

from pupila.task import TaskMethods
from pupila_flows.markdown import code, plain, table
from pupila_flows.report import formatting
from pupila_flows.results import Entry


def shift_lines(entries: Sequence[Entry], task: TaskMethods) -> list[str]:
    """Return the section's lines, with a table of fidelities; empty if no model was evaluated."""
    evaluated = [(entry, entry.shift) for entry in entries if entry.shift]
    if not evaluated:
        return []
    rows = [
        [
            code(entry.name),
            code(shift.reference),
            f"{formatting.score(shift.value.value)} ({formatting.score_interval(shift.value)})",
            f"{plain(shift.worst.name)}, {formatting.score(shift.worst.middle.fidelity)}",
            formatting.score(shift.unaltered.fidelity),
        ]
        for entry, shift in evaluated
    ]
    first = evaluated[0][1]
    introduction = (
        f"Correlation of the {task.compared_title}s with those of the teacher, on {first.split} "
        f"images altered in {formatting.plural(len(first.families), 'way')} in which images from "
        f"elsewhere differ ({first.images} images each, middle severity): the mean over these "
        f"families, with its 95 % interval, and the lowest. It says how closely a model matches "
        f"its teacher, not whether the teacher is right there."
    )
    head = ["model", "teacher", "fidelity", "worst family", "unaltered"]
    return ["## Altered images", "", introduction, "", *table(head, rows)]
