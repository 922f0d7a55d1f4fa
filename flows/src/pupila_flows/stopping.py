"""How every command stops: by Ctrl-C, a service manager, or a terminal that is closed.

What it has under way may be killed at any moment without loss, so it is: nothing here waits for
long. This module is imported before anything that takes time, so that a command can be stopped then
too.
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
"""For the main thread to clean up. Then, or at a second signal, the process ends as it is."""
_TELL_SECONDS = 0.5
_GONE_SECONDS = 1.5
_MARK = "PUPILA_COMMAND"
"""All that a command starts has it in its environment, whichever process is its parent by now."""


class Stop:
    """Handles the signals that stop a command; all that it does is done by a thread of its own.

    The first one raises KeyboardInterrupt in the main thread, clears the progress bars and says a
    sentence, after which the command says nothing more. The second one ends the command.
    """

    def __init__(self) -> None:
        self.begun = False
        self.sentence = "stopped; what was finished is kept, and the same command goes on."
        self._code = 128 + signal.SIGINT
        self._display: Callable[[], None] | None = None
        self._silence = Path(os.devnull).open("w")  # noqa: SIM115 - until this process ends
        self._stderr = _duplicate(2) or self._silence.fileno()
        self._woken, self._wake = os.pipe()
        self._ending = _begun(self._end)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number
        os.write(self._wake, b"!")
        if self.begun:
            return
        self.begun = True
        sys.stdout = sys.stderr = self._silence
        if _imports(frame):  # it has nothing to clean up, and would leave locks of imports behind
            os.write(self._wake, b"!")
        else:
            raise KeyboardInterrupt

    def heed(self) -> None:
        """Take the signals: at first, and back from libraries that would need minutes to end."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self)

    def end(self, sentence: str, code: int) -> None:
        """End the command with another sentence and exit code, from any thread."""
        if not self.begun:
            self.sentence, self._code = sentence, code
            os.kill(os.getpid(), signal.SIGTERM)

    def finish(self) -> None:
        """End this process, and all that it has started, at once."""
        os.write(self._wake, b"!")
        self._ending.join()

    @contextmanager
    def clearing(self, display: Callable[[], None]) -> Generator[None]:
        """Call `display` before the sentence, if a signal comes while the block lasts."""
        self._display = display
        try:
            yield
        finally:
            self._display = None

    def _end(self) -> None:
        os.read(self._woken, 1)
        # what may hang, as where nobody reads what it says, is done by others
        telling = _begun(self._tell)
        select.select([self._woken], [], [], _SECONDS)
        telling.join(_TELL_SECONDS)
        _begun(self._sweep).join(2 * _GONE_SECONDS)
        os._exit(self._code)

    def _sweep(self) -> None:
        for _ in range(2):  # another may be started while the first ones are ended
            end_all(_MARK, os.environ[_MARK], _GONE_SECONDS)

    def _tell(self) -> None:
        if self._display:
            with suppress(Exception):
                self._display()
        for stream in (1, 2):
            os.dup2(self._silence.fileno(), stream)
        over_ctrl_c = "\r\x1b[K\x1b[?25h" if os.isatty(self._stderr) else ""
        with suppress(OSError):  # nobody reads it
            os.write(self._stderr, f"{over_ctrl_c}{self.sentence}\n".encode())


@contextmanager
def heeded() -> Generator[Stop]:
    """Let signals stop the block; what is ignored, as SIGHUP under `nohup`, stays ignored."""
    os.environ[_MARK] = uuid4().hex
    stop = Stop()
    stop.heed()
    try:
        yield stop
    finally:
        if stop.begun:
            stop.finish()


def current() -> Stop | None:
    """Return what stops this command; None where it is not a command, but used by a program."""
    handlers = map(signal.getsignal, _SIGNALS)
    return next((handler for handler in handlers if isinstance(handler, Stop)), None)


def say_when_stopped(sentence: str) -> None:
    """Choose what this command says when it is stopped."""
    stop = current()
    if stop:
        stop.sentence = sentence


def heed_again() -> None:
    """Take signals back from a library, where this is a command."""
    stop = current()
    if stop:
        stop.heed()


def end_all(variable: str, value: str, seconds: float) -> int:
    """Kill each other process with this in its environment, and return how many there were.

    They are waited for, but for so many seconds at most.
    """
    import psutil

    found = list[psutil.Process]()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another user's
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                process.kill()
                found.append(process)
    psutil.wait_procs(found, timeout=seconds)
    return len(found)


def _begun(target: Callable[[], None]) -> Thread:
    thread = Thread(target=target, daemon=True)
    thread.start()
    return thread


def _imports(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # the command was started without
        return None
