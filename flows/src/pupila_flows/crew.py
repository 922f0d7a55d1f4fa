"""Parts of a step on the cluster that the step itself runs on.

The step's own process is the one that waits for them: they are wanted for as long as it lives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from pupila.plugin import PartFailed
from pupila_flows import cluster
from pupila_flows.admission import Admission
from pupila_flows.child import ChildFailed
from pupila_flows.errand import Errand
from pupila_flows.workspace import Workspace


class Invitation(BaseModel):
    """What the process of a step is told, to have its parts done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    """Of the scheduler."""
    admission: Admission
    """Which all workers know already."""


def spread(errand: Errand, there: cluster.Cluster) -> Errand:
    """Return the errand of a step that has its parts done there too."""
    invitation = Invitation(address=there.address, admission=there.admission)
    arguments = errand.arguments | {"invitation": invitation.model_dump(mode="json")}
    return replace(errand, arguments=arguments, waits=True)


class DaskCrew:
    """Has parts of one step done by the workers of a cluster, to which it connects when asked."""

    def __init__(
        self, place: Workspace, key: str, title: str, invitation: Invitation, until: ExitStack
    ) -> None:
        self._place, self._key, self._title = place, key, title
        self._invitation, self._until = invitation, until
        self._lock = threading.Lock()
        self._cluster: cluster.Cluster | None = None

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Have a worker call a function; see `pupila.plugin.Crew`."""
        locks = self._place.scratch(self._key) / ".parts"
        locks.mkdir(exist_ok=True)
        errand = Errand(
            target=target,
            arguments=arguments,
            log=self._place.log(f"{self._title}-{name}", self._key),
            timeout_seconds=None,
            wanted=self._place.lock(f"{self._key}-try"),
            alone=locks / f"{name}.lock",
        )
        try:
            return self._connected().call(errand, _untold)
        except cluster.ClusterLost:
            raise
        except ChildFailed as error:
            raise PartFailed(str(error)) from error

    def _connected(self) -> cluster.Cluster:
        with self._lock:
            if self._cluster is None:
                self._cluster = self._until.enter_context(
                    cluster.connected(self._invitation.address, self._invitation.admission)
                )
            return self._cluster


@contextmanager
def crew(
    place: Workspace, key: str, title: str, invitation: dict[str, Any] | None
) -> Generator[DaskCrew | None]:
    """Yield who does the parts of a step, if it was invited to have them done."""
    if invitation is None:
        yield None
        return
    with ExitStack() as until:
        yield DaskCrew(place, key, title, Invitation.model_validate(invitation), until)


def _untold(done: int, total: int, what: str) -> None:
    """Leave it to the step to tell its progress."""
