"""What a worker must have in common with the machine that sends it steps."""

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
    """A sign in the workspace that a worker must read and find locked, and what else it must see.

    A worker with other versions would make other artifacts than the ledger says.
    """

    sign: Path
    token: str
    lock: Path
    reads: tuple[Path, ...]
    versions: dict[str, str]
    """Of this machine."""
    preferred_plugins: dict[str, str]
    """What this machine's environment says of runners and loaders, by variable."""

    def fault(self) -> str | None:
        """Say what keeps the machine that asks from doing our steps; None where nothing does."""
        found = self._unseen() or self._unlocked() or self._different() or self._means_others()
        return f"{socket.gethostname()} {found}" if found else None

    def _unseen(self) -> str | None:
        try:
            seen = self.sign.read_text() == self.token
        except OSError:
            seen = False
        if not seen:
            return (
                f"does not see the workspace {str(self.sign.parent.parent)!r}: mount it there, "
                "under the same path."
            )
        unread = [str(path) for path in self.reads if not path.exists()]
        if unread:
            return f"sees nothing at {join_names(map(repr, unread))}: mount it there too."
        return None

    def _unlocked(self) -> str | None:
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

    def _different(self) -> str | None:
        theirs = machine.versions()
        differ = [
            f"{name} {theirs.get(name, 'missing')} (here {self.versions.get(name, 'missing')})"
            for name in sorted(theirs.keys() | self.versions.keys())
            if theirs.get(name) != self.versions.get(name)
        ]
        if not differ:
            return None
        return f"has {', '.join(differ)}: install the same there, and start its worker again."

    def _means_others(self) -> str | None:
        """Another runner or loader would make other artifacts than the ledger says."""
        theirs = preferred_plugins()
        for name, ours in self.preferred_plugins.items():
            if theirs.get(name) != ours:
                return (
                    f"has {name}={theirs.get(name, '')!r} in its environment (here {ours!r}): set "
                    "the same there, and start its worker again."
                )
        return None


class ClusterConnection(BaseModel):
    """What the process of a step is told, to have its parts done by a cluster's workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    """Of the scheduler."""
    requirements: WorkerRequirements
    """Which all workers know already."""
    tls: TlsFiles | None = None
    """Certificates for talking to it."""


@contextmanager
def required(workspace: Workspace, reads: Sequence[Path]) -> Generator[WorkerRequirements]:
    """Put a sign into the workspace for as long as the block lasts."""
    token = uuid4().hex
    sign, lock = workspace.root / "cluster" / f"{token}.txt", workspace.lock(f"cluster-{token}")
    write_atomically(sign, token.encode())
    try:
        with FileLock(lock):
            yield WorkerRequirements(
                sign, token, lock, tuple(reads), machine.versions(), preferred_plugins()
            )
    finally:
        sign.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
