"""Parts of a step on the cluster that the step itself runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from pupila.errors import PupilaError
from pupila.step import PartFailed
from pupila_flows.execution import dask as cluster
from pupila_flows.execution.call import Errand
from pupila_flows.execution.child import ChildFailed, name_of
from pupila_flows.execution.worker_check import Admission
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
    """Has parts of one step done by the workers of a cluster, to which it connects when asked.

    They are wanted until this process ends, or `until` is closed.
    """

    def __init__(
        self, place: Workspace, key: str, title: str, invitation: Invitation, until: ExitStack
    ) -> None:
        self._invitation, self._until = invitation, until
        self._place, self._key, self._title = place, key, title
        self._locks = place.scratch(key) / ".parts"
        self._locks.mkdir(exist_ok=True)
        self._wanted = self._locks / f"{uuid4().hex}.wanted"
        until.enter_context(FileLock(self._wanted))
        self._connecting = threading.Lock()
        self._cluster: cluster.Cluster | None = None

    def call(
        self, name: str, target: Callable[..., dict[str, Any]], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Have a worker call a function; see `pupila.step.Crew`."""
        errand = Errand(
            target=name_of(target),
            arguments=arguments,
            log=self._place.log(f"{self._title}-{name}", self._key),
            timeout_seconds=None,
            wanted=self._wanted,
            alone=self._locks / f"{name}.lock",
        )
        there = self._connected()
        try:
            try:
                return there.call(errand, _untold)
            except cluster.CrashedThere as crash:  # the machine may be at fault: ask another
                return there.call(errand, _untold, but=crash.worker)
        except cluster.Closed as error:  # not by the run, which this process would not survive
            raise cluster.ClusterLost(str(error)) from error
        except cluster.ClusterLost:
            raise
        except ChildFailed as error:
            raise PartFailed(str(error)) from error

    def _connected(self) -> cluster.Cluster:
        with self._connecting:
            if self._cluster is None:
                there = self._invitation
                try:
                    self._cluster = self._until.enter_context(
                        cluster.connected(there.address, there.admission)
                    )
                except PupilaError as error:  # it has just been there: the step is tried again
                    raise cluster.ClusterLost(str(error)) from error
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
