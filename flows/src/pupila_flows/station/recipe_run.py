"""Runs one recipe, with a Prefect server that ends with this process if the user has none."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pupila_flows.recipe.overrides import Changes
from pupila_flows.station.prefect_log import log_to
from pupila_flows.station.temporary import TemporaryServer
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


def run_recipe(
    recipe: Path,
    changes: Changes,
    workspace: Workspace,
    say: Callable[[str], None],
    *,
    sweeps: bool = False,
) -> FinishedRun:
    """Run or sweep a recipe, and return where its result is; call it once in a process.

    Prefect records the run on the server at `PREFECT_API_URL`, or else on a temporary one. Prefect
    must not be imported yet. `say` gets a sentence if the temporary server is slow to start.

    Raises:
        PupilaError: the recipe or the data is invalid; nothing was trained.
    """
    workspace.configure_prefect()
    with workspace.writing(), log_to(workspace.root / "logs" / "prefect.log"):
        server = None if os.environ.get("PREFECT_API_URL") else TemporaryServer(workspace)
        from pupila_flows.run.flow import RunFailed, compress, sweep

        if server:
            server.wait(say)
        flow = sweep if sweeps else compress
        try:
            return FinishedRun(Path(flow(str(recipe.resolve()), str(workspace.root), changes)))
        except RunFailed as failure:
            return FinishedRun(failure.result, failed=True, broken=failure.broken)
