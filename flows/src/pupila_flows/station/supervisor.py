"""Keeps programs running, and ends them together with all processes they have started."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pupila.errors import PupilaError
from pupila_flows import stopping
from pupila_flows.station.environment import MARK

_AT_ONCE_SECONDS = 20.0
_TOO_OFTEN = 3
_GRACE_SECONDS = 1.5
_GONE_SECONDS = 20.0
_TAIL_LINES = 15
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"
"""Environment variable with the id of a run, which Prefect sets for the run's process."""


@dataclass
class Supervised:
    """A program that can be restarted when it ends; its output goes into a log file.

    The program's standard input stays open as long as this process lives.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _died_at_once: int = field(default=0)

    def start(self) -> None:
        """Start the program in a new session, so that Ctrl-C does not reach it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(self.environment),
                start_new_session=True,
            )
        self._started = time.monotonic()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ensure_running(self) -> bool:
        """Restart the program if it has ended; return whether it was restarted.

        Raises:
            PupilaError: the program has ended right after its start several times.
        """
        if self.alive:
            return False
        at_once = time.monotonic() - self._started < _AT_ONCE_SECONDS
        self._died_at_once = self._died_at_once + 1 if at_once else 0
        if self._died_at_once >= _TOO_OFTEN:
            raise PupilaError(
                f"The {self.name} ends as soon as it is started. The end of its log, {self.log}:\n"
                f"{self.tail()}"
            )
        self.start()
        return True

    def tail(self) -> str:
        """Return the last lines of the program's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def kill(self) -> None:
        """Kill the program at once."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Ask the program to save its data and end; kill it if it takes more than a few seconds."""
        if self._process:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
            self.kill()


def end_all(mark: str) -> int:
    """Kill every process of a station, and return the number of processes.

    All processes of a station have `mark` in their environment. So a run whose worker was killed is
    found too, although its parent process is gone. Killing a run at any time leaves no half-written
    file.
    """
    return stopping.end_all(MARK, mark, _GONE_SECONDS)


def flow_runs_of(mark: str) -> set[str]:
    """Return the ids of the flow runs that have a process; `mark` marks the station's processes."""
    ids: set[str] = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another user's
            environment = process.environ()
            if environment.get(MARK) == mark:
                ids.add(environment.get(_FLOW_RUN, ""))
    return ids - {""}
