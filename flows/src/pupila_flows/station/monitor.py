"""Says what a station's server does: runs that begin and end, and nights that went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

from pupila_flows.station.api import Api

_LIMIT = 50
_FIRED = "prefect.automation.triggered"


class Watch:
    """Remembers what was told, so that everything is told once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._began = datetime.now(UTC).isoformat()
        self._states: dict[str, str] = {}
        self._since = self._began
        self._events: set[str] = set()
        """Events of the moment `_since` that were told."""
        self._names: dict[str, str] = {}

    def news(self) -> Iterator[str]:
        """Yield a line for each thing that has happened since the last time.

        What was not yet yielded when the server went away is yielded the next time.

        Raises:
            OSError: the server does not answer.
        """
        yield from self._runs()
        yield from self._fired()

    def _runs(self) -> Iterator[str]:
        wanted = {
            "sort": "START_TIME_DESC",
            "limit": _LIMIT,
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
        }
        for run in reversed(self._api.post("/flow_runs/filter", wanted)):
            known = self._states.get(run["id"])
            now = f"{run['state']['name']} {run['state']['timestamp']}"
            if now == known or (known is None and run["state"]["timestamp"] < self._began):
                continue
            message = run["state"].get("message") or ""
            yield f"{self._title(run)}: {run['state']['name']}{f' - {message}' if message else ''}"
            self._states[run["id"]] = now

    def _title(self, run: dict[str, Any]) -> str:
        deployment = run.get("deployment_id")
        if deployment and deployment not in self._names:
            self._names[deployment] = self._name(deployment)
        return f"{self._names.get(deployment or '', 'run')} {run['name']!r}"

    def _name(self, deployment: str) -> str:
        try:
            return self._api.get(f"/deployments/{deployment}")["name"]
        except HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return "run"  # of a deployment that has been deleted since

    def _fired(self) -> Iterator[str]:
        """Yield automations that fired, those of the template among them, a page at a time."""
        while True:
            wanted = {
                "filter": {
                    "event": {"name": [_FIRED]},
                    "occurred": {"since": self._since},
                    "order": "ASC",
                },
                "limit": _LIMIT,
            }
            found = self._api.post("/events/filter", wanted)["events"]
            news = [event for event in found if event["id"] not in self._events]
            for event in news:
                yield f"automation {event['resource'].get('prefect.resource.name')!r} fired"
                self._note(event)
            if len(found) < _LIMIT or not news:
                return

    def _note(self, event: dict[str, Any]) -> None:
        if event["occurred"] != self._since:
            self._since = event["occurred"]
            self._events.clear()
        self._events.add(event["id"])
