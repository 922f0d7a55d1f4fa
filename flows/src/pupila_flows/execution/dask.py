"""Runs steps on a Dask cluster: a worker starts a child process for each step.

Workers must see the workspace, the images and the teachers under the same paths, on a file system
whose locks hold across machines. So only arguments, progress and small answers go through Dask.
Two file locks control which processes may run:

* The caller holds the first lock while it waits for an answer. A worker that finds this lock free
  ends its child process.
* The child process holds the second lock as long as it lives. The next attempt at the same call
  waits for this lock.
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
from pupila_flows.execution.worker_check import (
    ClusterConnection,
    WorkerRequirements,
    publish_requirements,
)
from pupila_flows.recipe.tls import TlsFiles
from pupila_flows.workspace import Workspace

_CONNECT_SECONDS = 5.0
_FIRST_WORKER_SECONDS = 30.0
"""Longest wait for the first worker of a cluster, which may have just been started."""
_NO_WORKER_SECONDS = 60.0
"""Longest time without any worker; Dask's nanny restarts a lost worker within seconds."""
_LOOK_SECONDS = 5.0
_WATCH_SECONDS = 1.0


class Cluster:
    """A connection to a Dask scheduler."""

    def __init__(self, client: Any, address: str, requirements: WorkerRequirements) -> None:
        self._client = client
        self.address = address
        self.requirements = requirements
        self._topic = f"pupila-{uuid4().hex}"
        self._messages = dict[str, queue.SimpleQueue[Any]]()
        self._unfit = dict[str, str]()
        """Workers that joined after the check and cannot run the steps, with the reason."""
        client.subscribe_topic(self._topic, self._receive)

    def _receive(self, event: tuple[float, list[Any]]) -> None:
        """Pass a worker's message to the thread that waits for its call; runs in Dask's thread."""
        name, *progress = event[1]
        messages = self._messages.get(name)
        if messages is not None:  # else nobody waits for this attempt any more
            messages.put(progress)

    def check(self) -> None:
        """Check that the cluster has workers, and that every worker can run the steps.

        Raises:
            PupilaError: no worker joins, or a worker is unfit.
        """
        try:
            self._client.wait_for_workers(1, timeout=_FIRST_WORKER_SECONDS)
        except TimeoutError:
            raise PupilaError(
                f"The Dask scheduler at {self.address!r} has no worker: start some with "
                f"`dask worker {self.address} --nthreads 1`."
            ) from None
        answers: dict[str, Any] = self._client.run(
            _check_requirements, self.requirements, on_error="return"
        )
        faults = {
            worker: _describe_fault(answer)
            for worker, answer in answers.items()
            if answer is not None
        }
        if faults:
            raise PupilaError(_list_faults(self.address, faults))

    def workers(self) -> set[str]:
        """Return the addresses of the workers; an empty set if the scheduler does not answer."""
        try:
            return set(self._client.nthreads())
        except Exception:  # Dask has no error class for a closed connection
            return set()

    def call(
        self, call: ProcessCall, progress: Progress, avoid: str | None = None
    ) -> dict[str, Any]:
        """Run a call on a worker and return its answer.

        If the worker is lost or unfit, try another worker. The worker `avoid` is used only if no
        other worker is left.

        Raises:
            PupilaError: the function raised it, no fit worker is left, or the run was stopped.
            WorkerCrashed: the process of the call crashed.
            ClusterLost: all workers, or the scheduler, were lost.
        """
        while True:
            try:
                return self._try(call, progress, self._allowed(avoid))
            except _UnfitWorker as unfit:
                self._unfit[unfit.worker] = unfit.fault
            except _ChosenLost:
                pass

    def _allowed(self, avoid: str | None) -> list[str] | None:
        """Return the workers that may run a call; None if every worker may.

        Raises:
            PupilaError: no worker is fit, and no fit worker has joined for a while.
        """
        if not self._unfit and not avoid:
            return None
        deadline = time.monotonic() + _NO_WORKER_SECONDS
        while present := self.workers():
            fit = present - self._unfit.keys()
            if fit:
                return sorted(fit - {avoid} or fit)
            if time.monotonic() > deadline:
                raise PupilaError(
                    _list_faults(self.address, {worker: self._unfit[worker] for worker in present})
                )
            time.sleep(_WATCH_SECONDS)
        return None

    def _try(
        self, call: ProcessCall, progress: Progress, chosen: list[str] | None
    ) -> dict[str, Any]:
        name = f"{call.log.stem}-{uuid4().hex}"
        self._messages[name] = queue.SimpleQueue()
        progress(0, 1, "waiting for a worker")
        try:
            future = self._submit(name, call, chosen)
            try:
                self._follow(future, self._messages[name], progress, chosen)
                return self._answer(future)
            finally:
                future.release()
        finally:
            del self._messages[name]

    def _submit(self, name: str, call: ProcessCall, chosen: list[str] | None) -> Any:
        arguments = call, self.requirements, self._topic, name
        try:
            return self._client.submit(
                run_on_worker, *arguments, key=name, pure=False, workers=chosen
            )
        except Exception as error:  # Dask has no error class for a closed connection
            raise ConnectionClosed(
                f"The connection to {self.address} was closed: {error}"
            ) from error

    def _follow(
        self,
        future: Any,
        messages: queue.SimpleQueue[Any],
        progress: Progress,
        chosen: list[str] | None,
    ) -> None:
        """Pass progress on until the call has an answer.

        Raises:
            ClusterLost: there has been no worker for too long.
            _ChosenLost: none of the chosen workers is left, though others may be.
        """

        def wake(future: Any) -> None:
            del future
            messages.put(None)

        future.add_done_callback(wake)
        last_seen = looked = time.monotonic()
        while not future.done():
            with suppress(queue.Empty):
                message = messages.get(timeout=_WATCH_SECONDS)
                if message is not None:
                    progress(*message)
            now = time.monotonic()
            if now - looked < _LOOK_SECONDS:
                continue
            looked = now
            present = self.workers()
            if present and chosen and present.isdisjoint(chosen):
                raise _ChosenLost
            if present:
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
        except (PupilaError, child.ChildFailed, _UnfitWorker):
            raise
        except dask.KilledWorker as error:
            raise child.ChildFailed(f"each worker that did it was lost: {error}") from error
        except Exception as error:  # a lost scheduler, a defect there
            raise ClusterLost(
                f"the cluster at {self.address} gave no answer: {type(error).__name__}: {error}"
            ) from error


class ConnectionClosed(PupilaError):
    """Raised if the connection was closed, usually because the run was stopped."""


class WorkerCrashed(child.ChildFailed):
    """Raised if the child process on a worker crashed; `worker` is the worker's address."""

    def __init__(self, worker: str, reason: str) -> None:
        super().__init__(worker, reason)
        self.worker, self.reason = worker, reason

    def __str__(self) -> str:
        return self.reason


class ClusterLost(child.ChildFailed):
    """Raised if all workers, or the scheduler, were lost before a call was answered."""


class _ChosenLost(Exception):
    """None of the workers that a call was sent to is left."""


class _UnfitWorker(Exception):
    """A worker reports that it cannot run the steps."""

    def __init__(self, worker: str, fault: str) -> None:
        super().__init__(worker, fault)
        self.worker, self.fault = worker, fault


@contextmanager
def connect(
    workspace: Workspace, address: str, reads: Sequence[Path] = (), tls: TlsFiles | None = None
) -> Generator[Cluster]:
    """Connect to a Dask scheduler for the `with` block, and check the scheduler's workers.

    The workers must see the workspace and the paths in `reads`.

    Raises:
        PupilaError: the scheduler does not answer, no worker joins, or a worker is unfit.
    """
    with (
        publish_requirements(workspace, reads) as requirements,
        connect_unchecked(address, requirements, tls) as cluster,
    ):
        cluster.check()
        yield cluster


@contextmanager
def connect_unchecked(
    address: str, requirements: WorkerRequirements, tls: TlsFiles | None = None
) -> Generator[Cluster]:
    """Connect to a Dask scheduler for the `with` block, without checking the workers.

    Raises:
        PupilaError: the scheduler does not answer.
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


def _list_faults(address: str, faults: dict[str, str]) -> str:
    lines = (f"Worker {worker} of {address!r}: {fault}" for worker, fault in sorted(faults.items()))
    return "\n".join(lines)


def _describe_fault(answer: str | Exception) -> str:
    """Return the fault that a worker reports, or the error that prevented the report."""
    if isinstance(answer, str):
        return answer
    return (
        f"cannot be asked ({answer}): install the same version of Pupila there, and start its "
        "worker again."
    )


def _check_requirements(requirements: WorkerRequirements) -> str | None:
    """Return why this worker cannot run the steps, if so; called on each worker."""
    return requirements.fault()


def run_on_worker(
    call: ProcessCall, requirements: WorkerRequirements, topic: str, name: str
) -> dict[str, Any]:
    """Run a call in a child process on this worker, and return its answer.

    Progress is sent to the Dask topic `topic` under the name `name`. If the caller stops waiting,
    the process is ended.

    Raises:
        PupilaError: the function raised it.
        WorkerCrashed: the process crashed.
        _UnfitWorker: this worker, which joined after the check, cannot run the steps.
    """
    dask: Any = import_module("distributed")
    worker = dask.get_worker()
    fault = requirements.fault()
    if fault:
        raise _UnfitWorker(worker.address, fault)

    def progress(done: int, total: int, what: str) -> None:
        worker.log_event(topic, [name, done, total, what])

    progress(0, 1, f"starting on {socket.gethostname()}")
    with call.log.open("a") as log:
        print(f"on {socket.gethostname()}, worker {worker.address}", file=log)
    if call.connection:
        dask.secede()
        call = replace(call, connection=_as_seen_from(worker, call.connection))
    children = child.Children()
    with _end_when_unwanted(call.caller_lock, children):
        try:
            return call.run(progress, children)
        except child.ChildFailed as error:
            raise WorkerCrashed(worker.address, str(error)) from None


def _as_seen_from(worker: Any, connection: ClusterConnection) -> ClusterConnection:
    """Return the connection with the scheduler address and certificates that the worker uses."""
    own = worker.security
    files = own.tls_ca_file, own.tls_worker_cert, own.tls_worker_key
    tls = TlsFiles(*(Path(file).absolute() for file in files)) if all(files) else None
    return connection.model_copy(update={"address": worker.scheduler.address, "tls": tls})


@contextmanager
def _end_when_unwanted(caller_lock: Path, children: child.Children) -> Generator[None]:
    """End the children once their caller is gone, after Ctrl-C or the loss of its machine."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_WATCH_SECONDS):
            with suppress(OSError):  # a stalled file system does not mean that the caller is gone
                if not locks.is_held(caller_lock):
                    children.end()
                    over.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
