"""Stops a command on Ctrl-C, by a service manager's signal, or when the terminal is closed.

A command's work may be killed at any moment without loss, so nothing here waits for long. This
module is imported first, so that a command can be stopped while it imports the rest.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from uuid import uuid4

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SECONDS = 3.0
"""Time for the main thread to clean up; after it, or at a second signal, the process ends."""
_WRITE_SECONDS = 0.5
_KILL_SECONDS = 1.5
_MARK = "PUPILA_COMMAND"
"""Environment variable that marks all processes started by a command, even orphaned ones."""


class Stop:
    """Handler of the signals that stop a command.

    The first signal raises KeyboardInterrupt in the main thread, clears the progress bars and
    prints `sentence`. After that the command prints nothing more, and ends within seconds. A second
    signal ends the command at once. Clearing, printing and ending run in separate threads.
    """

    def __init__(self) -> None:
        self.begun = False
        self.sentence = "stopped; what was finished is kept, and the same command goes on."
        self._code = 128 + signal.SIGINT
        self._display: Callable[[], None] | None = None
        self._silence = Path(os.devnull).open("w")  # noqa: SIM115 - until this process ends
        self._stderr = _duplicate(2) or self._silence.fileno()
        self._woken, self._wake = os.pipe()
        self._ending = _start_thread(self._end)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number
        os.write(self._wake, b"!")
        if self.begun:
            return
        self.begun = True
        sys.stdout = sys.stderr = self._silence
        if _imports(frame):  # it has nothing to clean up, and would leave import locks behind
            os.write(self._wake, b"!")
        else:
            raise KeyboardInterrupt

    def install(self) -> None:
        """Install this handler, for the first time or after a library has replaced it."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self)

    def end(self, sentence: str, code: int) -> None:
        """End the command with the given sentence and exit code, from any thread."""
        if not self.begun:
            self.sentence, self._code = sentence, code
            os.kill(os.getpid(), signal.SIGTERM)

    def finish(self) -> None:
        """End this process, and all processes it has started, at once."""
        os.write(self._wake, b"!")
        self._ending.join()

    @contextmanager
    def clearing(self, display: Callable[[], None]) -> Generator[None]:
        """Call `display` before `sentence` is printed, if a signal comes during the `with` block.

        `display` is a function that clears the progress bars.
        """
        self._display = display
        try:
            yield
        finally:
            self._display = None

    def _end(self) -> None:
        os.read(self._woken, 1)
        # what may hang, for example if nobody reads the output, runs in other threads
        writer = _start_thread(self._write_sentence)
        select.select([self._woken], [], [], _SECONDS)
        writer.join(_WRITE_SECONDS)
        _start_thread(self._end_processes).join(2 * _KILL_SECONDS)
        os._exit(self._code)

    def _end_processes(self) -> None:
        for _ in range(2):  # another may start while the first ones are killed
            end_all(_MARK, os.environ[_MARK], _KILL_SECONDS)

    def _write_sentence(self) -> None:
        if self._display:
            with suppress(Exception):
                self._display()
        for stream in (1, 2):
            os.dup2(self._silence.fileno(), stream)
        over_ctrl_c = "\r\x1b[K\x1b[?25h" if os.isatty(self._stderr) else ""
        with suppress(OSError):  # nobody reads it
            os.write(self._stderr, f"{over_ctrl_c}{self.sentence}\n".encode())


@contextmanager
def stoppable() -> Generator[Stop]:
    """Let signals stop the code in the `with` block.

    Signals that are already ignored, such as SIGHUP under `nohup`, stay ignored.
    """
    os.environ[_MARK] = uuid4().hex
    stop = Stop()
    stop.install()
    try:
        yield stop
    finally:
        if stop.begun:
            stop.finish()


def current() -> Stop | None:
    """Return the signal handler of this process; None if it does not run a command of Pupila."""
    handlers = map(signal.getsignal, _SIGNALS)
    return next((handler for handler in handlers if isinstance(handler, Stop)), None)


def say_when_stopped(sentence: str) -> None:
    """Set the sentence that this command prints when it is stopped by a signal."""
    stop = current()
    if stop:
        stop.sentence = sentence


def reinstall() -> None:
    """Install this command's handler again after a library replaced it for some of the signals."""
    stop = current()
    if stop:
        stop.install()


def end_all(variable: str, value: str, seconds: float) -> int:
    """Kill all other processes whose environment sets `variable` to `value`; return their number.

    Wait at most `seconds` for these processes to end.
    """
    import psutil

    processes = list[psutil.Process]()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another user's
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                process.kill()
                processes.append(process)
    psutil.wait_procs(processes, timeout=seconds)
    return len(processes)


def _start_thread(target: Callable[[], None]) -> Thread:
    thread = Thread(target=target, daemon=True)
    thread.start()
    return thread


def _imports(frame: FrameType | None) -> bool:
    """Return whether a module is being imported."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # the command was started without it
        return None
