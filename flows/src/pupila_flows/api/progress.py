"""Shows the progress of a call: in a notebook as HTML, elsewhere as in the command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from markupsafe import Markup, escape
from rich.console import Console
from rich.text import Text

from pupila_flows.printable import printable
from pupila_flows.progress import current_display, display_for

_SECONDS = 0.2
"""Shortest time between two drawings."""


def display_progress() -> AbstractContextManager[None]:
    """Show the progress of jobs inside the `with` block."""
    return _in_notebook() if _is_notebook() else display_for(Console(file=sys.stderr))


class Notebook:
    """Display with a bar for each running job, which becomes one line when all have ended."""

    def __init__(self, output: Any) -> None:
        """Take IPython's handle of an output that can be replaced."""
        self._output = output
        self._running: dict[str, tuple[int, int, str]] = {}
        self._ended: list[str] = []
        self._failed: list[str] = []
        self._start = self._drawn = time.monotonic()

    def update(self, title: str, done: int, total: int, what: str) -> None:
        self._running[title] = done, total, what.partition("\n")[0]
        if time.monotonic() - self._drawn >= _SECONDS:
            self._draw(self._bars())

    def finish(self, title: str, outcome: str) -> None:
        self._running.pop(title, None)
        words = Text.from_markup(outcome).plain
        self._ended.append(title)
        if words == "failed":
            self._failed.append(title)
        self._draw(self._bars())

    def end(self) -> None:
        """Replace the bars by a line."""
        failed = Markup(", {} failed").format(", ".join(self._failed)) if self._failed else ""
        took = time.monotonic() - self._start
        line = Markup("<small>{} jobs in {:.0f} s{}</small>")
        self._draw(line.format(len(self._ended), took, failed))

    def _draw(self, html: Markup) -> None:
        self._drawn = time.monotonic()
        self._output.update({"text/html": html, "text/plain": html.striptags()}, raw=True)

    def _bars(self) -> Markup:
        bars = Markup("<br>").join(
            Markup("<b>{}</b> <progress value='{}' max='{}'></progress> {}").format(
                printable(title), done, max(total, 1), printable(what)
            )
            for title, (done, total, what) in list(self._running.items())
        )
        return Markup("<small>{} jobs done</small><br>{}").format(len(self._ended), escape(bars))


@contextmanager
def _in_notebook() -> Generator[None]:
    from IPython.display import display  # pyright: ignore - only where a notebook brings it

    output: Any = display({"text/plain": ""}, raw=True, display_id=True)
    bars = Notebook(output)
    token = current_display.set(bars)
    try:
        yield
    finally:
        current_display.reset(token)
        bars.end()


def _is_notebook() -> bool:
    """Tell whether a kernel runs this code, which can replace what it has shown."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
