"""`pupila runs`, `open`, `compare` and `export`: to get at the results of past runs."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.options import HERE, AsJson, PastRun, WorkspaceFolder

if TYPE_CHECKING:
    from pupila_flows.results import RunResult

Run = Annotated[str, PastRun]


def list_runs(
    name: Annotated[
        str | None, typer.Argument(help="Name of a recipe; by default all.", show_default=False)
    ] = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """List the runs of a workspace, the latest first, with their verdicts."""
    from pupila_flows.report.past_runs import find_run, read_results
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    if name:
        find_run(opened, name)  # says which names there are, if there is none of this name
    rows = [_run_row(folder, result) for folder, result in read_results(opened, name)]
    if as_json:
        print(json.dumps({"runs": rows}))
    elif rows:
        print_table([{key: row[key] for key in row if key != "folder"} for row in rows])
    else:
        say(f"No run in {opened.root} yet: `pupila run RECIPE` makes one.")


def _run_row(folder: Path, result: RunResult) -> dict[str, str]:
    from pupila_flows.report import formatting
    from pupila_flows.report.verdict import headline_of

    gate = result.gate.verdict.upper() if result.gate else "no gate"
    return {
        "run": f"{folder.parent.name}/{folder.name}",
        "took": formatting.duration(result.seconds),
        "gate": gate,
        "result": headline_of(result, folder),
        "folder": str(folder),
    }


def open_report(
    run: Annotated[str | None, PastRun] = None,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Open the report of a run in the browser, by default that of the latest run."""
    from pupila.errors import PupilaError
    from pupila_flows.report.past_runs import find_run
    from pupila_flows.workspace import Workspace

    folder = find_run(Workspace.at(workspace), run)
    report = (folder / "report.html").resolve()
    if not report.is_file():
        raise PupilaError(f"The run {str(folder)!r} has no report: `pupila report {folder}`.")
    say(report)
    if not webbrowser.open(report.as_uri()):
        say("No browser could be started here: open that file in one.", file=sys.stderr)


def compare(
    before: Run, after: Run, workspace: WorkspaceFolder = HERE, as_json: AsJson = False
) -> None:
    """Compare two runs: settings, sizes and figures, with paired intervals on the same images."""
    from pupila_flows.report.comparison import compare_runs
    from pupila_flows.report.past_runs import find_run
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    comparison = compare_runs(find_run(opened, before), find_run(opened, after))
    if as_json:
        print(comparison.model_dump_json())
        return
    for line in comparison.lines:
        say(line)
    print_table(comparison.rows)


def export(
    run: Run,
    step: Annotated[str, typer.Argument(help="Name of a step or teacher.", show_default=False)],
    destination: Annotated[
        Path,
        typer.Argument(metavar="DEST", help="A new folder for the model.", show_default=False),
    ],
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Copy the model of a step out of a run, with its card."""
    from pupila_flows.report.past_runs import find_run
    from pupila_flows.run.export_model import export_model
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    for path in export_model(opened, find_run(opened, run), step, destination):
        say(path)
