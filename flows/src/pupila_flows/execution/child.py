"""Runs one function in a child process, so that its memory is freed and a crash is isolated.

The parent sends the arguments through the child's standard input, and keeps this pipe open. When
the parent dies, the pipe ends and the child ends too. The child answers with JSON lines on another
pipe. Everything that the child prints goes into a log file.
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
from pupila.errors import PluginFailed, PupilaError
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
_PLUGIN_RULE = "a plugin returns or raises, and closes only what it has opened"


class ChildFailed(RuntimeError):
    """Raised if a child process crashes, is killed or takes too long; the message names its log."""


class Children:
    """The live child processes of a run, which can all be ended together."""

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
        """Remove a process that has ended from the live processes."""
        with self._lock:
            self._alive.discard(process)

    def end(self) -> None:
        """Kill all child processes; afterwards no process can be started."""
        with self._lock:
            self._closed = True
            for process in self._alive:
                _kill_group(process)

    @property
    def were_ended(self) -> bool:
        """Whether `end` was called, because the run was stopped."""
        return self._closed


def name_of(target: Callable[..., dict[str, Any]]) -> str:
    """Return the name of a module's function as `module:attribute`."""
    return f"{target.__module__}:{target.__qualname__}"


def call(
    target: str,
    arguments: dict[str, Any],
    log: Path,
    progress: Progress,
    timeout_seconds: float | None = None,
    children: Children | None = None,
    child_lock: Path | None = None,
    threads: int = DEFAULT_THREADS,
) -> dict[str, Any]:
    """Call `target(progress=…, **arguments)` in a new process and return what it returns.

    `target` names a function, as `name_of` returns it, or the `call` of a job. Arguments and answer
    are JSON values. As long as the process lives, it is one of `children` and keeps the file
    `child_lock` locked. A second process with the same lock, on any machine, waits until the first
    has ended. Models in the process compute with `threads` threads.

    Raises:
        PupilaError: the function raised it, or the run was stopped.
        ChildFailed: the process crashed, was killed, or took longer than `timeout_seconds`.
    """
    processes = children or Children()
    reader, writer = os.pipe()
    environment = {key: value for key, value in os.environ.items() if key not in _SCRUBBED}
    environment |= thread_settings(threads)
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PUPILA_ANSWER": str(writer)}
    # -P: files in the user's folder must not replace our modules
    program = [sys.executable, "-P", "-m", __name__, target]
    program += [str(child_lock)] if child_lock else []
    try:
        with log.open("ab") as output:
            process = processes.start(program, output, writer, environment)
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
        processes.forget(process)
    if "result" in answer:
        return answer["result"]
    if "refused" in answer:
        raise PupilaError(answer["refused"])
    if processes.were_ended:
        raise PupilaError(_STOPPED)
    reason = _reason(answer, process.returncode, timeout_seconds, killed=killed)
    raise ChildFailed(f"{reason}. Its log: {log}{_tail(log) if not answer else ''}")


_SCRUBBED = frozenset({"TF_USE_LEGACY_KERAS"})
"""Variables that tfmot sets; a child that inherits them would use Keras 2 in place of Keras 3."""


def _send(process: subprocess.Popen[bytes], target: str, arguments: dict[str, Any]) -> None:
    text = _check_json(f"the arguments of {target}", plain(arguments))
    stream = process.stdin
    if stream is None:  # never happens with PIPE
        raise RuntimeError("no pipe to the child")
    try:
        stream.write(json.dumps(text).encode() + b"\n")
        stream.flush()
    except BrokenPipeError:
        return  # it died at once: its log says why


def _listen(
    process: subprocess.Popen[bytes],
    reader: int,
    progress: Progress,
    timeout_seconds: float | None,
) -> dict[str, Any]:
    """Read lines until an answer, the end of the pipe (no answer) or the time limit.

    Processes that the child has forked may keep the pipe open after it has ended.
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
    """End the child and all processes it started; return whether it had to be killed.

    The child gets time to end by itself, but threads that a plugin left running may prevent that.
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
    """Kill a child and the programs it has started, which could outlive it."""
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)


def _reason(
    answer: dict[str, Any], code: int, timeout_seconds: float | None, *, killed: bool
) -> str:
    """Return why there is no answer."""
    if "timeout" in answer:
        return f"stopped after {timeout_seconds:.0f} s, its time limit"
    if "crashed" in answer:
        return answer["crashed"]
    if killed:
        return f"ended after it had closed the pipe for its answer: {_PLUGIN_RULE}"
    if code == -signal.SIGKILL:
        return "killed by the system, most often for want of memory"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}, as when native code crashes"
    return f"its process ended with code {code} and no answer, as after `os._exit`: {_PLUGIN_RULE}"


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "".join(f"\n{line}" for line in lines)


def main() -> None:
    """Entry point of the child: read arguments, call the function in `sys.argv`, answer."""
    messages = Messages(os.fdopen(int(os.environ.pop("PUPILA_ANSWER")), "w", encoding="utf-8"))
    arguments = json.loads(sys.stdin.buffer.readline())
    _log.addHandler(SentWarnings(messages))
    threading.Thread(target=_die_with_parent, args=[_detach_stdin()], daemon=True).start()
    module, _, name = sys.argv[1].partition(":")
    for child_lock in sys.argv[2:]:
        locks.hold(Path(child_lock))
    try:
        function = attrgetter(name)(import_module(module))
        result = plain(function(progress=_Reporter(messages), **arguments))
        answer = {"result": _check_json(f"the answer of {name} in {module}", result)}
    except PupilaError as error:
        answer = {"refused": str(error)}
    except BaseException as error:  # a summary goes to the parent, the traceback to the log
        traceback.print_exc()
        refused = disk.explain_disk_error(error, Path(*sys.argv[2:]).parent)
        answer = {"refused": refused} if refused else {"crashed": _crash(error)}
    messages.send(answer)


def _crash(error: BaseException) -> str:
    if isinstance(error, PluginFailed):
        return str(error)
    if not isinstance(error, SystemExit):
        return f"{type(error).__name__}: {error}".rstrip(": ")
    where = traceback.extract_tb(error.__traceback__)[-1]
    line = f"{where.filename}, line {where.lineno}"
    return f"ended by sys.exit({error.code!r}) in {line}: {_PLUGIN_RULE}"


def _detach_stdin() -> int:
    """Return a copy of standard input, and replace standard input by an empty stream."""
    taken = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return taken


def _check_json(what: str, value: dict[str, Any]) -> dict[str, Any]:
    wrong = unwritable(value)
    if wrong:
        raise PupilaError(f"In {what}, {wrong}.")
    return value


class Messages:
    """Writes messages to the parent as JSON lines, each of them whole whatever thread sends it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message)
        with self._lock:
            print(line, file=self._stream, flush=True)


class SentWarnings(logging.Handler):
    """Sends core's warnings, for example of a damaged file, to the parent."""

    def __init__(self, messages: Messages) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.send({"warning": record.getMessage()})


class _Reporter:
    """Sends progress to the parent, at most a few times per second."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._last = 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        now, done, total = time.monotonic(), _number(done), _number(total)
        if done >= total or now - self._last >= _PROGRESS_INTERVAL_SECONDS:
            self._last = now
            self._messages.send({"progress": [done, total, str(what)]})


def _number(given: Any) -> int:
    number = plain(given)
    if not (isinstance(number, int | float) and math.isfinite(number)):
        raise PupilaError(
            f"Progress was given {given!r}, where a number was expected: "
            "`progress(done, total, what)`."
        )
    return number  # pyright: ignore[reportReturnType] - a fraction does no harm


def _die_with_parent(stdin: int) -> None:
    """Wait for the end of standard input, which comes when the parent dies; then die too."""
    while os.read(stdin, 1024):
        continue
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main()
