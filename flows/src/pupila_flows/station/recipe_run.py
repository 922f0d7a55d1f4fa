"""Runs one recipe, with a Prefect server that ends with this process if the user has none."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pupila_flows.recipe.overrides import Changes
from pupila_flows.station.prefect_log import log_to
from pupila_flows.station.temporary import TemporaryServer
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended, in whatever way."""

    path: Path
    """The file `result.json`."""
    failed: bool = False
    """Whether a part of it failed, or an artifact failed the gate."""
    broken: tuple[str, ...] = ()
    """What failed apart from the gate, one sentence each."""
    unchanged: bool = False
    """Whether nothing has changed since this run, so that no other was made."""


def run_recipe(
    recipe: Path,
    changes: Changes,
    workspace: Workspace,
    say: Callable[[str], None],
    *,
    sweeps: bool = False,
) -> FinishedRun:
    """Run or sweep a recipe, and return where its result is; call it once in a process.

    Prefect records the run on the server at `PREFECT_API_URL`, or else on a temporary one, unless
    nothing has changed since the last run. Prefect must not be imported yet. `say` gets a sentence
    if the temporary server is slow to start.

    Raises:
        PupilaError: the recipe or the data is invalid; nothing was trained.
    """
    recipe = recipe.resolve()
    recorded = bool(os.environ.get("PREFECT_API_URL"))
    last = None if recorded else _last_if_unchanged(recipe, changes, workspace, sweeps=sweeps)
    if last is not None:
        return last
    workspace.configure_prefect()
    with workspace.writing(), log_to(workspace.root / "logs" / "prefect.log"):
        server = None if recorded else TemporaryServer(workspace)
        from pupila_flows.run.flow import compress, sweep
        from pupila_flows.run.stages import RunFailed

        if server:
            server.wait(say)
        flow = sweep if sweeps else compress
        try:
            return FinishedRun(Path(flow(str(recipe), str(workspace.root), changes)))
        except RunFailed as failure:
            return FinishedRun(failure.result, failed=True, broken=failure.broken)


def _last_if_unchanged(
    recipe: Path, changes: Changes, workspace: Workspace, *, sweeps: bool
) -> FinishedRun | None:
    """Return the last run of a recipe if a new one would find the same, else None."""
    from pupila_flows.plan.expand import nodes_of
    from pupila_flows.plan.reading import read_plan
    from pupila_flows.results import RunResult
    from pupila_flows.run.gate import gate_failures
    from pupila_flows.run.recall import unchanged_run

    store = TeacherStore.of(workspace.root)
    plan = read_plan(recipe, changes=changes, teacher_store=store, cache=workspace.cache)
    with workspace.writing():
        path = unchanged_run(plan, nodes_of(plan, swept=sweeps), workspace, swept=sweeps)
    if path is None:
        return None
    result = RunResult.model_validate_json(path.read_text())
    return FinishedRun(path, failed=bool(gate_failures(result.gate)), unchanged=True)
