"""Links in the folder of a run, by which its artifacts are found by the names of their steps."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

LATEST = "latest"
"""Link to the latest run of a name, beside the folders of the runs."""


def link_artifacts(workspace: Workspace, result: RunResult, folder: Path) -> None:
    """Link each artifact of a run by its name into the run's folder, and the folder as the latest.

    The links are relative, so that the workspace can be moved. A name with a slash, which a sweep
    over paths makes, gets no link.
    """
    for entry in result.entries:
        link = folder / entry.name
        if entry.artifact is not None and link.parent == folder and not link.exists():
            _link(link, workspace.store.path_of(entry.artifact))
    _link(folder.parent / LATEST, folder)


def _link(link: Path, target: Path) -> None:
    """Make a relative link, in place of one that is there."""
    made = link.with_name(f".{uuid4().hex}")
    made.symlink_to(os.path.relpath(target.absolute(), link.parent.absolute()))
    made.replace(link)
