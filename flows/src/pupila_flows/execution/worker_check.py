"""Checks that a worker has the same files, locks and versions as the machine that sends steps."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from pupila.errors import join_names
from pupila.plugin_registry import preferred_plugins
from pupila.store import write_atomically
from pupila_flows import machine
from pupila_flows.execution import locks
from pupila_flows.recipe.tls import TlsFiles
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class WorkerRequirements:
    """What a worker must have: the workspace with its locks, the paths to read, the same versions.

    `marker` is a file in the workspace that contains `token`, and `lock` is a file that the sending
    machine keeps locked. A worker with other versions would make artifacts that do not match their
    keys in the ledger.
    """

    marker: Path
    token: str
    lock: Path
    reads: tuple[Path, ...]
    versions: dict[str, str]
    """Version of each package on the machine that sends the steps."""
    preferred_plugins: dict[str, str]
    """Environment variables on the sending machine that choose runners and loaders."""

    def fault(self) -> str | None:
        """Return why this machine does not meet these requirements; None if it meets them all."""
        fault = (
            self._unseen_files()
            or self._unshared_locks()
            or self._other_versions()
            or self._other_plugins()
        )
        return f"{socket.gethostname()} {fault}" if fault else None

    def _unseen_files(self) -> str | None:
        try:
            seen = self.marker.read_text() == self.token
        except OSError:
            seen = False
        if not seen:
            return (
                f"does not see the workspace {str(self.marker.parent.parent)!r}: mount it there, "
                "under the same path."
            )
        unread = [str(path) for path in self.reads if not path.exists()]
        if unread:
            return f"sees nothing at {join_names(map(repr, unread))}: mount it there too."
        return None

    def _unshared_locks(self) -> str | None:
        try:
            held, reason = locks.is_held(self.lock), "it found a locked file unlocked"
        except OSError as error:
            held, reason = False, str(error)
        if held:
            return None
        return (
            f"does not share the locks of the workspace ({reason}), so that one step might run "
            "twice at once: mount it with locks, over NFS 4 without `nolock` and `local_lock`."
        )

    def _other_versions(self) -> str | None:
        theirs = machine.versions()
        differ = [
            f"{name} {theirs.get(name, 'missing')} (here {self.versions.get(name, 'missing')})"
            for name in sorted(theirs.keys() | self.versions.keys())
            if theirs.get(name) != self.versions.get(name)
        ]
        if not differ:
            return None
        return f"has {', '.join(differ)}: install the same there, and start its worker again."

    def _other_plugins(self) -> str | None:
        """Return which variable chooses another runner or loader, if any."""
        theirs = preferred_plugins()
        for name, ours in self.preferred_plugins.items():
            if theirs.get(name) != ours:
                return (
                    f"has {name}={theirs.get(name, '')!r} in its environment (here {ours!r}): set "
                    "the same there, and start its worker again."
                )
        return None


class ClusterConnection(BaseModel):
    """How the process of a step connects to the cluster that runs its subtasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    """Address of the scheduler."""
    requirements: WorkerRequirements
    """What workers must have; the workers were checked when the run connected to the cluster."""
    tls: TlsFiles | None = None
    """Certificates for the connection to the scheduler."""


@contextmanager
def publish_requirements(
    workspace: Workspace, reads: Sequence[Path]
) -> Generator[WorkerRequirements]:
    """Yield what workers must have; make the files by which a worker is checked.

    Inside the `with` block, the workspace contains a marker and a file that this process locks.
    """
    token = uuid4().hex
    marker, lock = workspace.root / "cluster" / f"{token}.txt", workspace.lock(f"cluster-{token}")
    write_atomically(marker, token.encode())
    try:
        with FileLock(lock):
            yield WorkerRequirements(
                marker, token, lock, tuple(reads), machine.versions(), preferred_plugins()
            )
    finally:
        marker.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
