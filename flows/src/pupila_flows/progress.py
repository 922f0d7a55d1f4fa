"""Displays of a run's progress: for a terminal, for a log file, and one that shows nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from pupila_flows import stopping
from pupila_flows.printable import printable

WHOLE = "all steps"
"""Title of the progress of a whole graph, of which no time is left: its steps take unlike times."""


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


def progress_line(done: int, total: int, what: str) -> str:
    """Return a report of progress as a line: `12 of 40 epochs, validation accuracy 0.944`.

    The numbers are left out if `what` begins with a number itself, or if there is one unit of work.
    """
    line = what.partition("\n")[0]
    return line if total <= 1 or line[:1].isdigit() else f"{done} of {total} {line}"


@dataclass
class _Pace:
    """How fast a job goes, and so when it ends: from its second report on."""

    steady: bool
    """Whether each unit takes about as long as the others."""
    total: int = 0
    done: int = 0
    first: int = 0
    """Units done at the first report, which may be those of an earlier try."""
    started: float = 0.0
    latest: float = 0.0

    def report(self, done: int, total: int) -> None:
        self.latest = time.monotonic()
        if total != self.total or done < self.done:  # another part of the job
            self.total, self.first, self.started = total, done, self.latest
        self.done = done

    @property
    def left(self) -> str:
        """About how long the job still takes, as `2 min left`; empty if that is not known."""
        first, done, total = self.first, self.done, self.total  # other threads report meanwhile
        if not self.steady or not first < done < total:
            return ""
        seconds_each = (self.latest - self.started) / (done - first)
        seconds = seconds_each * (total - done) - (time.monotonic() - self.latest)
        return f"{_about(max(seconds, 0))} left"


def _about(seconds: float) -> str:
    """Write a duration as `40 s`, `12 min` or `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class Silent:
    """Display that shows nothing."""

    def update(self, title: str, done: int, total: int, what: str) -> None:
        del title, done, total, what

    def finish(self, title: str, outcome: str) -> None:
        del title, outcome


class _TimeLeft(ProgressColumn):
    """Column with the time that is left; while that is not known, the time that has passed."""

    _elapsed = TimeElapsedColumn()

    def render(self, task: Task) -> Text:
        pace: _Pace = task.fields["pace"]
        return Text(pace.left, style="cyan") if pace.left else self._elapsed.render(task)


class Terminal:
    """Display with a progress bar for each running job and a line for each finished job."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[what]}"),
            _TimeLeft(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._paces: dict[str, _Pace] = {}
        self._stopped = False

    def update(self, title: str, done: int, total: int, what: str) -> None:
        if self._stopped:
            return
        if title not in self._tasks:
            self._paces[title] = _Pace(title != WHOLE)
            task = self._bars.add_task(_text(title), what="", pace=self._paces[title])
            self._tasks[title] = task
        self._paces[title].report(done, total)
        line = _text(progress_line(done, total, what))
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
        with _current(self, self._clear), self._bars:
            yield

    def _clear(self) -> None:
        self._stopped = True
        self._bars.stop()


@dataclass
class _LoggedJob:
    """A running job of a log file: its latest line, and when the next one is due."""

    due: float
    pace: _Pace
    line: str = ""


class LogLines:
    """Display for a file: a line when a job begins, one a minute while it runs, one at its end."""

    def __init__(self, console: Console, seconds: float = 60.0) -> None:
        self._console = console
        self._seconds = seconds
        self._jobs: dict[str, _LoggedJob] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def update(self, title: str, done: int, total: int, what: str) -> None:
        with self._lock:
            is_new = title not in self._jobs
            new = _LoggedJob(time.monotonic() + self._seconds, _Pace(title != WHOLE))
            job = self._jobs.setdefault(title, new)
            job.line = progress_line(done, total, what)
            job.pace.report(done, total)
            if is_new:
                self._print(f"{title}: {job.line}")

    def finish(self, title: str, outcome: str) -> None:
        with self._lock:
            self._jobs.pop(title, None)
            self._print(f"{title} {Text.from_markup(outcome).plain}")

    @contextmanager
    def shown(self) -> Generator[None]:
        """Write lines and make this display the current one, while the `with` block runs."""
        writer = threading.Thread(target=self._write_when_due, daemon=True)
        writer.start()
        try:
            with _current(self, self._ended.set):
                yield
        finally:
            self._ended.set()
            writer.join()

    def _write_when_due(self) -> None:
        pause = self._seconds
        while not self._ended.wait(pause):
            with self._lock:
                now = time.monotonic()
                for title, job in self._jobs.items():
                    if job.due <= now:
                        job.due += self._seconds
                        line = ", ".join(filter(None, (job.line, job.pace.left)))
                        self._print(f"{title}: {line}")
                due = min((job.due for job in self._jobs.values()), default=now + self._seconds)
            pause = max(due - time.monotonic(), 0)

    def _print(self, line: str) -> None:
        if not self._ended.is_set():
            self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def display_for(console: Console) -> AbstractContextManager[None]:
    """Show progress in a terminal or, if the console is none, in lines for a log file."""
    drawn = console.is_terminal and not console.is_dumb_terminal
    return (Terminal(console) if drawn else LogLines(console)).shown()


@contextmanager
def silence() -> Generator[None]:
    """Show no progress in the `with` block."""
    token = current_display.set(Silent())
    try:
        yield
    finally:
        current_display.reset(token)


@contextmanager
def _current(display: Display, clear: Callable[[], None]) -> Generator[None]:
    """Make a display the current one in the `with` block; `clear` is called at Ctrl-C."""
    token, stop = current_display.set(display), stopping.current()
    try:
        with stop.clearing(clear) if stop else nullcontext():
            yield
    finally:
        current_display.reset(token)


current_display: ContextVar[Display] = ContextVar("display", default=Silent())  # noqa: B039 (it has no state)
"""The display of the current run; Prefect passes it on to the threads of its tasks."""
