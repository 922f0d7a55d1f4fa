"""Runs that only the server takes for under way: they would hold the pool's only place."""

from __future__ import annotations

import time
from typing import Any

from pupila_flows.station.api import Api
from pupila_flows.station.deployments import POOL, WORKER
from pupila_flows.station.supervisor import flow_runs_of


def under_way(api: Api) -> list[dict[str, Any]]:
    """Return the pool's runs that have begun and not ended.

    Raises:
        OSError: the server does not answer.
    """
    wanted = {
        "work_pools": {"name": {"any_": [POOL]}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}},
    }
    return api.post("/flow_runs/filter", wanted)


def take_up(api: Api) -> list[str]:
    """Let runs whose processes are gone be run again, from their checkpoints; return their names.

    One that was being cancelled is cancelled. To be called while no worker of the pool is up.

    Raises:
        OSError: the server does not answer.
    """
    found = under_way(api)
    for run in found:
        cancelled = run["state"]["type"] == "CANCELLING"
        state = {
            "type": "CANCELLED" if cancelled else "SCHEDULED",
            "name": "Cancelled" if cancelled else "AwaitingRetry",
            "message": "Its worker was ended while it was under way.",
        }
        api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return [run["name"] for run in found if run["state"]["type"] != "CANCELLING"]


class LostRuns:
    """Ends runs whose process is gone and told nobody: both it and its worker were killed, say."""

    def __init__(self, api: Api, mark: str, patience_seconds: float = 30.0) -> None:
        self._api, self._mark, self._patience = api, mark, patience_seconds
        self._missed: dict[str, float] = {}
        """Since when no process of a run was seen, by the run's id."""

    def end(self) -> list[str]:
        """End what has had no process for so long, and return the names of these runs.

        With a worker on another machine, none is ended: its processes cannot be seen from here.

        Raises:
            OSError: the server does not answer.
        """
        found = under_way(self._api)
        alive = flow_runs_of(self._mark) if found else set[str]()
        now = time.monotonic()
        missing = [run for run in found if run["id"] not in alive]
        self._missed = {run["id"]: self._missed.get(run["id"], now) for run in missing}
        lost = [run for run in missing if now - self._missed[run["id"]] >= self._patience]
        if not lost or self._has_other_workers():
            return []
        for run in lost:
            _end(self._api, run)
        return [run["name"] for run in lost]

    def _has_other_workers(self) -> bool:
        workers = self._api.post(f"/work_pools/{POOL}/workers/filter", {})
        return any(each["status"] == "ONLINE" and each["name"] != WORKER for each in workers)


def _end(api: Api, run: dict[str, Any]) -> None:
    cancelled = run["state"]["type"] == "CANCELLING"
    state = {
        "type": "CANCELLED" if cancelled else "CRASHED",
        "name": "Cancelled" if cancelled else "Crashed",
        "message": "Its process ended and told nobody why: it was killed, by a lack of memory most "
        "often. What was finished is kept: run it again.",
    }
    api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
