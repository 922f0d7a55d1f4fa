"""Ctrl-C in a real terminal, SIGTERM, and a terminal that is closed, at any moment of a command."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import CTRL_C, InTerminal, in_terminal, wait_until

from pupila.testing import draw_images

SENTENCE = "stopped; what was finished is kept, and the same command goes on.\r\n"
RECIPE = """\
name: small
data: {path: images}
steps:
  pupil:
    use: train
    with: {student: conv-32-64-8, size: 32, epochs: 60, patience: 60, augmentation: {views: 2}}
  tflite: {use: export-tflite, from: pupil}
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Way = Callable[[InTerminal], None]


def _signal(number: signal.Signals) -> Way:
    return lambda command: command.process.send_signal(number)


def _press_twice(command: InTerminal) -> None:
    command.press(CTRL_C)
    time.sleep(0.3)
    command.press(CTRL_C)


CTRL_C_ONCE: Way = lambda command: command.press(CTRL_C)  # noqa: E731 - a row of the table
WAYS = {
    "Ctrl-C": CTRL_C_ONCE,
    "Ctrl-C twice": _press_twice,
    "SIGTERM": _signal(signal.SIGTERM),
    "SIGHUP": _signal(signal.SIGHUP),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with images and a recipe."""
    folder = tmp_path_factory.mktemp("stopping")
    draw_images(folder / "images", images=20)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "work")


def assert_stops(
    command: InTerminal, way: Way, sentence: str = SENTENCE, seconds: float = 5
) -> None:
    """Stop a command, which then leaves nothing but a sentence, within the seconds."""
    assert command.process.poll() is None, command.shown()
    start, before = time.monotonic(), len(command.shown())
    way(command)
    shown = command.end(seconds + 25)[before:]
    took = time.monotonic() - start
    assert took < seconds, shown
    assert command.process.returncode == 130, shown
    wait_until(lambda: not command.processes(), seconds - took)
    last = shown.removesuffix("^C").rpartition("\x1b[?25h")[2]  # the cursor is to be seen again
    assert last == sentence, shown
    plain = _ESCAPES.sub("", shown)
    assert plain.count(sentence) == 1 and "Traceback" not in plain and "rror" not in plain, shown


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.2, 1])
def test_a_command_that_has_just_begun_stops_with_one_sentence(folder: Path, seconds: float):
    with in_terminal(folder, "run", "recipe.yaml") as command:
        wait_until(lambda: command.heeds_signals)
        time.sleep(seconds)
        assert_stops(command, CTRL_C_ONCE)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_data_checks_stop_with_one_sentence_and_end_what_they_have_started(folder: Path, way: Way):
    with in_terminal(folder, "validate", "images") as command:
        wait_until(lambda: command.child_of("CheckData") or command.process.poll() is not None)
        assert_stops(command, way)


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_command_and_what_it_has_started(folder: Path):
    with in_terminal(folder, "validate", "images") as command:
        wait_until(lambda: command.child_of("CheckData"))
        command.hang_up()
        assert command.process.wait(20) == 130
        assert command.processes() == []


@pytest.mark.slow
def test_a_program_that_reads_json_is_given_nothing(folder: Path):
    with (folder / "output").open("wb") as output:
        arguments = ("validate", "images", "--json")
        with in_terminal(folder, *arguments, stdout=output.fileno()) as command:
            wait_until(lambda: command.child_of("CheckData"))
            assert_stops(command, CTRL_C_ONCE)
    assert (folder / "output").read_bytes() == b""


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_server_stops_with_one_sentence(folder: Path, way: Way):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with in_terminal(folder, "station", "server", "--port", str(port)) as command:
        wait_until(lambda: _answers(port) or command.process.poll() is not None)
        assert_stops(command, way, "ended; workers and runs wait for it to be up again.\r\n")


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_run_that_is_stopped_at_every_stage_goes_on_and_completes(folder: Path, way: Way):
    workspace = folder / ".pupila"
    for stage in ("logs/check-data-*", "scratch/*/training.npz", "logs/tflite-*"):
        with in_terminal(folder, "run", "recipe.yaml") as command:
            wait_until(lambda stage=stage: _is_there(command, workspace, stage), 300)
            assert_stops(command, way)
    with (folder / "output").open("wb") as output:
        arguments = ("run", "recipe.yaml", "--json")
        with in_terminal(folder, *arguments, stdout=output.fileno()) as command:
            shown = command.end(500)
            assert command.process.returncode == 0, shown
    names = [entry["name"] for entry in json.loads((folder / "output").read_text())["entries"]]
    assert names == ["pupil", "tflite"]


def _is_there(command: InTerminal, workspace: Path, file: str) -> bool:
    return any(workspace.glob(file)) or command.process.poll() is not None
