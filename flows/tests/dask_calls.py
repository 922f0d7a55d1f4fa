"""Calls that the workers of a cluster are given, and what their children note of them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pupila_flows.execution import dask
from pupila_flows.execution.call import ProcessCall
from pupila_flows.workspace import Workspace

JOBS = """
import json, os, time
from pathlib import Path
from pupila.errors import PupilaError

def count(*, progress, folder, until):
    at, diary = Path(folder) / "checkpoint", Path(folder) / "diary"
    began = done = int(at.read_text()) if at.exists() else 0
    while done < until:
        done += 1
        at.with_suffix(".new").write_text(str(done))
        at.with_suffix(".new").rename(at)
        with diary.open("a") as lines:
            print(json.dumps([os.getpid(), os.getppid()]), file=lines)
        progress(done, until, "counting")
        time.sleep(0.25)
    return {"began": began, "done": done}

def refuse(*, progress):
    raise PupilaError("classes is 'x'")

def quit(*, progress):
    os._exit(3)

def sleep(*, progress, pause, pid_file):
    with open(pid_file, "a") as lines:
        print(os.getpid(), file=lines)
    time.sleep(pause)
    return {"until": time.time()}
"""


@contextmanager
def jobs_in(folder: Path) -> Generator[Path]:
    """Write functions that this process, the workers and their children can import from there."""
    (folder / "distant_jobs.py").write_text(JOBS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("PYTHONPATH", str(folder))
        yield folder
    sys.modules.pop("distant_jobs", None)


def process_call_of(
    workspace: Workspace, name: str, seconds: float | None = None, **arguments: Any
) -> ProcessCall:
    """Return a call that has a name of its own."""
    key = f"{name}-{time.monotonic_ns()}"
    caller_lock, child_lock = workspace.lock(key), workspace.lock(f"{key}-try")
    log = workspace.log(name, key)
    return ProcessCall(f"distant_jobs:{name}", arguments, log, seconds, caller_lock, child_lock)


def ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def ask(there: dask.Cluster, process_call: ProcessCall, progress: list[int]) -> dict[str, Any]:
    """Have a call run as `session.perform` does, and note how far it got."""
    with FileLock(process_call.caller_lock):
        return there.call(process_call, lambda done, total, what: progress.append(done))


def in_thread(job: Callable[..., Any], *arguments: Any) -> Future[Any]:
    return ThreadPoolExecutor(1).submit(job, *arguments)


def tries(folder: Path) -> list[tuple[int, int]]:
    """Return child and worker of each try, in order of the diary, where they take turns."""
    attempts: list[tuple[int, int]] = []
    for line in (folder / "diary").read_text().splitlines():
        pair = (json.loads(line)[0], json.loads(line)[1])
        if not attempts or attempts[-1] != pair:
            attempts.append(pair)
    return attempts
