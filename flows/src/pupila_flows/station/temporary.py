"""The temporary Prefect server of one `pupila run`, with its own password."""

from __future__ import annotations

import atexit
import os
import secrets
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable

from pupila.errors import PupilaError
from pupila_flows import stopping
from pupila_flows.station.address import LOOPBACK, Address
from pupila_flows.station.environment import MARK
from pupila_flows.station.leash import leash
from pupila_flows.station.loopback import unproxied
from pupila_flows.station.server import server_command
from pupila_flows.workspace import Workspace

_SLOW_SECONDS = 15.0
_LONGEST_SECONDS = 120.0
_GRACE_SECONDS = 3.0


class TemporaryServer:
    """A temporary Prefect server, started on construction; `wait` waits until it answers.

    The server runs in its own session, so that Ctrl-C does not reach it. It ends when this process
    ends in any way. If the server ends earlier, it is restarted. Meanwhile requests wait in the
    queue of the listening socket, which belongs to this process.
    """

    def __init__(self, workspace: Workspace) -> None:
        """Start the server, and make Prefect use it; Prefect must not be imported yet."""
        self.log = workspace.root / "logs" / "prefect-server.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._ended = False
        self._listener = socket.create_server((LOOPBACK, 0))
        auth = f"pupila:{secrets.token_urlsafe(24)}"
        self._address = Address(LOOPBACK, self._listener.getsockname()[1], auth)
        os.environ.update(unproxied(os.environ))
        os.environ["PREFECT_API_URL"] = self._address.api
        os.environ["PREFECT_API_AUTH_STRING"] = auth
        os.environ["PREFECT_UI_URL"] = ""  # without a UI, nothing should link to it
        self.process, self._started = self._start()
        # Prefect's own handlers, registered later, run first: they send the run's last data
        atexit.register(self.end)

    def wait(self, say: Callable[[str], None]) -> None:
        """Wait until the server answers; from then on, restart the server if it ends.

        Raises:
            PupilaError: the server has ended, or takes too long to answer.
        """
        begun = time.monotonic()
        if not self._answers(_SLOW_SECONDS):
            say("Prefect's temporary server takes its time to start: waiting for it")
            if not self._answers(_LONGEST_SECONDS - _SLOW_SECONDS):
                self.end()
                raise PupilaError(
                    f"Prefect's temporary server did not answer within {_LONGEST_SECONDS:.0f} s: "
                    f"the machine is busy, or {self.log} says why. Try again."
                )
        if not _has_started(self._started):
            self.end()
            raise PupilaError(
                f"Prefect's temporary server ended after {time.monotonic() - begun:.0f} s and with "
                f"code {self.process.returncode}, before it answered: {self.log} says why."
            )
        threading.Thread(target=self._keep, daemon=True).start()

    def end(self) -> None:
        """Ask the server to save its data and end; kill it if it takes more than a few seconds."""
        with self._lock:
            self._ended = True
        self._listener.close()
        self.process.terminate()
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start the server; return its process, and a pipe that gets a line once it answers."""
        started, tells = os.pipe()
        listener = self._listener.fileno()
        more = ["--temporary", "--listener", str(listener), "--started", str(tells)]
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                leash(*server_command(self._address, *more)),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(listener, tells),
                env={name: value for name, value in os.environ.items() if name != MARK},
                start_new_session=True,
            )
        os.close(tells)
        return process, started

    def _keep(self) -> None:
        """Restart the server whenever it ends; if it then ends before it answers, end the run.

        Otherwise Prefect would wait for answers for hours.
        """
        answers = True
        while answers:
            self.process.wait()
            with self._lock:
                if self._ended:
                    return
                self.process, started = self._start()
            answers = _has_started(started)
        if run := stopping.current():
            run.end(
                "error: Prefect's temporary server has died, and the run with it; what was "
                f"finished is kept, and the same command goes on. Its log: {self.log}",
                code=1,
            )

    def _answers(self, seconds: float) -> bool:
        """Wait for some seconds; return whether the server has started or ended by then."""
        return bool(select.select([self._started], [], [], seconds)[0])


def _has_started(started: int) -> bool:
    """Wait for a server to answer or to end; return whether it answers."""
    answers = bool(os.read(started, 1))
    os.close(started)
    return answers
