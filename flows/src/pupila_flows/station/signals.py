"""What ends a station: Ctrl-C, a service manager, a terminal that is closed; each only once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed() -> None:
    """Raise KeyboardInterrupt in the main thread at the first signal, and ignore those after it.

    SIGHUP stays ignored where it is, as under `nohup`.
    """
    for number in _ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    _ignore()
    raise KeyboardInterrupt


@contextmanager
def undisturbed() -> Generator[None]:
    """Let no signal but SIGKILL end the block; what comes meanwhile is ignored.

    Only the main thread hears of signals, so in another there is nothing to be ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _ignore()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore() -> dict[signal.Signals, Any]:
    return {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
