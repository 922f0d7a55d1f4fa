"""The verdicts of a run beside those of the run before it; a change is an event of Prefect's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pupila_flows.results import RunResult
from pupila_flows.run.best_effort import best_effort

VERDICT_CHANGED = "pupila.verdict.changed"


def resource_id(recipe: str) -> str:
    """Return the name by which Prefect's triggers know a recipe."""
    return f"pupila.recipe.{recipe}"


@dataclass(frozen=True)
class Verdicts:
    """What the gate of one run says."""

    run: str
    """`pass`, `fail` or `inconclusive`; `withheld` where it passed and was not published."""
    artifacts: Mapping[str, str]
    """By entry."""

    @classmethod
    def read(cls, file: Path) -> Verdicts | None:
        """Return those of a `result.json`, of an earlier version too; None without a gate.

        A file that is damaged has none either: the figures of a past run are not made again.
        """
        value = _mapping_in(file)
        gate: dict[str, Any] | None = value.get("gate")
        if not gate:
            return None
        publication: dict[str, Any] = value.get("publication") or {}
        withheld = gate["verdict"] == "pass" and publication.get("outcome") == "withheld"
        artifacts = {each["entry"]: each["verdict"] for each in gate["artifacts"]}
        return cls("withheld" if withheld else gate["verdict"], artifacts)

    def since(self, before: Verdicts) -> list[str]:
        """Name what differs from the verdicts before; an artifact that is new is no change."""
        changed = [
            f"{entry}: {before.artifacts[entry]} → {verdict}"
            for entry, verdict in self.artifacts.items()
            if before.artifacts.get(entry, verdict) != verdict
        ]
        return changed if self.run == before.run else [f"{before.run} → {self.run}", *changed]


def _mapping_in(file: Path) -> dict[str, Any]:
    try:
        value: object = json.loads(file.read_text())
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def verdicts_before(file: Path) -> Verdicts | None:
    """Return the verdicts of the last run with a gate before the one whose `result.json` this is.

    Runs of one recipe lie side by side, in folders named by when they began.
    """
    runs = sorted(file.parent.parent.glob("*/result.json"), reverse=True)
    earlier = (each for each in runs if each.parent.name < file.parent.name)
    return next((found for each in earlier if (found := Verdicts.read(each))), None)


def tell_change(result: RunResult, file: Path) -> None:
    """Emit `pupila.verdict.changed` where the gate says otherwise than in the run before.

    Prefect adds the flow run, its deployment and tags to the event by itself.
    """
    now, before = Verdicts.read(file), verdicts_before(file)
    changed = now.since(before) if now and before else []
    if not changed:
        return
    from prefect.events import emit_event

    message = f"{result.name}: the verdict of the gate has changed: {'; '.join(changed)}."
    with best_effort(message):
        emit_event(
            VERDICT_CHANGED,
            resource={
                "prefect.resource.id": resource_id(result.name),
                "prefect.resource.name": result.name,
            },
            payload={"message": message, "result": str(file)},
        )
