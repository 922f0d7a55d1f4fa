"""Tables on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def print_table(rows: list[dict[str, str]]) -> None:
    """Print rows under the names of their columns; nothing where there are none."""
    from rich.table import Table

    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(row.get(name, "") for name in columns))
    _console().print(table, markup=False, highlight=False)


def _console() -> Console:
    """A console that wraps nothing when its output goes to a file or another program."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=240)
