"""One piece of work: known by a key, done in a child process, remembered when it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from pupila.digest import digest_json
from pupila.errors import PupilaError
from pupila.runtime import Progress
from pupila_flows import progress as display
from pupila_flows.execution import child
from pupila_flows.execution import dask as cluster
from pupila_flows.execution import step_workers as crew
from pupila_flows.execution.call import Errand
from pupila_flows.jobs import functions as jobs
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class Work:
    """A function of `pupila_flows.jobs.functions` with its arguments."""

    title: str
    target: Callable[..., dict[str, Any]]
    arguments: dict[str, Any]
    identity: list[Any]
    """JSON value of all that the result depends on, and nothing else."""
    timeout_seconds: float | None = None
    spreads: bool = False
    """Whether it has parts of it done elsewhere, where there is anyone."""

    @property
    def key(self) -> str:
        """Digest under which the result is remembered."""
        return digest_json([self.target.__name__, *self.identity])

    def on(self, inputs: list[str]) -> Work:
        """Return the same work on these artifacts, given by digest."""
        bound = replace(self, identity=[*self.identity, inputs])
        return replace(bound, arguments=self.arguments | {"inputs": inputs, "key": bound.key})


@dataclass(frozen=True)
class Outcome:
    """What a piece of work came to."""

    value: dict[str, Any]
    cached: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Session:
    """What all work of one run shares: the workspace, and the places for processes."""

    workspace: Workspace
    slots: threading.Semaphore
    children: child.Children
    elsewhere: cluster.Cluster | None
    """Where steps run; None where they run here."""


_MOVABLE = frozenset({jobs.import_teacher, jobs.adopt_artifact, jobs.run_step})
"""What may be done elsewhere. A judgement may not: its latencies are of the machine it names."""

_session: ContextVar[Session] = ContextVar("session")


_FILES = ("probabilities", "data_docs", "report", "images", "teacher")
"""Fields of a remembered value that hold paths; `images` of a trial is a number instead."""


@contextmanager
def session(
    workspace: Workspace, workers: int, address: str | None = None, reads: Sequence[Path] = ()
) -> Generator[None]:
    """Make a session current for as long as the block lasts; its processes end with it.

    With the `address` of a Dask scheduler, steps run on its workers, which must see `reads`.

    Raises:
        PupilaError: the cluster cannot be reached, or its workers cannot do our steps.
    """
    children, slots = child.Children(), threading.BoundedSemaphore(workers)
    joined = cluster.joined(workspace, address, reads) if address else nullcontext()
    with joined as there:
        token = _session.set(Session(workspace, slots, children, there))
        try:
            yield
        finally:
            children.end()
            _session.reset(token)


def perform(work: Work, told: Progress | None = None) -> Outcome:
    """Do a piece of work in the current session, unless it was done before.

    Its progress goes to the current display, and to `told`. The same work asked for twice at once
    is done once, across processes too.

    Raises:
        PupilaError: what it was given is wrong.
        ChildFailed: its process crashed.
    """
    here = _session.get()
    shown = display.current.get()
    with FileLock(here.workspace.lock(work.key)):
        known = here.workspace.store.recall(work.key)
        if known is not None and _intact(here.workspace, known):
            shown.finish(work.title, "[dim]unchanged[/]")
            return Outcome(known, cached=True)
        with here.slots:
            outcome = _done(work, here, shown, told)
    return outcome


def _done(work: Work, here: Session, shown: display.Display, told: Progress | None) -> Outcome:
    """Do the work in a child process and remember what came of it."""

    def progress(done: int, total: int, what: str) -> None:
        shown.update(work.title, done, total, what)
        if told:
            told(done, total, what)

    start = time.monotonic()
    log = here.workspace.log(work.title, work.key)
    shown.update(work.title, 0, 1, "starting")
    try:
        value = _answer(work, here, log, progress)
    except (PupilaError, child.ChildFailed):
        shown.finish(work.title, "[red]failed[/]")
        raise
    seconds = time.monotonic() - start
    here.workspace.store.note(work.key, value)
    here.workspace.clear_scratch(work.key)
    shown.finish(work.title, f"[green]done[/] [dim]in {seconds:.0f} s[/]")
    return Outcome(value, seconds=seconds)


def _answer(work: Work, here: Session, log: Path, progress: Progress) -> dict[str, Any]:
    """Have the work done where it is to be done."""
    wanted, alone = here.workspace.lock(work.key), here.workspace.lock(f"{work.key}-try")
    target, seconds = child.name_of(work.target), work.timeout_seconds
    errand = Errand(target, work.arguments, log, seconds, wanted, alone)
    if here.elsewhere and work.target in _MOVABLE:
        sent = crew.spread(errand, here.elsewhere) if work.spreads else errand
        return here.elsewhere.call(sent, progress)
    return errand.run(progress, here.children)


def _intact(workspace: Workspace, value: dict[str, Any]) -> bool:
    """Tell whether what a remembered value speaks of is still there, byte for byte."""
    try:
        if "artifact" in value and "metrics" not in value:
            workspace.store.open(value["artifact"])
    except PupilaError:
        return False
    files = (value[name] for name in _FILES if isinstance(value.get(name), str))
    return all(Path(file).exists() for file in files)
