"""Runs a module like `python -m`, and ends this process when its parent process ends.

Standard input is a pipe whose other end the parent holds. When the parent dies, in whatever way,
the pipe is closed.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from contextlib import suppress

import psutil


def leash(*command: str) -> list[str]:
    """Return the command for a process that runs a module, and ends when its parent ends.

    `command` is the name of the module, followed by its arguments.
    """
    # -P: files in the user's folder must not replace our modules
    return [sys.executable, "-P", "-m", __name__, *command]


def _end_with(holder: int) -> None:
    """Wait for the end of a pipe; then kill this process and all processes it has started."""
    while os.read(holder, 1024):
        continue
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the module named in `sys.argv`; kill it and its children when the parent ends."""
    holder = os.dup(0)  # no child inherits it
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(holder,), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
