"""What a long step tells while it runs: a line in the terminal, all of it on Prefect's page."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import user_environment
from rich.console import Console

from pupila_flows.progress import (
    WHOLE,
    LogLines,
    Terminal,
    current_display,
    display_for,
    progress_line,
)

SEARCH = """
import time

from pydantic import BaseModel

from pupila_flows.execution.job import Job


class Found(BaseModel):
    found: int


class Search(Job[Found]):
    returns = Found

    def run(self, progress):
        for number in range(4):
            table = f"| model | accuracy |\\n|---|---:|\\n| c{number} | ![9](http://x/9) |"
            progress(number, 3, f"{number} candidates, best: <c{number}>\\n\\n{table}")
            time.sleep(0.3)
        return Found(found=3)
"""

RUN = """
import json, sys

from one_search import Search
from prefect import artifacts, flow
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
from pupila_flows.execution.session import session
from pupila_flows.run import prefect_tasks as tasks
from pupila_flows.workspace import Workspace

seen = []

def watched(artifact, **changes):
    seen.append(changes["description"])
    return artifacts.update_progress_artifact(artifact, **changes)

tasks.update_progress_artifact = watched
tasks._PROGRESS_ARTIFACT_SECONDS = 0.0

@flow
def run():
    workspace = Workspace.at(sys.argv[1])
    with session(workspace, 1):
        outcome = tasks.PrefectTasks().do(Search(workspace=workspace, title="found"))
        return outcome.result.value.model_dump()

if __name__ == "__main__":
    with prefect_test_harness(server_startup_timeout=120):
        value = run()
        with get_client(sync_client=True) as client:
            (artifact,) = client.read_artifacts()
    print(json.dumps([value, seen, artifact.type, artifact.data, artifact.description]))
"""


def table(number: int) -> str:
    return f"| model | accuracy |\n|---|---:|\n| c{number} | !\\[9\\](http://x/9) |"


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (
            (12, 40, "epochs, validation accuracy 0.944"),
            "12 of 40 epochs, validation accuracy 0.944",
        ),
        ((3, 8, "3 of 8 made"), "3 of 8 made"),
        ((0, 1, "starting"), "starting"),
        ((1, 3, "stages\n\n| a table |"), "1 of 3 stages"),
    ],
)
def test_a_line_says_how_much_is_done(report: tuple[int, int, str], line: str) -> None:
    assert progress_line(*report) == line


def test_a_terminal_shows_epoch_figure_and_time_left_in_eighty_columns() -> None:
    shown = io.StringIO()
    terminal = Terminal(Console(file=shown, force_terminal=True, width=80))
    with terminal.shown():
        terminal.update("glaucoma-pupil", 0, 1, "starting")
        for epoch in (1, 2):
            time.sleep(0.2)
            terminal.update("glaucoma-pupil", epoch, 40, "epochs, validation accuracy 0.944")
        time.sleep(0.3)
    last = re.sub(r"\x1b\[[\d;?]*\w", "", shown.getvalue()).split("glaucoma-pupil")[-1]
    assert re.search(r"2 of 40 epochs, validation accuracy 0\.944 +\d+ s left", last)


def test_a_log_file_has_a_line_at_once_and_one_a_minute_for_each_running_job() -> None:
    written, minute = io.StringIO(), 0.4
    with LogLines(Console(file=written), seconds=minute).shown():
        display = current_display.get()
        display.update("pupil", 0, 1, "starting")
        display.update("check", 0, 1, "starting")
        display.finish("check", "[green]done[/] [dim]in 3 s[/]")
        for epoch in range(1, 4):
            display.update("pupil", epoch, 40, f"epochs, [bold]\x1b[2J 0.94{epoch}")
        time.sleep(2.5 * minute)
        display.finish("pupil", "[red]failed[/]")
        time.sleep(1.5 * minute)
    lines = written.getvalue().splitlines()
    assert lines[:3] == ["pupil: starting", "check: starting", "check done in 3 s"]
    assert [line.partition(r"\x1b")[0] for line in lines[3:-1]] == [
        "pupil: 3 of 40 epochs, [bold]"
    ] * 2
    assert all(line.endswith(" left") for line in lines[3:-1])
    assert lines[-1] == "pupil failed"


def test_no_time_is_said_to_be_left_of_a_whole_graph_whose_steps_take_unlike_times() -> None:
    written, minute = io.StringIO(), 0.2
    with LogLines(Console(file=written), seconds=minute).shown():
        for done in (1, 2):
            current_display.get().update(WHOLE, done, 8, f"{done} of 8 made")
            time.sleep(1.2 * minute)
    lines = ["all steps: 1 of 8 made", "all steps: 1 of 8 made", "all steps: 2 of 8 made"]
    assert written.getvalue().splitlines() == lines


def test_progress_is_drawn_in_a_terminal_and_written_in_lines_elsewhere() -> None:
    for terminal, kind in ((True, Terminal), (False, LogLines)):
        console = Console(file=io.StringIO(), force_terminal=terminal)
        with display_for(console):
            assert isinstance(current_display.get(), kind)


def test_a_terminal_shows_the_line_without_the_table() -> None:
    shown = io.StringIO()
    terminal = Terminal(Console(file=shown, force_terminal=True, width=120))
    with terminal.shown():
        terminal.update("found", 1, 3, f"1 candidates, best: c1\n\n{table(1)}")
    assert "1 candidates, best: c1" in shown.getvalue()
    assert "accuracy" not in shown.getvalue()


@pytest.mark.long
def test_prefect_shows_the_latest_table_and_keeps_it_when_the_step_is_done(tmp_path: Path) -> None:
    (tmp_path / "one_search.py").write_text(SEARCH)
    (tmp_path / "run.py").write_text(RUN)
    environment = user_environment()
    done = subprocess.run(
        [sys.executable, tmp_path / "run.py", tmp_path / "place"],
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    value, seen, kind, percent, description = json.loads(done.stdout.splitlines()[-1])
    assert value == {"found": 3}
    messages = [
        f"found: {number} candidates, best: \\<c{number}\\>\n\n{table(number)}"
        for number in (1, 2, 3)
    ]
    assert seen[:-1] == messages
    assert (kind, percent) == ("progress", 100)
    assert description == seen[-1] == f"found: done\n\n{table(3)}"
