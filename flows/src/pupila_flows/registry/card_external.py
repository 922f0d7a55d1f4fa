"""The part of a model card about images of other places."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.markdown import plain, table
from pupila_flows.report.external import LEGEND, about, rows_on, with_all_columns
from pupila_flows.results import Entry, RunResult


def external_lines(entries: Sequence[Entry], result: RunResult) -> list[str]:
    """Return the figures of published models on images of other places, a table for each."""
    lines: list[str] = []
    for images in result.external:
        rows = with_all_columns(rows_on(images, entries))
        if rows:
            head, cells = list(rows[0]), [list(map(plain, row.values())) for row in rows]
            told = plain(about(images, files=False))
            lines += ["", f"### {plain(images.name)}", "", told, "", *table(head, cells)]
    told = f"Nothing was learned from these images, and nothing chosen by them; {LEGEND}"
    return ["## Images of other places", "", told, *lines] if lines else []
