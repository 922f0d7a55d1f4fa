"""Runs a module as `python -m` does, and ends it with the process that holds our standard input.

However that process dies, the pipe to us then ends: nobody has to be told, and nothing stays.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from contextlib import suppress

import psutil


def leashed(*command: str) -> list[str]:
    """Return the command that runs a module with its arguments on a leash."""
    # -P: what lies in the user's folder must not stand in for a module of ours
    return [sys.executable, "-P", "-m", __name__, *command]


def _end_with(holder: int) -> None:
    """Wait for the end of a pipe; then kill what this process has started, and this process."""
    while os.read(holder, 1024):
        continue
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Be the module that the command line names."""
    holder = os.dup(0)  # which no child inherits
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(holder,), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
