"""Output of commands: progress and tables in the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile
from traceback import format_exception
from typing import TYPE_CHECKING, TextIO

from pupila.errors import PluginFailed
from pupila_flows.printable import printable

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def working(as_json: bool) -> Generator[None]:
    """Show progress on stderr inside the `with` block, unless `as_json`.

    If a job in the block crashes, exit with code 1.
    """
    from rich.console import Console

    from pupila_flows.execution.child import ChildFailed
    from pupila_flows.progress import display_for

    shown = nullcontext() if as_json else display_for(Console(file=sys.stderr))
    warnings, core = _Warnings(logging.WARNING), logging.getLogger("pupila")
    core.addHandler(warnings)
    try:
        with shown:
            yield
    except ChildFailed as failure:
        say(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
    finally:
        core.removeHandler(warnings)


class _Warnings(logging.Handler):
    """Prints the warnings of core, for example of a damaged file, one per line."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"warning: {record.getMessage()}", file=sys.stderr)


def say(*texts: object, sep: str = " ", file: TextIO | None = None) -> None:
    """Print texts immediately, with control characters escaped."""
    print(*(printable(str(text)) for text in texts), sep=sep, file=file, flush=True)


def explain_failure(error: Exception) -> str | None:
    """Return which plugin failed, and the log with the traceback; None if it was no plugin."""
    from pupila.plugin_failures import blame
    from pupila.plugin_registry import installed

    failed = error if isinstance(error, PluginFailed) else blame(error, installed().plugins)
    if failed is None:
        return None
    with NamedTemporaryFile("w", prefix="pupila-", suffix=".log", delete=False) as log:
        log.writelines(format_exception(error))
    return f"{failed}. Its log: {log.name}"


def warn_of_broken_plugins() -> None:
    """Print a warning for each plugin that is skipped, because it could not be loaded."""
    from pupila.plugin_registry import installed

    for reason in installed().broken:
        say(f"warning: {reason}", file=sys.stderr)


def say_if_synthetic(data: Path) -> None:
    """Print a note if the images in the folder `data` are synthetic."""
    from pupila_flows.data.synthetic import is_synthetic

    if is_synthetic(data):
        say("The images are synthetic: these figures show that the machinery works, no more.")


def print_table(rows: list[dict[str, str]]) -> None:
    """Print rows, which map column to text, as a table; print nothing if there are no rows."""
    from rich.table import Table

    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*map(printable, columns), box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(printable(row.get(name, "")) for name in columns))
    _console().print(table, markup=False, highlight=False)


def _console() -> Console:
    """Return a console that does not wrap lines for a file or another program."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=240)
