"""Tells Prefect that a teacher was retrained; what depends on it is run by a trigger."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from pupila.errors import PupilaError
from pupila_flows.station.api import Api
from pupila_flows.teachers import StoredTeacher

RETRAINED = "pupila.teacher.retrained"


def resource_id(teacher: str) -> str:
    """Return the name by which Prefect's triggers know a teacher."""
    return f"pupila.teacher.{teacher}"


def tell_retrained(api: Api, teacher: StoredTeacher) -> None:
    """Emit `pupila.teacher.retrained`.

    Unlike Prefect's `emit_event`, which sends in a thread of its own, this tells whether it
    arrived.

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
            f"The Prefect server at {api.url!r} was not told of teacher {teacher.name!r}: {error}. "
            "The teacher is in the store; start the deployment that depends on it by hand."
        ) from None
