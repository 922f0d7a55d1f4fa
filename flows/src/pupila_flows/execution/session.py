"""Does jobs in separate processes; a session limits how many run at the same time."""

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
    """The state that all jobs of a run share, such as the workspace and the free process slots."""

    workspace: Workspace
    slots: threading.Semaphore
    children: child.Children
    cluster: dask.Cluster | None
    """Cluster for the jobs with `may_run_elsewhere`; None if all jobs run on this machine."""
    threads: int
    """Number of threads that each model computes with."""
    keys: set[str] = field(default_factory=set[str])
    """Keys of all jobs that were requested in this session."""


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
    """Open a session for the `with` block, and end the session's processes after the block.

    At most `workers` processes run at a time. Models in each process compute with `threads`
    threads.

    If `address` names a Dask scheduler, jobs with `may_run_elsewhere` run on its workers. The
    workers must see the paths in `reads`. `tls` are the certificates for the connection.

    Raises:
        PupilaError: the cluster cannot be reached, a worker cannot run the steps, or the workspace
            cannot be written to.
    """
    children, slots = child.Children(), threading.BoundedSemaphore(workers)
    connected = dask.connect(workspace, address, reads, tls) if address else nullcontext()
    with workspace.writing(), workspace.in_use(), connected as cluster:
        current = Session(workspace, slots, children, cluster, threads)
        token = _session.set(current)
        try:
            yield current
        finally:
            children.end()
            _session.reset(token)


def perform(job: Job[ResultT], listener: Progress | None = None) -> JobResult[ResultT]:
    """Do a job in the current session, or return its remembered result.

    The job's progress goes to the current display and to `listener`. If a job is requested twice at
    the same time, even by two processes, it is done once.

    Raises:
        PupilaError: the input of the job is wrong.
        ChildFailed: the process of the job crashed.
    """
    current = _session.get()
    job = job.with_threads(current.threads)
    key = job.key
    current.keys.add(key)
    with FileLock(current.workspace.lock(key)):
        known = recall(job, key)
        if known is not None:
            current_display.get().finish(job.title, "[dim]unchanged[/]")
            return JobResult(known, cached=True)
        with current.slots:
            return _run(job, key, current, listener)


def recall(job: Job[ResultT], key: str) -> ResultT | None:
    """Return the remembered result; None if it is missing, unreadable or not intact."""
    known = job.workspace.store.recall(key)
    try:
        result = None if known is None else job.from_json(known)
    except ValidationError:
        return None
    return result if result is not None and job.is_intact(result) else None


def _run(
    job: Job[ResultT], key: str, current: Session, listener: Progress | None
) -> JobResult[ResultT]:
    """Run the job in a child process and remember its result."""
    display = current_display.get()

    def progress(done: int, total: int, what: str) -> None:
        display.update(job.title, done, total, what)
        if listener:
            listener(done, total, what)

    start = time.monotonic()
    log = current.workspace.log(job.title, key)
    display.update(job.title, 0, 1, "starting")
    try:
        with explain_disk_errors(current.workspace.root):
            value = _answer(job, key, current, log, progress)
    except (PupilaError, child.ChildFailed):
        display.finish(job.title, "[red]failed[/]")
        raise
    seconds = time.monotonic() - start
    current.workspace.store.note(key, value)
    current.workspace.clear_scratch(key)
    display.finish(job.title, f"[green]done[/] [dim]in {seconds:.0f} s[/]")
    return JobResult(job.from_json(value), seconds=seconds)


def _answer(
    job: Job[Any], key: str, current: Session, log: Path, progress: Progress
) -> dict[str, Any]:
    """Do the job here or on the cluster, and return its result as JSON."""
    call = ProcessCall(
        target=job.target,
        arguments=job.model_dump(mode="json"),
        log=log,
        timeout_seconds=job.timeout_seconds,
        caller_lock=current.workspace.lock(key),
        child_lock=current.workspace.lock(f"{key}-try"),
        threads=current.threads,
    )
    if current.cluster and job.may_run_elsewhere:
        sent = step_workers.with_workers(call, current.cluster) if job.farms_out else call
        return current.cluster.call(sent, progress)
    return call.run(progress, current.children)
