"""A command in a terminal of its own, as a user has it: what it prints, and what stops it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from uuid import uuid4

import psutil
from command_line import PUPILA, user_environment

_MARK = "PUPILA_TEST_COMMAND"
CTRL_C = b"\x03"


class InTerminal:
    """`pupila` under way, as leader of a session whose terminal it has."""

    def __init__(self, folder: Path, *arguments: str, stdout: int | None = None) -> None:
        self.folder = folder
        self._mark = uuid4().hex
        self._master, slave = os.openpty()
        environment = user_environment()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*PUPILA, *arguments],
            cwd=folder,
            env=environment | {_MARK: self._mark, "TERM": "xterm"},
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: _take(slave),
        )
        os.close(slave)
        self._blocks, self._hung_up = list[bytes](), False
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: all have closed the terminal
            while not self._hung_up:
                if select.select([self._master], [], [], 0.1)[0]:
                    self._blocks.append(os.read(self._master, 1 << 14))

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def hang_up(self) -> None:
        """Close the terminal's window."""
        self._hung_up = True
        self._reader.join()
        os.close(self._master)

    def processes(self) -> list[psutil.Process]:
        """Return all processes that were started, whatever their parent is now."""
        return list(self._marked())

    def _marked(self) -> Generator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                running = process.status() != psutil.STATUS_ZOMBIE
                if running and process.environ().get(_MARK) == self._mark:
                    yield process

    def child_of(self, target: str) -> psutil.Process | None:
        """Return the child process that does a job of this class, if there is one."""
        for process in self.processes():
            with suppress(psutil.Error):
                if any(part.endswith(f":{target}.call") for part in process.cmdline()):
                    return process
        return None

    @property
    def heeds_signals(self) -> bool:
        """Whether it has taken over the signals that end a process, which it does first of all."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (caught,) = (line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    def end(self, seconds: float) -> str:
        """Wait until it has ended, and return what the terminal has shown."""
        self.process.wait(seconds)
        self._reader.join(seconds)
        return self.shown()

    def shown(self) -> str:
        return b"".join(self._blocks).decode(errors="replace")


def _take(slave: int) -> None:
    """Do as an interactive shell does: give a command the terminal, and let it heed Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


@contextmanager
def in_terminal(folder: Path, *arguments: str, stdout: int | None = None) -> Generator[InTerminal]:
    """Run a command in a terminal; after the block nothing of it is left."""
    running = InTerminal(folder, *arguments, stdout=stdout)
    try:
        yield running
    finally:
        for process in running.processes():
            with suppress(psutil.Error):
                process.kill()
        running.process.wait()


def wait_until(happened: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
