"""Runs one function in a process of its own, so that its memory goes back and its crash is its own.

The parent sends the arguments through standard input, and keeps that open: when the parent dies,
the child sees the end of it and dies too. The child answers with JSON lines on a pipe. Whatever it
prints goes into a log file.
"""

from __future__ import annotations

import json
import logging
import math
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from pupila import disk
from pupila.errors import PupilaError
from pupila.plain import plain, unwritable
from pupila.runtime import Progress
from pupila.threads import DEFAULT_THREADS
from pupila.threads import environment as thread_settings
from pupila_flows.execution import locks

_log = logging.getLogger("pupila")
_GRACE_SECONDS = 5.0
_LOG_TAIL_LINES = 12
_PROGRESS_INTERVAL_SECONDS = 0.2
_LOOK_SECONDS = 1.0
_STOPPED = "The run was stopped."
_RIGHT = "a plugin returns or raises, and closes only what it has opened"


class ChildFailed(RuntimeError):
    """The child crashed, was killed or ran out of time; the message names its log."""


class Children:
    """The live child processes of a run, so that they can be ended together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(
        self, command: list[str], output: IO[bytes], answers: int, environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a process that prints to `output` and inherits the descriptor `answers`.

        Raises:
            PupilaError: the run was stopped.
        """
        with self._lock:
            if self._closed:
                raise PupilaError(_STOPPED)
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(answers,),
                env=environment,
                start_new_session=True,
            )
            self._alive.add(process)
            return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """Stop counting a process that has ended."""
        with self._lock:
            self._alive.discard(process)

    def end(self) -> None:
        """Kill all of them, and let no other start."""
        with self._lock:
            self._closed = True
            for process in self._alive:
                _kill_group(process)

    @property
    def were_ended(self) -> bool:
        """Whether the run was stopped."""
        return self._closed


def name_of(target: Callable[..., dict[str, Any]]) -> str:
    """Return a function of a module as `module:attribute`."""
    return f"{target.__module__}:{target.__qualname__}"


def call(
    target: str,
    arguments: dict[str, Any],
    log: Path,
    progress: Progress,
    timeout_seconds: float | None = None,
    children: Children | None = None,
    alone: Path | None = None,
    threads: int = DEFAULT_THREADS,
) -> dict[str, Any]:
    """Call `target(progress=…, **arguments)` in a new process and return what it returns.

    `target` is a function as `name_of` writes it, or the `call` of a job; arguments and answer are
    JSON values. The process is one of `children` for as long as it lives, and all that time holds
    the file `alone` locked: one that begins before another has ended, whoever started that, waits
    for it. Models compute with so many `threads` in it.

    Raises:
        PupilaError: the function raised one, or the run was stopped.
        ChildFailed: it crashed, was killed, or took longer than `timeout_seconds`.
    """
    family = children or Children()
    reader, writer = os.pipe()
    environment = {key: value for key, value in os.environ.items() if key not in _SCRUBBED}
    environment |= thread_settings(threads)
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PUPILA_ANSWER": str(writer)}
    # -P: what lies in the user's folder must not stand in for a module of ours
    program = [sys.executable, "-P", "-m", __name__, target]
    program += [str(alone)] if alone else []
    try:
        with log.open("ab") as output:
            process = family.start(program, output, writer, environment)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    grace, killed = 0.0, False
    try:
        _send(process, target, arguments)
        answer = _listen(process, reader, progress, timeout_seconds)
        grace = 0.0 if "timeout" in answer else _GRACE_SECONDS
    finally:
        os.close(reader)
        killed = _end(process, grace)
        family.forget(process)
    if "result" in answer:
        return answer["result"]
    if "refused" in answer:
        raise PupilaError(answer["refused"])
    if family.were_ended:
        raise PupilaError(_STOPPED)
    reason = _reason(answer, process.returncode, timeout_seconds, killed=killed)
    raise ChildFailed(f"{reason}. Its log: {log}{_tail(log) if not answer else ''}")


_SCRUBBED = frozenset({"TF_USE_LEGACY_KERAS"})
"""Set by tfmot for the whole process; a child that inherits it would mistake Keras 3."""


def _send(process: subprocess.Popen[bytes], target: str, arguments: dict[str, Any]) -> None:
    given = _checked(f"the arguments of {target}", plain(arguments))
    stream = process.stdin
    if stream is None:  # cannot be: we asked for a pipe
        raise RuntimeError("no pipe to the child")
    try:
        stream.write(json.dumps(given).encode() + b"\n")
        stream.flush()
    except BrokenPipeError:
        return  # it died at once: its log tells why


def _listen(
    process: subprocess.Popen[bytes],
    reader: int,
    progress: Progress,
    timeout_seconds: float | None,
) -> dict[str, Any]:
    """Read lines until an answer, the end of the pipe (no answer) or the time limit.

    What the child has forked may hold the pipe open after its end.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while True:
            left = _LOOK_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return {"timeout": True}
            ended = process.poll() is not None
            if not selector.select(min(left, _LOOK_SECONDS)):
                if ended:
                    return {}
                continue
            block = os.read(reader, 1 << 16)
            if not block:
                return {}
            *lines, received = (received + block).split(b"\n")
            for message in map(json.loads, lines):
                if "warning" in message:
                    _log.warning("%s", message["warning"])
                elif "progress" in message:
                    progress(*message["progress"])
                else:
                    return message


def _end(process: subprocess.Popen[bytes], grace_seconds: float) -> bool:
    """Make sure that the child and all that it started are gone, and tell if it had to be killed.

    It may end in its own time, which threads that a plugin has left can make endless.
    """
    try:
        process.wait(grace_seconds)
        killed = False
    except subprocess.TimeoutExpired:
        killed = True
    _kill_group(process)
    if process.stdin:
        process.stdin.close()
    process.wait()
    return killed


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child, and the programs that it has started, which may outlive it."""
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)


def _reason(
    answer: dict[str, Any], code: int, timeout_seconds: float | None, *, killed: bool
) -> str:
    """Say why there is no answer."""
    if "timeout" in answer:
        return f"stopped after {timeout_seconds:.0f} s, its time limit"
    if "crashed" in answer:
        return answer["crashed"]
    if killed:
        return f"ended after it had closed the pipe for its answer: {_RIGHT}"
    if code == -signal.SIGKILL:
        return "killed by the system, most often for want of memory"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}, as when native code crashes"
    return f"its process ended with code {code} and no answer, as after `os._exit`: {_RIGHT}"


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "".join(f"\n{line}" for line in lines)


def main() -> None:
    """Be the child: read arguments, call the function that the command line names, answer."""
    answer_to = os.fdopen(int(os.environ.pop("PUPILA_ANSWER")), "w", encoding="utf-8")
    arguments = json.loads(sys.stdin.buffer.readline())
    _log.addHandler(_Warnings(answer_to))
    threading.Thread(target=_die_with_parent, args=[_taken_stdin()], daemon=True).start()
    module, _, name = sys.argv[1].partition(":")
    for alone in sys.argv[2:]:
        locks.hold(Path(alone))
    try:
        function = attrgetter(name)(import_module(module))
        result = plain(function(progress=_Reporter(answer_to), **arguments))
        answer = {"result": _checked(f"the answer of {name} in {module}", result)}
    except PupilaError as error:
        answer = {"refused": str(error)}
    except BaseException as error:  # told to the parent; the whole of it stands in the log
        traceback.print_exc()
        refused = disk.explain_disk_error(error, Path(*sys.argv[2:]).parent)
        answer = {"refused": refused} if refused else {"crashed": _crash(error)}
    print(json.dumps(answer), file=answer_to, flush=True)


def _crash(error: BaseException) -> str:
    if not isinstance(error, SystemExit):
        return f"{type(error).__name__}: {error}".rstrip(": ")
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"ended by sys.exit({error.code!r}) in {where.filename}, line {where.lineno}: {_RIGHT}"


def _taken_stdin() -> int:
    """Take standard input away from the code that is called, which finds it empty."""
    taken = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return taken


def _checked(what: str, value: dict[str, Any]) -> dict[str, Any]:
    wrong = unwritable(value)
    if wrong:
        raise PupilaError(f"In {what}, {wrong}.")
    return value


class _Warnings(logging.Handler):
    """Sends warnings of core, for instance of a damaged file, to the process that waits for us."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        print(json.dumps({"warning": record.getMessage()}), file=self._stream, flush=True)


class _Reporter:
    """Sends progress to the parent, but not more often than anyone could read."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last = 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        now, done, total = time.monotonic(), _number(done), _number(total)
        if done >= total or now - self._last >= _PROGRESS_INTERVAL_SECONDS:
            self._last = now
            told = json.dumps({"progress": [done, total, str(what)]})
            print(told, file=self._stream, flush=True)


def _number(given: Any) -> int:
    number = plain(given)
    if not (isinstance(number, int | float) and math.isfinite(number)):
        raise PupilaError(
            f"Progress was told of {given!r}, where a number was expected: "
            "`progress(done, total, what)`."
        )
    return number  # pyright: ignore[reportReturnType] - a fraction does no harm


def _die_with_parent(stdin: int) -> None:
    """Wait for the end of standard input, which comes only when the parent is gone."""
    while os.read(stdin, 1024):
        continue
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main()
