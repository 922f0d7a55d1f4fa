"""What a command shows while it works, and how it ends when it is stopped."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext


@contextmanager
def working(as_json: bool) -> Generator[None]:
    """Show progress on standard error, nothing for programs; end well when stopped or broken."""
    from rich.console import Console

    from pupila_flows.execution.child import ChildFailed
    from pupila_flows.progress import Terminal

    shown = nullcontext() if as_json else Terminal(Console(stderr=True)).shown()
    try:
        with shown:
            yield
    except KeyboardInterrupt:
        print("stopped; what was finished is kept, and the same command goes on.", file=sys.stderr)
        _leave(130)
    except ChildFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)


def _leave(code: int) -> None:
    """End at once, after what is registered to be done at the end.

    Prefect's threads would first tell of every task to a temporary server that has gone: seven
    seconds each.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] - as multiprocessing does
    os._exit(code)
