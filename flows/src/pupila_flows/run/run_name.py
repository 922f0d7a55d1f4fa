"""Names a run in Prefect after its recipe, its changes and its time."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from pupila_flows.plan.plan import Plan
from pupila_flows.printable import printable
from pupila_flows.recipe.differences import Change, setting_changes
from pupila_flows.recipe.source import read_source
from pupila_flows.report.formatting import shortened
from pupila_flows.run.best_effort import best_effort

_CHANGES = 3
"""Largest number of changes in a name; further changes are only counted."""
_CHARACTERS = 40
"""Largest number of characters of a setting, and of its value."""


def name_run(plan: Plan) -> None:
    """Give the current flow run the name of its recipe, its changes and its time."""
    context = FlowRunContext.get()
    flow_run = context and context.flow_run
    if flow_run is None:
        return
    with best_effort("the name of the run"), get_client(sync_client=True) as client:
        started = flow_run.expected_start_time or datetime.now(UTC)
        changes = setting_changes(read_source(plan.file).text, plan.text)
        flow_run.name = run_name(plan.recipe.name, changes, started)
        client.set_flow_run_name(flow_run.id, flow_run.name)


def run_name(recipe: str, changes: list[Change], started: datetime) -> str:
    """Return a run's name: `glaucoma pupil.epochs=4, seed=3, 2026-11-30 02:00`, in UTC."""
    shown = [_short(change) for change in changes[:_CHANGES]]
    left = len(changes) - len(shown)
    parts = [*shown, *([f"{left} more"] if left else []), f"{started.astimezone(UTC):%F %R}"]
    return printable(f"{recipe} {', '.join(parts)}")


def _short(change: Change) -> str:
    """Return a change as `pupil.epochs=4`."""
    name = change.what.removeprefix("steps.").replace(".with.", ".", 1)
    return f"{shortened(name, _CHARACTERS)}={shortened(change.after, _CHARACTERS)}"
