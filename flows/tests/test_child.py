"""Work in a process of its own: its answer, its refusal, its crash, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pupila.errors import PupilaError
from pupila_flows.cli.console import working
from pupila_flows.execution import child

JOBS = """
import os, signal, sys, time
from pupila.errors import PupilaError

def add(*, progress, left, right):
    progress(1, 2, "adding")
    progress(2, 2, "added")
    print("chatter")
    return {"sum": left + right, "legacy": os.environ.get("TF_USE_LEGACY_KERAS")}

def warn(*, progress):
    from pathlib import Path
    from pupila.damage import read_json
    damaged = Path("damaged.json").resolve()
    damaged.write_text("{")
    return {"read": read_json(damaged)}

def tell_threads(*, progress):
    from pupila.threads import model_threads
    return {"ours": model_threads(), "tensorflow": os.environ["TF_NUM_INTRAOP_THREADS"]}

def refuse(*, progress):
    raise PupilaError("classes is 'x'")

def crash(*, progress):
    raise ZeroDivisionError("nothing to divide by")

def die(*, progress):
    os.kill(os.getpid(), signal.SIGKILL)

def quit(*, progress):
    print("last words", flush=True)
    os._exit(3)

def sleep(*, progress, pid_file=None):
    if pid_file:
        open(pid_file, "w").write(str(os.getpid()))
    time.sleep(60)
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Functions of a module that a child can import."""
    (tmp_path / "some_jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda name: f"some_jobs:{name}"


def _ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def test_the_answer_the_progress_and_the_log_come_back(
    job: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, what: str) -> None:
        told.append((done, total, what))

    log = tmp_path / "log"
    answer = child.call(job("add"), {"left": 2, "right": 3}, log, progress)
    assert answer == {"sum": 5, "legacy": None}
    assert told[-1] == (2, 2, "added")
    assert "chatter" in log.read_text()


def test_models_compute_with_as_many_threads_as_asked_for(
    job: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    log, target = tmp_path / "log", job("tell_threads")
    assert child.call(target, {}, log, _ignore, threads=3) == {"ours": 3, "tensorflow": "3"}
    assert child.call(target, {}, log, _ignore) == {"ours": 2, "tensorflow": "2"}


def test_a_warning_in_a_child_is_said_by_the_parent(
    job: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    with working(as_json=True):
        assert child.call(job("warn"), {}, tmp_path / "log", _ignore) == {"read": None}
    said = f"warning: {tmp_path / 'damaged.json'} is damaged: it is made again, and was put aside"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)


def test_a_users_mistake_comes_back_as_it_was_raised(job: Callable[[str], str], tmp_path: Path):
    with pytest.raises(PupilaError, match="classes is 'x'"):
        child.call(job("refuse"), {}, tmp_path / "log", _ignore)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash", "ZeroDivisionError: nothing to divide by"),
        ("die", "killed by the system"),
        ("quit", "ended with code 3"),
        ("quit", "last words"),
    ],
)
def test_a_crash_says_what_happened_and_where_the_log_is(
    job: Callable[[str], str], tmp_path: Path, name: str, words: str
):
    with pytest.raises(child.ChildFailed) as caught:
        child.call(job(name), {}, tmp_path / "log", _ignore)
    assert words in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)


def test_a_child_that_takes_too_long_is_ended(job: Callable[[str], str], tmp_path: Path):
    pid_file = tmp_path / "pid"
    with pytest.raises(child.ChildFailed, match="time limit"):
        child.call(job("sleep"), {"pid_file": str(pid_file)}, tmp_path / "log", _ignore, 8)
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_a_child_dies_with_its_parent(job: Callable[[str], str], tmp_path: Path):
    pid_file = tmp_path / "pid"
    program = (
        "from pathlib import Path; from pupila_flows.execution import child; "
        f"child.call('some_jobs:sleep', {{'pid_file': {str(pid_file)!r}}}, "
        f"Path({str(tmp_path / 'log')!r}), lambda *_: None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    _wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    orphan = int(pid_file.read_text())
    _wait_until(lambda: not psutil.pid_exists(orphan))


def _wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
