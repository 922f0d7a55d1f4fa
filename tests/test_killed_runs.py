"""A run, its server and its children, killed at any moment: nothing stays, nothing is lost."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from terminal import InTerminal, in_terminal, wait_until

from pupila.store import Store
from pupila.testing import draw_images

pytestmark = pytest.mark.long

RECIPE = """\
name: small
data: {path: images}
steps:
  pupil:
    use: train
    with: {student: conv-32-64-8, size: 32, epochs: 8, patience: 8, augmentation: {views: 2}}
  tflite: {use: export-tflite, from: pupil}
"""
VICTIMS = ("run", "server", "child")
LONGEST_SECONDS = 30.0
"""After the beginning of a run, within which it is killed: most last longer."""


@pytest.mark.parametrize("seed", range(4))
def test_of_a_run_that_is_killed_nothing_stays_and_the_same_command_completes(
    tmp_path: Path, seed: int
):
    draw_images(tmp_path / "images", images=20)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    chance = random.Random(seed)
    for victim in chance.sample(VICTIMS, 3):
        with in_terminal(tmp_path, "run", "recipe.yaml") as command:
            _kill(command, victim, chance.uniform(0, LONGEST_SECONDS))
            _wait_for_the_end(command, victim)
    with in_terminal(tmp_path, "run", "recipe.yaml") as command:
        shown = command.end(400)
        assert command.process.returncode == 0, shown
        assert command.processes() == []
    store = Store(tmp_path / ".pupila" / "store")
    for artifact in (store.root / "objects").iterdir():
        store.open(artifact.name)


def _kill(command: InTerminal, victim: str, after_seconds: float) -> None:
    """Kill the run or one of its processes, at that moment or as soon as there is one."""
    moment = time.monotonic() + after_seconds
    wait_until(lambda: command.heeds_signals)
    while command.process.poll() is None:
        processes = _processes_of(command, victim)
        if processes and time.monotonic() > moment:
            with suppress(psutil.NoSuchProcess):
                processes[0].kill()
                return
        time.sleep(0.1)


def _processes_of(command: InTerminal, victim: str) -> list[psutil.Process]:
    if victim == "run":
        return [psutil.Process(command.process.pid)]
    module = {"server": "pupila_flows.station.server", "child": "pupila_flows.execution.child"}
    return [process for process in command.processes() if module[victim] in _command_line(process)]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _wait_for_the_end(command: InTerminal, victim: str) -> None:
    """Wait until nothing of a run is left: at once, unless it can do without what was killed."""
    shown = command.end(10 if victim == "run" else 400)
    # a server that is killed before it has answered is not started again
    expected = {"run": {-signal.SIGKILL}, "server": {2}, "child": {0}}[victim]
    assert command.process.returncode in expected | {0}, shown
    assert "Traceback" not in shown
    wait_until(lambda: not command.processes(), 5)
