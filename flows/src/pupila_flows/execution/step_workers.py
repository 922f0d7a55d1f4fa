"""Parts of a step on the cluster that the step itself runs on."""

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
    """Return the call of a step that has its parts done on the cluster that it runs on itself."""
    connection = ClusterConnection(address=cluster.address, requirements=cluster.requirements)
    return replace(call, connection=connection)


class DaskWorkerPool:
    """Has parts of one step done by the workers of a cluster, to which it connects when asked.

    They are wanted until this process ends, or `until` is closed.
    """

    def __init__(
        self,
        workspace: Workspace,
        key: str,
        title: str,
        connection: ClusterConnection,
        until: ExitStack,
    ) -> None:
        self._connection, self._until = connection, until
        self._workspace, self._key, self._title = workspace, key, title
        self._locks = workspace.scratch(key) / ".parts"
        self._locks.mkdir(exist_ok=True)
        self._wanted = self._locks / f"{uuid4().hex}.wanted"
        until.enter_context(FileLock(self._wanted))
        self._connecting = threading.Lock()
        self._cluster: dask.Cluster | None = None

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Have a worker call a function; see `pupila.step.WorkerPool`."""
        process_call = ProcessCall(
            target=name_of(target),
            arguments=arguments,
            log=self._workspace.log(f"{self._title}-{name}", self._key),
            timeout_seconds=None,
            wanted=self._wanted,
            alone=self._locks / f"{name}.lock",
            threads=model_threads(),
        )
        cluster = self._connected()
        try:
            try:
                return cluster.call(process_call, _ignore)
            except dask.CrashedThere as crash:  # the machine may be at fault: ask another
                return cluster.call(process_call, _ignore, but=crash.worker)
        except dask.Closed as error:  # not by the run, which this process would not survive
            raise dask.ClusterLost(str(error)) from error
        except dask.ClusterLost:
            raise
        except ChildFailed as error:
            raise SubTaskFailed(str(error)) from error

    def _connected(self) -> dask.Cluster:
        with self._connecting:
            if self._cluster is None:
                there = self._connection
                try:
                    self._cluster = self._until.enter_context(
                        dask.connected(there.address, there.requirements, there.tls)
                    )
                except PupilaError as error:  # it has just been there: the step is tried again
                    raise dask.ClusterLost(str(error)) from error
            return self._cluster


@contextmanager
def worker_pool(
    workspace: Workspace, key: str, title: str, connection: ClusterConnection | None
) -> Generator[DaskWorkerPool | None]:
    """Yield who does the parts of a step; None where it has no cluster to have them done."""
    if connection is None:
        yield None
        return
    with ExitStack() as until:
        yield DaskWorkerPool(workspace, key, title, connection, until)


def _ignore(done: int, total: int, what: str) -> None:
    """Leave it to the step to tell its progress."""
