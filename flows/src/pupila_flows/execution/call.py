"""A function call, with everything that a machine needs to run it in a child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pupila.runtime import Progress
from pupila.threads import DEFAULT_THREADS
from pupila_flows.execution import child
from pupila_flows.execution.worker_check import ClusterConnection


@dataclass(frozen=True)
class ProcessCall:
    """The arguments of `child.call`; all paths are valid on every machine that may run the call."""

    target: str
    """The function to call, as `module:attribute`; only the child imports it."""
    arguments: dict[str, Any]
    log: Path
    timeout_seconds: float | None
    caller_lock: Path
    """File that the caller keeps locked as long as it waits for the answer."""
    child_lock: Path
    """File that the child process keeps locked as long as it lives."""
    threads: int = DEFAULT_THREADS
    """Number of threads that a model uses, independent of the number of cores."""
    connection: ClusterConnection | None = None
    """Connection to a cluster, for a function that sends subtasks there; None for others.

    The function gets it as the argument `connection`. Such a call mostly waits for its subtasks, so
    it does not occupy a worker's task slot.
    """

    def run(self, progress: Progress, children: child.Children) -> dict[str, Any]:
        """Make the call on this machine and return its answer.

        Raises:
            PupilaError: the function raised it.
            ChildFailed: the process crashed, was killed, or took too long.
        """
        cluster = self.connection
        connection = {"connection": cluster.model_dump(mode="json")} if cluster else {}
        return child.call(
            *(self.target, self.arguments | connection, self.log, progress),
            timeout_seconds=self.timeout_seconds,
            children=children,
            child_lock=self.child_lock,
            threads=self.threads,
        )
