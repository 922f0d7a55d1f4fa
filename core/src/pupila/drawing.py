"""A part of the report that a package draws.

See `pupila.ReportSection` for a section of its own, and `pupila.MeasuredSection` for a model of
measured values that draws itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A part of the report. All texts are plain; the report escapes them.

    `svg`, and the text that a template gives, may have the elements of text, tables and drawings
    alone: no scripts, styles, links, images or event handlers (`docs/plugins.md`). The report shows
    an error instead of a part with others.
    """

    lead: str = ""
    """A sentence or two above the rest: what is shown, on which images, and which way is better."""
    columns: Sequence[str] = ()
    """Titles of the columns of a table."""
    rows: Sequence[Sequence[str]] = ()
    """Cells of the table, row by row, one for each column. The first of a row is its title."""
    svg: str = ""
    """A picture: one `<svg>` element with a `viewBox`. Classes of the report's own plots give it
    their colours in light and dark: `frame`, `curve`, `dot`, `tick`, `bar`."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values for the section's template, by name."""


class Drawable(Protocol):
    """A model of measured values that draws itself, for `pupila.MeasuredSection`."""

    def drawing(self) -> Drawing:
        """Return the part of the report for one artifact."""
        ...
