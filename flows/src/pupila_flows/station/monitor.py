"""Reports events on a station's server: runs that change state, and automations that fire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

from pupila_flows.station.api import Api

_LIMIT = 50
_FIRED = "prefect.automation.triggered"


class Monitor:
    """Reports each event on a server once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._began = datetime.now(UTC).isoformat()
        self._states: dict[str, str] = {}
        self._since = self._began
        self._events: set[str] = set()
        """Events at the time `_since` that were already reported."""
        self._names: dict[str, str] = {}

    def news(self) -> Iterator[str]:
        """Yield a line of text for each event since the last call.

        If the server stops answering, the next call yields the remaining events.

        Raises:
            OSError: the server does not answer.
        """
        yield from self._runs()
        yield from self._fired()

    def _runs(self) -> Iterator[str]:
        query = {
            "sort": "START_TIME_DESC",
            "limit": _LIMIT,
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
        }
        for run in reversed(self._api.post("/flow_runs/filter", query)):
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
            return "run"  # its deployment was deleted

    def _fired(self) -> Iterator[str]:
        """Yield automations that fired, a page at a time."""
        while True:
            query = {
                "filter": {
                    "event": {"name": [_FIRED]},
                    "occurred": {"since": self._since},
                    "order": "ASC",
                },
                "limit": _LIMIT,
            }
            events = self._api.post("/events/filter", query)["events"]
            news = [event for event in events if event["id"] not in self._events]
            for event in news:
                yield f"automation {event['resource'].get('prefect.resource.name')!r} fired"
                self._note(event)
            if len(events) < _LIMIT or not news:
                return

    def _note(self, event: dict[str, Any]) -> None:
        if event["occurred"] != self._since:
            self._since = event["occurred"]
            self._events.clear()
        self._events.add(event["id"])
