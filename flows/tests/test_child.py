"""Work in a process of its own: its answer, its refusal, its crash, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from pupila.errors import PupilaError
from pupila_flows.cli.console import working
from pupila_flows.execution import child

JOBS = """
import os, signal, subprocess, sys, threading, time
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

def leave(*, progress):
    threading.Thread(target=time.sleep, args=[60]).start()
    sys.exit(4)

def fault(*, progress):
    os.kill(os.getpid(), signal.SIGSEGV)

def hang_up(*, progress):
    os.closerange(3, 300)
    time.sleep(60)

def fork(*, progress):
    if os.fork():
        os._exit(5)
    time.sleep(60)

def ask(*, progress):
    input()

def answer(*, progress):
    import numpy as np
    return {"epochs": np.int64(3), "loss": [np.float32(0.5)]}

def answer_oddly(*, progress):
    return {"epochs": 3, "model": {"file": object()}}

def tell_numbers(*, progress):
    import numpy as np
    progress(np.int64(4), np.int64(4), 5)
    return {}

def tell_oddly(*, progress):
    progress(None, 4, "epochs")

def leave_a_program(*, progress):
    return {"pid": subprocess.Popen(["sleep", "60"]).pid}

def leave_a_thread(*, progress):
    threading.Thread(target=time.sleep, args=[60]).start()
    return {"pid": os.getpid()}

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
    monkeypatch.setattr(child, "_GRACE_SECONDS", 1.0)
    return lambda name: f"some_jobs:{name}"


def _ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def test_the_answer_the_progress_and_the_log_come_back(
    job: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    reports: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, what: str) -> None:
        reports.append((done, total, what))

    log = tmp_path / "log"
    answer = child.call(job("add"), {"left": 2, "right": 3}, log, progress)
    assert answer == {"sum": 5, "legacy": None}
    assert reports[-1] == (2, 2, "added")
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
        ("fault", "ended by SIGSEGV"),
        (
            "quit",
            "ended with code 3 and no answer, as after `os._exit`: a plugin returns or raises",
        ),
        ("quit", "last words"),
        ("leave", "ended by sys.exit(4) in {folder}/some_jobs.py, line 37: a plugin returns or"),
        ("hang_up", "closed the pipe for its answer: a plugin returns or raises, and closes only"),
        ("fork", "ended with code 5"),
        ("ask", "EOFError"),
    ],
)
def test_a_crash_says_what_happened_and_where_the_log_is(
    job: Callable[[str], str], tmp_path: Path, name: str, words: str
):
    with pytest.raises(child.ChildFailed) as caught:
        child.call(job(name), {}, tmp_path / "log", _ignore, timeout_seconds=30)
    assert words.format(folder=tmp_path) in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)


def test_numbers_of_numpy_come_and_go_as_numbers(job: Callable[[str], str], tmp_path: Path):
    log, reports = tmp_path / "log", list[tuple[int, int, str]]()

    def progress(done: int, total: int, what: str) -> None:
        reports.append((done, total, what))

    assert child.call(job("answer"), {}, log, _ignore) == {"epochs": 3, "loss": [0.5]}
    assert child.call(job("tell_numbers"), {}, log, progress) == {}
    assert reports == [(4, 4, "5")]
    sizes = {"left": np.int64(2), "right": np.float32(0.5)}
    assert child.call(job("add"), sizes, log, _ignore)["sum"] == 2.5


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("answer_oddly", {}, "the answer of answer_oddly in some_jobs, 'model' is .*object"),
        ("add", {"left": object()}, "the arguments of some_jobs:add, 'left' is .*object"),
        ("tell_oddly", {}, "Progress was given None, where a number was expected"),
    ],
)
def test_what_is_no_json_is_refused_by_name(
    job: Callable[[str], str],
    tmp_path: Path,
    name: str,
    arguments: dict[str, object],
    message: str,
):
    with pytest.raises(PupilaError, match=message):
        child.call(job(name), arguments, tmp_path / "log", _ignore)


@pytest.mark.parametrize("name", ["leave_a_program", "leave_a_thread"])
def test_what_a_child_leaves_behind_ends_with_it(
    job: Callable[[str], str], tmp_path: Path, name: str
):
    left = child.call(job(name), {}, tmp_path / "log", _ignore)["pid"]
    _wait_until(lambda: not psutil.pid_exists(left), seconds=5)


def test_a_child_of_a_run_that_was_stopped_is_not_said_to_have_crashed(
    job: Callable[[str], str], tmp_path: Path
):
    children, log, pid_file = child.Children(), tmp_path / "log", tmp_path / "pid"
    arguments = {"pid_file": str(pid_file)}
    with ThreadPoolExecutor() as threads:
        ended = threads.submit(child.call, job("sleep"), arguments, log, _ignore, children=children)
        _wait_until(lambda: pid_file.exists())
        children.end()
        with pytest.raises(PupilaError, match="was stopped"):
            ended.result(timeout=10)


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
