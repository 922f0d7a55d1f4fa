"""The part of a model card that tells of altered images."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.markdown import code, plain, table
from pupila_flows.report import formatting
from pupila_flows.results import Entry


def shift_lines(entries: Sequence[Entry]) -> list[str]:
    """Say how far models answer as their teachers do on altered images; nothing where not asked."""
    asked = [(entry, entry.shift) for entry in entries if entry.shift]
    if not asked:
        return []
    rows = [
        [
            code(entry.name),
            code(found.reference),
            f"{formatting.score(found.value.value)} ({formatting.score_interval(found.value)})",
            f"{plain(found.worst.name)}, {formatting.score(found.worst.middle.fidelity)}",
            formatting.score(found.unaltered.fidelity),
        ]
        for entry, found in asked
    ]
    first = asked[0][1]
    told = (
        f"Correlation of the logits with those of the teacher, on {first.split} images altered in "
        f"{formatting.plural(len(first.families), 'way')} as images of other places differ "
        f"({first.images} images each, middle severity): the mean over these families, with its "
        f"95 % interval, and the least. It says how far a model keeps to its teacher, not whether "
        f"the teacher is right there."
    )
    head = ["model", "teacher", "fidelity", "worst family", "unaltered"]
    return ["## Altered images", "", told, "", *table(head, rows)]
