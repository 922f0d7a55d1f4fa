"""Jobs are done in a session: in processes of their own, as many at once as a run has workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from pydantic import ValidationError

from pupila.disk import explain_disk_errors
from pupila.errors import PupilaError
from pupila.runtime import Progress
from pupila.threads import DEFAULT_THREADS
from pupila_flows.execution import child, dask, step_workers
from pupila_flows.execution.call import ProcessCall
from pupila_flows.execution.job import Job, JobResult
from pupila_flows.progress import current_display
from pupila_flows.recipe.tls import TlsFiles
from pupila_flows.workspace import Workspace

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Session:
    """What all jobs of one run share: the workspace, and the places for processes."""

    workspace: Workspace
    slots: threading.Semaphore
    children: child.Children
    cluster: dask.Cluster | None
    """Where jobs that may run elsewhere do; None where all run here."""
    threads: int
    """With how many each model computes."""
    keys: set[str] = field(default_factory=set[str])
    """Of all jobs that were asked for."""


_session: ContextVar[Session] = ContextVar("session")


@contextmanager
def session(
    workspace: Workspace,
    workers: int,
    address: str | None = None,
    reads: Sequence[Path] = (),
    threads: int = DEFAULT_THREADS,
    tls: TlsFiles | None = None,
) -> Generator[Session]:
    """Make a session current for as long as the block lasts; its processes end with it.

    Models compute with so many `threads` in each of them.

    With the `address` of a Dask scheduler, steps run on its workers, which must see `reads`; `tls`
    are the certificates for talking to it.

    Raises:
        PupilaError: the cluster cannot be reached, its workers cannot do our steps, or the
            workspace cannot be written to.
    """
    children, slots = child.Children(), threading.BoundedSemaphore(workers)
    joined = dask.joined(workspace, address, reads, tls) if address else nullcontext()
    with workspace.writing(), workspace.in_use(), joined as cluster:
        here = Session(workspace, slots, children, cluster, threads)
        token = _session.set(here)
        try:
            yield here
        finally:
            children.end()
            _session.reset(token)


def perform(job: Job[ResultT], listener: Progress | None = None) -> JobResult[ResultT]:
    """Do a job in the current session, unless it was done before.

    Its progress goes to the current display, and to `listener`. The same job asked for twice at
    once is done once, across processes too.

    Raises:
        PupilaError: what it was given is wrong.
        ChildFailed: its process crashed.
    """
    here = _session.get()
    job = job.with_threads(here.threads)
    key = job.key
    here.keys.add(key)
    with FileLock(here.workspace.lock(key)):
        known = _remembered(job, key, here)
        if known is not None:
            current_display.get().finish(job.title, "[dim]unchanged[/]")
            return JobResult(known, cached=True)
        with here.slots:
            return _run(job, key, here, listener)


def _remembered(job: Job[ResultT], key: str, here: Session) -> ResultT | None:
    """Return the result of the last time, where this version reads it and its files are there."""
    known = here.workspace.store.recall(key)
    try:
        result = None if known is None else job.read(known)
    except ValidationError:
        return None
    return result if result is not None and job.is_intact(result) else None


def _run(
    job: Job[ResultT], key: str, here: Session, listener: Progress | None
) -> JobResult[ResultT]:
    """Run the job in a child process and remember what came of it."""
    shown = current_display.get()

    def progress(done: int, total: int, what: str) -> None:
        shown.update(job.title, done, total, what)
        if listener:
            listener(done, total, what)

    start = time.monotonic()
    log = here.workspace.log(job.title, key)
    shown.update(job.title, 0, 1, "starting")
    try:
        with explain_disk_errors(here.workspace.root):
            value = _answer(job, key, here, log, progress)
    except (PupilaError, child.ChildFailed):
        shown.finish(job.title, "[red]failed[/]")
        raise
    seconds = time.monotonic() - start
    here.workspace.store.note(key, value)
    here.workspace.clear_scratch(key)
    shown.finish(job.title, f"[green]done[/] [dim]in {seconds:.0f} s[/]")
    return JobResult(job.read(value), seconds=seconds)


def _answer(
    job: Job[Any], key: str, here: Session, log: Path, progress: Progress
) -> dict[str, Any]:
    """Have the job done where it is to be done, and return its result as JSON."""
    call = ProcessCall(
        target=job.target,
        arguments=job.model_dump(mode="json"),
        log=log,
        timeout_seconds=job.timeout_seconds,
        wanted=here.workspace.lock(key),
        alone=here.workspace.lock(f"{key}-try"),
        threads=here.threads,
    )
    if here.cluster and job.may_run_elsewhere:
        sent = step_workers.with_workers(call, here.cluster) if job.farms_out else call
        return here.cluster.call(sent, progress)
    return call.run(progress, here.children)
