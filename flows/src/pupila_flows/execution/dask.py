"""Steps on a Dask cluster: a worker there starts the child process that would be started here.

Workers must see the workspace, the images and the teachers under the same paths, on a file system
whose locks hold across machines. So nothing but arguments, progress and small answers goes through
Dask, and these say who may work:

* who waits for an answer holds a file locked; a worker that finds it free ends its child;
* the child holds a lock of its own as long as it lives: a try begins when the one before is gone.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from pupila.errors import PupilaError
from pupila.runtime import Progress
from pupila_flows.execution import child, locks
from pupila_flows.execution.call import ProcessCall
from pupila_flows.execution.worker_check import ClusterConnection, WorkerRequirements, required
from pupila_flows.recipe.tls import TlsFiles
from pupila_flows.workspace import Workspace

_CONNECT_SECONDS = 5.0
_FIRST_WORKER_SECONDS = 30.0
"""Of a cluster that has just been started."""
_NO_WORKER_SECONDS = 60.0
"""Dask's nanny starts a lost worker again within seconds."""
_LOOK_SECONDS = 5.0
_WATCH_SECONDS = 1.0


class Cluster:
    """A connection to a Dask scheduler whose workers were checked."""

    def __init__(self, client: Any, address: str, requirements: WorkerRequirements) -> None:
        self._client = client
        self.address = address
        self.requirements = requirements
        self._topic = f"pupila-{uuid4().hex}"
        self._told = dict[str, queue.SimpleQueue[Any]]()
        self._unfit = dict[str, str]()
        """Workers that came later and cannot do our steps, with what keeps them from it."""
        client.subscribe_topic(self._topic, self._hear)

    def _hear(self, event: tuple[float, list[Any]]) -> None:
        """Take a message of a worker, in Dask's own thread, to where its call is waited for."""
        name, *progress = event[1]
        told = self._told.get(name)
        if told is not None:  # of a try that nobody waits for any more
            told.put(progress)

    def check(self) -> None:
        """Make sure that there are workers, and that each can do our steps.

        Raises:
            PupilaError: no worker comes, or one is not fit.
        """
        try:
            self._client.wait_for_workers(1, timeout=_FIRST_WORKER_SECONDS)
        except TimeoutError:
            raise PupilaError(
                f"The Dask scheduler at {self.address!r} has no worker: start some with "
                f"`dask worker {self.address} --nthreads 1`."
            ) from None
        answers: dict[str, Any] = self._client.run(_fault, self.requirements, on_error="return")
        faults = {each: _without_us(found) for each, found in answers.items() if found is not None}
        if faults:
            raise PupilaError(_named(self.address, faults))

    def workers(self) -> set[str]:
        """Return the addresses of workers; none where the scheduler does not answer."""
        try:
            return set(self._client.nthreads())
        except Exception:  # Dask has no class of its own for a closed connection
            return set()

    def call(self, call: ProcessCall, progress: Progress, but: str | None = None) -> dict[str, Any]:
        """Have a worker run a call, another one when it is lost or not fit; return the answer.

        The worker `but` is asked only where there is no other.

        Raises:
            PupilaError: the function raised one, no fit worker is left, or the run was stopped.
            CrashedThere: its process crashed.
            ClusterLost: so were all workers, or the scheduler.
        """
        while True:
            try:
                return self._try(call, progress, self._chosen(but))
            except _Unfit as unfit:
                self._unfit[unfit.worker] = unfit.fault
            except _ChosenGone:
                pass

    def _chosen(self, but: str | None) -> list[str] | None:
        """Return the workers that may be asked: None for any, as long as all were fit.

        Raises:
            PupilaError: none of those that there are is fit, and none has come for a while.
        """
        if not self._unfit and not but:
            return None
        deadline = time.monotonic() + _NO_WORKER_SECONDS
        while there := self.workers():
            fit = there - self._unfit.keys()
            if fit:
                return sorted(fit - {but} or fit)
            if time.monotonic() > deadline:
                raise PupilaError(_named(self.address, {each: self._unfit[each] for each in there}))
            time.sleep(_WATCH_SECONDS)
        return None

    def _try(
        self, call: ProcessCall, progress: Progress, chosen: list[str] | None
    ) -> dict[str, Any]:
        name = f"{call.log.stem}-{uuid4().hex}"
        self._told[name] = queue.SimpleQueue()
        progress(0, 1, "waiting for a worker")
        try:
            future = self._submitted(name, call, chosen)
            try:
                self._follow(future, self._told[name], progress, chosen)
                return self._answer(future)
            finally:
                future.release()
        finally:
            del self._told[name]

    def _submitted(self, name: str, call: ProcessCall, chosen: list[str] | None) -> Any:
        arguments = call, self.requirements, self._topic, name
        try:
            return self._client.submit(
                run_on_worker, *arguments, key=name, pure=False, workers=chosen
            )
        except Exception as error:  # Dask has no class of its own for a closed connection
            raise Closed(f"The connection to {self.address} was closed: {error}") from error

    def _follow(
        self,
        future: Any,
        told: queue.SimpleQueue[Any],
        progress: Progress,
        chosen: list[str] | None,
    ) -> None:
        """Pass progress on until there is an answer.

        Raises:
            ClusterLost: there has been no worker for too long.
            _ChosenGone: others may be there, but none of those that were chosen.
        """

        def wake(future: Any) -> None:
            del future
            told.put(None)

        future.add_done_callback(wake)
        last_seen = looked = time.monotonic()
        while not future.done():
            with suppress(queue.Empty):
                message = told.get(timeout=_WATCH_SECONDS)
                if message is not None:
                    progress(*message)
            now = time.monotonic()
            if now - looked < _LOOK_SECONDS:
                continue
            looked = now
            there = self.workers()
            if there and chosen and there.isdisjoint(chosen):
                raise _ChosenGone
            if there:
                last_seen = now
            elif now - last_seen > _NO_WORKER_SECONDS:
                raise ClusterLost(
                    f"the cluster at {self.address} has had no worker for "
                    f"{_NO_WORKER_SECONDS:.0f} s: start one"
                )

    def _answer(self, future: Any) -> dict[str, Any]:
        dask: Any = import_module("distributed")
        try:
            return future.result()
        except (PupilaError, child.ChildFailed, _Unfit):
            raise
        except dask.KilledWorker as error:
            raise child.ChildFailed(f"each worker that did it was lost: {error}") from error
        except Exception as error:  # a lost scheduler, a defect there
            raise ClusterLost(
                f"the cluster at {self.address} gave no answer: {type(error).__name__}: {error}"
            ) from error


class Closed(PupilaError):
    """The connection is no more: the run was stopped, as a rule."""


class CrashedThere(child.ChildFailed):
    """The child process of a worker crashed."""

    def __init__(self, worker: str, reason: str) -> None:
        super().__init__(worker, reason)
        self.worker, self.reason = worker, reason

    def __str__(self) -> str:
        return self.reason


class ClusterLost(child.ChildFailed):
    """There is no answer, and nobody is left to give one."""


class _ChosenGone(Exception):
    """None of the workers that a call may go to is there any more."""


class _Unfit(Exception):
    """A worker says that it cannot do our steps."""

    def __init__(self, worker: str, fault: str) -> None:
        super().__init__(worker, fault)
        self.worker, self.fault = worker, fault


@contextmanager
def joined(
    workspace: Workspace, address: str, reads: Sequence[Path] = (), tls: TlsFiles | None = None
) -> Generator[Cluster]:
    """Connect to a scheduler for as long as the block lasts.

    Its workers must see the workspace and what lies at `reads`.

    Raises:
        PupilaError: nobody listens there, no worker comes, or one is not fit.
    """
    with (
        required(workspace, reads) as requirements,
        connected(address, requirements, tls) as cluster,
    ):
        cluster.check()
        yield cluster


@contextmanager
def connected(
    address: str, requirements: WorkerRequirements, tls: TlsFiles | None = None
) -> Generator[Cluster]:
    """Connect to a scheduler, whose workers were or will be checked by whoever has the sign.

    Raises:
        PupilaError: nobody listens there.
    """
    with _client(address, tls) as client:
        yield Cluster(client, address, requirements)


@contextmanager
def _client(address: str, tls: TlsFiles | None) -> Generator[Any]:
    dask: Any = import_module("distributed")
    options: dict[str, Any] = {"timeout": _CONNECT_SECONDS, "set_as_default": False}
    try:
        if tls:
            options["security"] = dask.Security(
                tls_ca_file=str(tls.ca),
                tls_client_cert=str(tls.cert),
                tls_client_key=str(tls.key),
                require_encryption=True,
            )
        client = dask.Client(address, **options)
    except (OSError, ValueError, TypeError) as error:
        raise PupilaError(
            f"No Dask scheduler answers at {address!r} within {_CONNECT_SECONDS:.0f} s "
            f"({error}): start one as docs/cluster.md says, or correct `address` or `tls` of "
            "`runner`."
        ) from None
    try:
        yield client
    finally:
        client.close()


def _named(address: str, faults: dict[str, str]) -> str:
    lines = (f"Worker {each} of {address!r}: {fault}" for each, fault in sorted(faults.items()))
    return "\n".join(lines)


def _without_us(found: str | Exception) -> str:
    """Return what a worker says of itself, or why it could not even be asked."""
    if isinstance(found, str):
        return found
    return (
        f"cannot be asked ({found}): install the same version of Pupila there, and start its "
        "worker again."
    )


def _fault(requirements: WorkerRequirements) -> str | None:
    """Be asked, as a worker."""
    return requirements.fault()


def run_on_worker(
    call: ProcessCall, requirements: WorkerRequirements, topic: str, name: str
) -> dict[str, Any]:
    """Be the worker: run a call in a child process, as long as someone waits for its answer.

    Raises:
        PupilaError: the function raised one.
        CrashedThere: its process crashed.
        _Unfit: this worker, which came later, cannot do our steps.
    """
    dask: Any = import_module("distributed")
    worker = dask.get_worker()
    fault = requirements.fault()
    if fault:
        raise _Unfit(worker.address, fault)

    def progress(done: int, total: int, what: str) -> None:
        worker.log_event(topic, [name, done, total, what])

    progress(0, 1, f"starting on {socket.gethostname()}")
    with call.log.open("a") as log:
        print(f"on {socket.gethostname()}, worker {worker.address}", file=log)
    if call.connection:
        dask.secede()
        call = replace(call, connection=_as_seen_from(worker, call.connection))
    children = child.Children()
    with _ended_when_unwanted(call.wanted, children):
        try:
            return call.run(progress, children)
        except child.ChildFailed as error:
            raise CrashedThere(worker.address, str(error)) from None


def _as_seen_from(worker: Any, connection: ClusterConnection) -> ClusterConnection:
    """Return the connection with the scheduler's address, and certificates, of its worker."""
    own = worker.security
    files = own.tls_ca_file, own.tls_worker_cert, own.tls_worker_key
    tls = TlsFiles(*(Path(file).absolute() for file in files)) if all(files) else None
    return connection.model_copy(update={"address": worker.scheduler.address, "tls": tls})


@contextmanager
def _ended_when_unwanted(wanted: Path, children: child.Children) -> Generator[None]:
    """End the children as soon as nobody waits for them: after Ctrl-C, or a machine's end."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_WATCH_SECONDS):
            with suppress(OSError):  # a file system that stalls says nothing of who waits
                if not locks.is_held(wanted):
                    children.end()
                    over.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
