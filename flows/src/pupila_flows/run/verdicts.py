"""Compares a run's verdicts with the previous run's, and emits changes as Prefect events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pupila_flows.results import RunResult
from pupila_flows.run.best_effort import best_effort
from pupila_flows.run.orchestrator import Orchestrator

VERDICT_CHANGED = "pupila.verdict.changed"


def resource_id(recipe: str) -> str:
    """Return the resource id of a recipe in Prefect's events and triggers."""
    return f"pupila.recipe.{recipe}"


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of one run's gate."""

    run: str
    """`pass`, `fail`, `inconclusive`, or `withheld`: the run passed but was not published."""
    artifacts: Mapping[str, str]
    """Verdict on each artifact, by the name of its entry."""

    @classmethod
    def read(cls, file: Path) -> Verdicts | None:
        """Read the verdicts in a `result.json`, which any version of Pupila may have written.

        Return None if the run had no gate, or if the file is damaged.
        """
        value = _mapping_in(file)
        gate: dict[str, Any] | None = value.get("gate")
        if not gate:
            return None
        publication: dict[str, Any] = value.get("publication") or {}
        withheld = gate["verdict"] == "pass" and publication.get("outcome") == "withheld"
        artifacts = {artifact["entry"]: artifact["verdict"] for artifact in gate["artifacts"]}
        return cls("withheld" if withheld else gate["verdict"], artifacts)

    def since(self, before: Verdicts) -> list[str]:
        """Return a line for each verdict that has changed since `before`.

        A verdict on an artifact that `before` does not have is not a change.
        """
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
    """Return the verdicts of the last earlier run of the recipe that had a gate; None if none had.

    `file` is the `result.json` of this run. Runs of one recipe are sibling folders, named by their
    start time.
    """
    runs = sorted(file.parent.parent.glob("*/result.json"), reverse=True)
    earlier = (result for result in runs if result.parent.name < file.parent.name)
    return next((verdicts for result in earlier if (verdicts := Verdicts.read(result))), None)


def emit_change(orchestrator: Orchestrator, result: RunResult, file: Path) -> None:
    """Emit the event `pupila.verdict.changed` if a verdict differs from the previous run's.

    `file` is the `result.json` of this run. Prefect adds the flow run to the event, and the
    deployment and the tags of the flow run.
    """
    now, before = Verdicts.read(file), verdicts_before(file)
    changed = now.since(before) if now and before else []
    if not changed:
        return
    message = f"{result.name}: the verdict of the gate has changed: {'; '.join(changed)}."
    resource = {
        "prefect.resource.id": resource_id(result.name),
        "prefect.resource.name": result.name,
    }
    with best_effort(message):
        orchestrator.emit(VERDICT_CHANGED, resource, {"message": message, "result": str(file)})
