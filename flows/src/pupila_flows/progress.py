"""Displays of a run's progress: one for the terminal, and one that shows nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from pupila_flows import stopping
from pupila_flows.printable import printable


def _text(text: str) -> str:
    """Escape a text, so that neither rich nor the terminal interprets it."""
    return escape(printable(text))


class Display(Protocol):
    """Protocol of displays, which show the progress of jobs; a job is identified by its title.

    `update` reports that `done` of `total` units of work are done; `what` describes the work.
    `finish` reports that a job has ended, with a short text on its outcome.
    """

    def update(self, title: str, done: int, total: int, what: str) -> None: ...

    def finish(self, title: str, outcome: str) -> None: ...


class Silent:
    """Display that shows nothing."""

    def update(self, title: str, done: int, total: int, what: str) -> None:
        del title, done, total, what

    def finish(self, title: str, outcome: str) -> None:
        del title, outcome


class Terminal:
    """Display with a progress bar for each running job and a line for each finished job."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._stopped = False

    def update(self, title: str, done: int, total: int, what: str) -> None:
        if self._stopped:
            return
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(_text(title), what="")
        line = _text(what.partition("\n")[0])
        self._bars.update(self._tasks[title], completed=done, total=total, what=line)

    def finish(self, title: str, outcome: str) -> None:
        if self._stopped:
            return
        if title in self._tasks:
            self._bars.remove_task(self._tasks.pop(title))
        self._bars.console.print(f"[bold]{_text(title)}[/] {printable(outcome)}", highlight=False)

    @contextmanager
    def shown(self) -> Generator[None]:
        """Draw the bars and make this display the current one, while the `with` block runs."""
        token, stop = current_display.set(self), stopping.current()
        try:
            with self._bars, stop.clearing(self._clear) if stop else nullcontext():
                yield
        finally:
            current_display.reset(token)

    def _clear(self) -> None:
        self._stopped = True
        self._bars.stop()


current_display: ContextVar[Display] = ContextVar("display", default=Silent())  # noqa: B039 (it has no state)
"""The display of the current run; Prefect passes it on to the threads of its tasks."""
