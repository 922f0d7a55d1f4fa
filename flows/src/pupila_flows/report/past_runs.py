"""Finds past runs of a workspace by name, folder or time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from pupila.errors import PupilaError, join_names, nearest
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

RESULT = "result.json"
REPORT_NAME = "report.html"
METRICS_NAME = "sweep.csv"


def find_run(workspace: Workspace, run: str | None = None) -> Path:
    """Return the folder of a finished run.

    `run` is the folder itself, the name of a recipe for its latest run, or a name and the start of
    a time, as in `clinic/20261130`. Without it, the latest run of the workspace is taken.

    Raises:
        PupilaError: there is no such run, or it has not finished.
    """
    if run is not None and (Path(run) / RESULT).is_file():
        return Path(run)
    folders = finished_runs(workspace)
    chosen = folders if run is None else [path for path in folders if _is_called(path, run)]
    if chosen:
        return max(chosen, key=lambda folder: folder.name)
    if run is not None and Path(run).is_dir():
        raise PupilaError(
            f"No readable result of a run in {str(Path(run) / RESULT)!r}: give the folder of a "
            f"finished run, or the name of its recipe."
        )
    if not folders:
        raise PupilaError(f"No run in {workspace.root} yet: `pupila run RECIPE` makes one.")
    names = sorted({folder.parent.name for folder in folders})
    raise PupilaError(
        f"No run {run!r} in {workspace.root}.{nearest(str(run), names)} There are runs of "
        f"{join_names(names)}; `pupila runs` lists them."
    )


def finished_runs(workspace: Workspace) -> list[Path]:
    """Return the folders of all finished runs, by name and then from old to new."""
    return [folder for folder in workspace.run_folders() if (folder / RESULT).is_file()]


def read_result(folder: Path) -> RunResult:
    """Return the result of a run.

    Raises:
        PupilaError: it was written by a version of Pupila that this one does not understand.
    """
    try:
        return RunResult.model_validate_json((folder / RESULT).read_bytes())
    except ValidationError as error:
        raise PupilaError(
            f"{str(folder / RESULT)!r} was written by another version of Pupila: "
            f"{error.error_count()} of its values are not as expected. Run the recipe again."
        ) from None


def read_results(workspace: Workspace, name: str | None = None) -> Iterator[tuple[Path, RunResult]]:
    """Yield the runs of a recipe's name, or all, from new to old; unreadable ones are left out."""
    for folder in sorted(finished_runs(workspace), key=lambda path: path.name, reverse=True):
        if name in (None, folder.parent.name):
            try:
                yield folder, read_result(folder)
            except PupilaError:
                continue


def _is_called(folder: Path, run: str) -> bool:
    name, _, time = run.partition("/")
    return folder.parent.name == name and (time == "latest" or folder.name.startswith(time))
