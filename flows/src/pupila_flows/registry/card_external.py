"""The section on external sets in a model card."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.markdown import plain, table
from pupila_flows.report.external import describe_set, legend, rows_on, with_all_columns
from pupila_flows.results import Entry, RunResult


def external_lines(entries: Sequence[Entry], result: RunResult) -> list[str]:
    """Return the section's lines: a table for each external set, with a row for each model."""
    lines, task = list[str](), result.data.methods
    for images in result.external:
        rows = with_all_columns(rows_on(images, entries, task))
        if rows:
            head, cells = list(rows[0]), [list(map(plain, row.values())) for row in rows]
            introduction = plain(describe_set(images, files=False))
            lines += ["", f"### {plain(images.name)}", "", introduction, "", *table(head, cells)]
    introduction = f"Nothing was trained on these images or chosen by them; {legend(task)}"
    return ["## External sets", "", introduction, *lines] if lines else []
