"""Writes results as HTML for notebooks; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from pupila_flows.printable import printable


def heading(text: str) -> Markup:
    """Return a heading."""
    return Markup("<h3>{}</h3>").format(printable(text))


def paragraphs(lines: Iterable[str]) -> Markup:
    """Return a paragraph for each line; leading spaces are kept."""
    paragraph = Markup("<p style='margin:.2em 0;white-space:pre-wrap'>{}</p>")
    return Markup().join(paragraph.format(printable(line)) for line in lines)


def table(rows: Sequence[dict[str, str]]) -> Markup:
    """Return rows, which map column to text, as a table; empty if there are no rows."""
    if not rows:
        return Markup()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = _cells("th", columns)
    body = Markup().join(_cells("td", [row.get(name, "") for name in columns]) for row in rows)
    filled = Markup("<thead>{}</thead><tbody>{}</tbody>").format(head, body)
    return Markup("<div style='overflow-x:auto'><table>{}</table></div>").format(filled)


def tables(several: Iterable[Sequence[dict[str, str]]]) -> Markup:
    """Return the tables of several lists of rows, one below the other."""
    return Markup().join(map(table, several))


def _cells(tag: str, texts: Iterable[str]) -> Markup:
    cell = Markup(f"<{tag} style='text-align:left'>{{}}</{tag}>")  # noqa: S704 - ours
    cells = Markup().join(cell.format(printable(text)) for text in texts)
    return Markup("<tr>{}</tr>").format(cells)
