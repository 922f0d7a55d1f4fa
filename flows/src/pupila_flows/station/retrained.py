"""Emits a Prefect event after a teacher was retrained, which starts the runs that use it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from pupila.errors import PupilaError
from pupila_flows.station.api import Api
from pupila_flows.teachers import StoredTeacher

RETRAINED = "pupila.teacher.retrained"


def resource_id(teacher: str) -> str:
    """Return the resource id of a teacher in Prefect's events and triggers."""
    return f"pupila.teacher.{teacher}"


def emit_retrained(api: Api, teacher: StoredTeacher) -> None:
    """Emit the event `pupila.teacher.retrained` for this teacher.

    Prefect's `emit_event` sends an event in a background thread, and does not say whether the event
    arrived. This function raises an error if the event does not arrive.

    Raises:
        PupilaError: the server does not answer, or refuses.
    """
    event = {
        "event": RETRAINED,
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {
            "prefect.resource.id": resource_id(teacher.name),
            "prefect.resource.name": teacher.name,
        },
        "payload": {
            "sha256": teacher.record.sha256,
            "version": teacher.version,
            "path": str(teacher.path),
        },
    }
    try:
        api.post("/events", [event])
    except OSError as error:
        raise PupilaError(
            f"The Prefect server at {api.url!r} did not get the event of teacher "
            f"{teacher.name!r}: {error}. "
            "The teacher is in the store; start the deployment that depends on it by hand."
        ) from None
