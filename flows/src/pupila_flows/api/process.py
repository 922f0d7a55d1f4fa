"""Runs a recipe in a process of its own, which has ended before the caller goes on.

Prefect sets environment variables, loggers, handlers of signals and threads for as long as its
process lives, so it is kept out of the caller's. The process sends JSON lines on a pipe, as those
of jobs do, and it and all that it has started end with the caller's.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from pupila.errors import PupilaError
from pupila_flows.execution.child import ChildFailed, Messages, SentWarnings
from pupila_flows.progress import current_display
from pupila_flows.recipe.overrides import Changes
from pupila_flows.station.leash import leash
from pupila_flows.station.recipe_run import FinishedRun, run_recipe
from pupila_flows.stopping import stoppable
from pupila_flows.workspace import Workspace

_STOP_SECONDS = 15.0
"""Time for the process to end by itself when it is stopped; it takes three or four."""
_log = logging.getLogger("pupila")


def run_in_process(
    recipe: Path, changes: Changes, workspace: Workspace, *, sweeps: bool = False
) -> FinishedRun:
    """Run or sweep a recipe as `run_recipe` does, and show its progress on the current display.

    Raises:
        PupilaError: the recipe or the data is invalid.
        ChildFailed: the process crashed; the message names its log.
    """
    log = workspace.root / "logs" / "python.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    request = {"recipe": str(recipe), "changes": changes.given(), "sweeps": sweeps}
    request |= {"workspace": str(workspace.root), "log": str(log)}
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as messages:
        with os.fdopen(writer, "wb") as answers, log.open("ab") as output:
            process = _start(request, answers, output)
        try:
            answer = _listen(messages)
            process.wait()
        finally:
            _end(process)
    if "finished" in answer:
        path, failed, broken, unchanged = answer["finished"].values()
        return FinishedRun(Path(path), failed, tuple(broken), unchanged)
    if "refused" in answer:
        raise PupilaError(answer["refused"])
    ended = f"The run's process was stopped, with code {process.returncode}. Its log: {log}"
    raise ChildFailed(answer.get("crashed", ended))


def _start(
    request: dict[str, Any], answers: IO[bytes], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start the process, which reads the request from a file without a name."""
    with TemporaryFile() as asked:
        asked.write(json.dumps(request).encode())
        asked.seek(0)
        return subprocess.Popen(
            leash(__name__, str(asked.fileno()), str(answers.fileno())),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(asked.fileno(), answers.fileno()),
            start_new_session=True,
        )


def _listen(messages: Iterable[str]) -> dict[str, Any]:
    """Show what the process reports, and return its answer, if it gives one."""
    display, answer = current_display.get(), dict[str, Any]()
    for message in map(json.loads, messages):
        match message:
            case {"update": arguments}:
                display.update(*arguments)
            case {"finish": arguments}:
                display.finish(*arguments)
            case {"warning": text}:
                _log.warning("%s", text)
            case _:
                answer = message
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a process that still runs, as Ctrl-C stops a command."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    if process.stdin:
        process.stdin.close()
    process.wait()


class _SentDisplay:
    """Display that sends what it should show to the caller's process."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def update(self, title: str, done: int, total: int, what: str) -> None:
        self._messages.send({"update": (title, done, total, what)})

    def finish(self, title: str, outcome: str) -> None:
        self._messages.send({"finish": (title, outcome)})


def main() -> None:
    """Run the recipe that the caller's request describes, and answer."""
    asked, answers = map(int, sys.argv[1:])
    os.set_inheritable(answers, False)
    with os.fdopen(asked, encoding="utf-8") as stream:
        request = json.load(stream)
    with stoppable(), os.fdopen(answers, "w", encoding="utf-8") as stream:
        messages = Messages(stream)
        current_display.set(_SentDisplay(messages))
        _log.addHandler(SentWarnings(messages))
        messages.send(_answer(request))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        done = run_recipe(
            Path(request["recipe"]),
            Changes.model_validate(request["changes"]),
            Workspace(Path(request["workspace"])),
            _log.warning,
            sweeps=request["sweeps"],
        )
    except PupilaError as error:
        return {"refused": str(error)}
    except ChildFailed as error:
        return {"crashed": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"crashed": f"{type(error).__name__}: {error}. Its log: {request['log']}"}
    return {"finished": asdict(done) | {"path": str(done.path)}}


if __name__ == "__main__":
    main()
