"""A function call with all that any machine needs to make it in a child process."""

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
    """What `child.call` is given; every path means the same wherever the workspace is seen."""

    target: str
    """Function as `module:attribute`: only the child imports it."""
    arguments: dict[str, Any]
    log: Path
    timeout_seconds: float | None
    wanted: Path
    """File that whoever waits for the answer holds locked, for as long as they do."""
    alone: Path
    """File that the child holds locked for as long as it lives."""
    threads: int = DEFAULT_THREADS
    """With how many a model computes there, however many cores there are."""
    connection: ClusterConnection | None = None
    """Where it has parts of it done, its argument `connection`: on a cluster, such a call mostly
    waits for others, and takes no worker's place."""

    def run(self, progress: Progress, children: child.Children) -> dict[str, Any]:
        """Make the call on this machine and return its answer.

        Raises:
            PupilaError: the function raised one.
            ChildFailed: its process crashed, was killed, or took too long.
        """
        there = self.connection
        connection = {"connection": there.model_dump(mode="json")} if there else {}
        return child.call(
            *(self.target, self.arguments | connection, self.log, progress),
            timeout_seconds=self.timeout_seconds,
            children=children,
            alone=self.alone,
            threads=self.threads,
        )
