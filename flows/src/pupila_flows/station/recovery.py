"""Resumes or ends runs whose process has died.

The station's work pool runs one flow at a time, so a run without a process would block all others.
"""

from __future__ import annotations

import time
from typing import Any

from pupila_flows.station.api import Api
from pupila_flows.station.deployments import POOL, WORKER
from pupila_flows.station.supervisor import flow_runs_of


def unfinished_runs(api: Api) -> list[dict[str, Any]]:
    """Return the runs of the station's work pool that are pending, running or being cancelled.

    Raises:
        OSError: the server does not answer.
    """
    query = {
        "work_pools": {"name": {"any_": [POOL]}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}},
    }
    return api.post("/flow_runs/filter", query)


def resume(api: Api) -> list[str]:
    """Reschedule runs whose processes are gone, and return their names.

    The runs continue from their checkpoints. A run that was being cancelled is marked as cancelled;
    its name is not returned. Call this only while no worker of the pool is up.

    Raises:
        OSError: the server does not answer.
    """
    runs = unfinished_runs(api)
    for run in runs:
        cancelled = run["state"]["type"] == "CANCELLING"
        state = {
            "type": "CANCELLED" if cancelled else "SCHEDULED",
            "name": "Cancelled" if cancelled else "AwaitingRetry",
            "message": "Its worker was ended while it was under way.",
        }
        api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return [run["name"] for run in runs if run["state"]["type"] != "CANCELLING"]


class InterruptedRuns:
    """Ends runs whose process died without reporting it, for example because it was killed."""

    def __init__(self, api: Api, mark: str, patience_seconds: float = 30.0) -> None:
        self._api, self._mark, self._patience = api, mark, patience_seconds
        self._missed: dict[str, float] = {}
        """Time since which a run has had no process, by the run's id."""

    def end(self) -> list[str]:
        """End runs that have had no process for `patience_seconds`, and return their names.

        If the work pool has other workers, end no run: a run without a process on this machine may
        have a process that another worker started elsewhere.

        Raises:
            OSError: the server does not answer.
        """
        runs = unfinished_runs(self._api)
        alive = flow_runs_of(self._mark) if runs else set[str]()
        now = time.monotonic()
        missing = [run for run in runs if run["id"] not in alive]
        self._missed = {run["id"]: self._missed.get(run["id"], now) for run in missing}
        ended = [run for run in missing if now - self._missed[run["id"]] >= self._patience]
        if not ended or self._has_other_workers():
            return []
        for run in ended:
            _end(self._api, run)
        return [run["name"] for run in ended]

    def _has_other_workers(self) -> bool:
        workers = self._api.post(f"/work_pools/{POOL}/workers/filter", {})
        return any(worker["status"] == "ONLINE" and worker["name"] != WORKER for worker in workers)


def _end(api: Api, run: dict[str, Any]) -> None:
    cancelled = run["state"]["type"] == "CANCELLING"
    state = {
        "type": "CANCELLED" if cancelled else "CRASHED",
        "name": "Cancelled" if cancelled else "Crashed",
        "message": "Its process ended without giving a reason: it was killed, most often for lack "
        "of memory. What was finished is kept: run it again.",
    }
    api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
