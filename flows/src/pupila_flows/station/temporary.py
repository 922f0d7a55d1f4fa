"""The Prefect server of one `pupila run`: with a password of its own, and gone with the run."""

from __future__ import annotations

import atexit
import os
import secrets
import select
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Self

from pupila.errors import PupilaError
from pupila_flows import stopping
from pupila_flows.station.address import LOOPBACK, Address
from pupila_flows.station.environment import MARK
from pupila_flows.station.leash import leashed
from pupila_flows.station.loopback import unproxied
from pupila_flows.station.server import server_command
from pupila_flows.workspace import Workspace

_SLOW_SECONDS = 15.0
_LONGEST_SECONDS = 120.0
_GRACE_SECONDS = 3.0


@dataclass
class TemporaryServer:
    """A server that has been started, and may not answer yet."""

    process: subprocess.Popen[bytes]
    log: Path
    _started: int
    _ending: bool = False

    @classmethod
    def start(cls, place: Workspace) -> Self:
        """Start a server, and tell Prefect of it, which must not have been imported.

        It is in a session of its own, where a terminal's Ctrl-C does not reach it, and ends when
        this process does, however that comes.
        """
        log = place.root / "logs" / "prefect-server.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        auth = f"pupila:{secrets.token_urlsafe(24)}"
        started, tells = os.pipe()
        with socket.create_server((LOOPBACK, 0)) as listener, log.open("ab") as output:
            address = Address(LOOPBACK, listener.getsockname()[1], auth)
            os.environ.update(unproxied(os.environ))
            os.environ["PREFECT_API_URL"] = address.api
            os.environ["PREFECT_API_AUTH_STRING"] = auth
            os.environ["PREFECT_UI_URL"] = ""  # there is none, so nothing links to it
            passed = (listener.fileno(), tells)
            more = ["--temporary", "--listener", str(passed[0]), "--started", str(passed[1])]
            process = subprocess.Popen(
                leashed(*server_command(address, *more)),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=passed,
                env={name: value for name, value in os.environ.items() if name != MARK},
                start_new_session=True,
            )
        os.close(tells)
        server = cls(process, log, started)
        # Prefect's own, registered later, come first: they tell the server the last of the run
        atexit.register(server.end)
        return server

    def wait(self, say: Callable[[str], None]) -> None:
        """Wait until it answers.

        Raises:
            PupilaError: it has ended, or takes too long.
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
        if not os.read(self._started, 1):
            self.end()
            raise PupilaError(
                f"Prefect's temporary server ended after {time.monotonic() - begun:.0f} s and with "
                f"code {self.process.returncode}, before it answered: {self.log} says why."
            )
        os.close(self._started)
        Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """End the run when the server has died, for whose answers Prefect would wait for hours."""
        code, run = self.process.wait(), stopping.current()
        if run and not self._ending:
            run.end(
                f"error: Prefect's temporary server has died (code {code}), and the run with it; "
                f"what was finished is kept, and the same command goes on. Its log: {self.log}",
                code=1,
            )

    def _answers(self, seconds: float) -> bool:
        """Wait so long, and tell whether it listens, or has ended."""
        return bool(select.select([self._started], [], [], seconds)[0])

    def end(self) -> None:
        """Ask it to end, which saves what it was told last, and do not wait for long."""
        self._ending = True
        self.process.terminate()
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
