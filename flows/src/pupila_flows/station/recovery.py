"""Runs that were under way when their station ended: they would hold the pool's only place."""

from __future__ import annotations

from typing import Any

from pupila_flows.station.api import Api
from pupila_flows.station.deployments import POOL


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
