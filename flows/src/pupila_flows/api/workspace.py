"""The workspace that a caller names, or else the environment, or else `.pupila` in this folder."""

from __future__ import annotations

import os
from pathlib import Path

from pupila_flows.workspace import DEFAULT, VARIABLE, Workspace, check_workspace

PathLike = str | os.PathLike[str]


def open_workspace(folder: PathLike | None) -> Workspace:
    """Return the workspace in a folder; None is the one that the command line would take.

    Raises:
        PupilaError: there can be no workspace.
    """
    return Workspace.at(check_workspace(Path(folder or os.environ.get(VARIABLE) or DEFAULT)))
