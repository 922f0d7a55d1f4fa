"""Runs a step's subtasks on the cluster that the step itself runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from filelock import FileLock

from pupila.errors import PupilaError
from pupila.step import SubTaskFailed
from pupila.threads import model_threads
from pupila_flows.execution import dask
from pupila_flows.execution.call import ProcessCall
from pupila_flows.execution.child import ChildFailed, name_of
from pupila_flows.execution.worker_check import ClusterConnection
from pupila_flows.workspace import Workspace


def with_workers(call: ProcessCall, cluster: dask.Cluster) -> ProcessCall:
    """Return a step's process call with the connection to a cluster: its subtasks run there."""
    connection = ClusterConnection(address=cluster.address, requirements=cluster.requirements)
    return replace(call, connection=connection)


class DaskWorkerPool:
    """Runs the subtasks of one step on a cluster's workers; connects at the first call.

    Subtasks end when this process ends, or when `stack` is closed.
    """

    def __init__(
        self,
        workspace: Workspace,
        key: str,
        title: str,
        connection: ClusterConnection,
        stack: ExitStack,
    ) -> None:
        self._connection, self._stack = connection, stack
        self._workspace, self._key, self._title = workspace, key, title
        self._locks = workspace.scratch(key) / ".parts"
        self._locks.mkdir(exist_ok=True)
        self._caller_lock = self._locks / f"{uuid4().hex}.wanted"
        stack.enter_context(FileLock(self._caller_lock))
        self._connecting = threading.Lock()
        self._cluster: dask.Cluster | None = None

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Call a function on a worker and return its answer; see `pupila.step.WorkerPool`.

        Raises:
            PupilaError: the function raised it, or no fit worker is left.
            SubTaskFailed: the process of the subtask crashed on two workers.
            ClusterLost: the cluster, or the connection to it, was lost.
        """
        process_call = ProcessCall(
            target=name_of(target),
            arguments=arguments,
            log=self._workspace.log(f"{self._title}-{name}", self._key),
            timeout_seconds=None,
            caller_lock=self._caller_lock,
            child_lock=self._locks / f"{name}.lock",
            threads=model_threads(),
        )
        cluster = self._connect()
        try:
            try:
                return cluster.call(process_call, _ignore)
            except dask.WorkerCrashed as crash:  # the machine may be at fault: try another
                return cluster.call(process_call, _ignore, avoid=crash.worker)
        except dask.ConnectionClosed as error:  # not closed by the run: that ends this process
            raise dask.ClusterLost(str(error)) from error
        except dask.ClusterLost:
            raise
        except ChildFailed as error:
            raise SubTaskFailed(str(error)) from error

    def _connect(self) -> dask.Cluster:
        with self._connecting:
            if self._cluster is None:
                connection = self._connection
                try:
                    self._cluster = self._stack.enter_context(
                        dask.connect_unchecked(
                            connection.address, connection.requirements, connection.tls
                        )
                    )
                except PupilaError as error:  # it answered a moment ago: the step is tried again
                    raise dask.ClusterLost(str(error)) from error
            return self._cluster


@contextmanager
def worker_pool(
    workspace: Workspace, key: str, title: str, connection: ClusterConnection | None
) -> Generator[DaskWorkerPool | None]:
    """Yield the worker pool for a step's subtasks; None if the step does not run on a cluster."""
    if connection is None:
        yield None
        return
    with ExitStack() as stack:
        yield DaskWorkerPool(workspace, key, title, connection, stack)


def _ignore(done: int, total: int, what: str) -> None:
    """Ignore progress: the step reports its own."""
