"""Says what a station's server does: runs that begin and end, and nights that went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pupila_flows.station.api import Api

_LIMIT = 50
_FIRED = "prefect.automation.triggered"


class Watch:
    """Remembers what was told, so that everything is told once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._since = datetime.now(UTC).isoformat()
        self._states: dict[str, str] = {}
        self._events: set[str] = set()
        self._names: dict[str, str] = {}

    def news(self) -> list[str]:
        """Return a line for each thing that has happened since the last time.

        Raises:
            OSError: the server does not answer.
        """
        return [*self._runs(), *self._fired()]

    def _runs(self) -> Iterator[str]:
        wanted = {
            "sort": "START_TIME_DESC",
            "limit": _LIMIT,
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
        }
        for run in reversed(self._api.post("/flow_runs/filter", wanted)):
            known = self._states.get(run["id"])
            now = f"{run['state']['name']} {run['state']['timestamp']}"
            if now == known or (known is None and run["state"]["timestamp"] < self._since):
                continue
            self._states[run["id"]] = now
            message = run["state"].get("message") or ""
            yield f"{self._title(run)}: {run['state']['name']}{f' - {message}' if message else ''}"

    def _title(self, run: dict[str, Any]) -> str:
        deployment = run.get("deployment_id")
        if deployment and deployment not in self._names:
            self._names[deployment] = self._api.get(f"/deployments/{deployment}")["name"]
        return f"{self._names.get(deployment or '', 'run')} {run['name']!r}"

    def _fired(self) -> Iterator[str]:
        """Yield automations that fired, those of the template among them."""
        wanted = {
            "filter": {
                "event": {"name": [_FIRED]},
                "occurred": {"since": self._since},
                "order": "ASC",
            },
            "limit": _LIMIT,
        }
        for event in self._api.post("/events/filter", wanted)["events"]:
            if event["id"] not in self._events:
                self._events.add(event["id"])
                yield f"automation {event['resource'].get('prefect.resource.name')!r} fired"
