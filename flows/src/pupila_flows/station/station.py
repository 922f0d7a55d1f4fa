"""Runs a station (server, deployments and worker) during a `with` block."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from filelock import FileLock, Timeout

from pupila.errors import PupilaError
from pupila_flows.station.address import (
    Address,
    StationRecord,
    check_free,
    read_record,
    record_file,
    station_folder,
    write_record,
)
from pupila_flows.station.api import Api
from pupila_flows.station.deployments import WORKER, Deployment
from pupila_flows.station.environment import KEEP_SECONDS, environment
from pupila_flows.station.leash import leash
from pupila_flows.station.recovery import InterruptedRuns, resume
from pupila_flows.station.register import as_json
from pupila_flows.station.server import server_command
from pupila_flows.station.supervisor import Supervised, end_all
from pupila_flows.station.worker import worker_command
from pupila_flows.workspace import Workspace

Say = Callable[[str], None]

_SERVER_SECONDS = 240.0
_REGISTER_SECONDS = 240.0


@dataclass(frozen=True)
class Station:
    """A running station: its server, its worker, and the object that ends interrupted runs."""

    address: Address
    api: Api
    server: Supervised
    worker: Supervised
    interrupted: InterruptedRuns

    def ensure_running(self) -> list[str]:
        """Restart the server and the worker if they have ended; return which were restarted."""
        return [program.name for program in (self.server, self.worker) if program.ensure_running()]


@contextmanager
def running(
    workspace: Workspace,
    address: Address,
    deployments: Sequence[Deployment],
    *,
    notify: str | None = None,
    keep_seconds: float = KEEP_SECONDS,
    say: Say = lambda text: None,
) -> Generator[Station]:
    """Run a station during the `with` block, and end all its processes afterwards.

    The station's database is in the workspace and keeps all runs, except those that ended more than
    `keep_seconds` ago. If this process dies, server and worker end too. `notify` names a Prefect
    block that sends notifications. `say` is called with lines of text about the start.

    Raises:
        PupilaError: another station is up, the port is in use, the server does not start, or the
            server refuses a deployment.
    """
    with lock_station(workspace):
        check_free(address)
        mark = uuid4().hex
        variables = environment(workspace.root, address, mark, keep_seconds)
        server, worker = _server(workspace, address, variables), _worker(workspace, variables)
        api = Api(address.api, address.auth)
        station = Station(address, api, server, worker, InterruptedRuns(api, mark))
        auth_file = str(address.auth_file) if address.auth_file else None
        write_record(workspace.root, StationRecord(api=address.api, mark=mark, auth_file=auth_file))
        try:
            say(f"starting the server at {address.root}")
            server.start()
            _wait_for(station)
            say("registering the deployments")
            _register(deployments, notify, variables)
            for name in resume(station.api):
                say(f"{name} was under way when the last station ended: it goes on")
            worker.start()
            yield station
        finally:
            worker.kill()
            server.end()
            end_all(mark)
            record_file(workspace.root).unlink(missing_ok=True)


@contextmanager
def lock_station(workspace: Workspace) -> Generator[None]:
    """Lock the station's database during the `with` block.

    First end the processes that a killed station left behind.

    Raises:
        PupilaError: another station of this workspace is up.
    """
    try:
        with FileLock(station_folder(workspace.root) / ".lock", timeout=0):
            left = read_record(workspace.root)
            if left:
                end_all(left.mark)
            yield
    except Timeout:
        left = read_record(workspace.root)
        where = f" at {left.api.removesuffix('/api')}" if left else ""
        raise PupilaError(
            f"A station of this workspace is up already{where}: end it first, or give another "
            "--workspace and --port."
        ) from None


def _server(workspace: Workspace, address: Address, environment: dict[str, str]) -> Supervised:
    command = leash(*server_command(address))
    return Supervised("server", command, environment, workspace.root / "logs" / "server.log")


def _worker(workspace: Workspace, environment: dict[str, str]) -> Supervised:
    command = leash(*worker_command(WORKER))
    return Supervised("worker", command, environment, workspace.root / "logs" / "worker.log")


def _wait_for(station: Station) -> None:
    """Wait until the server answers.

    Raises:
        PupilaError: the server has ended, or does not answer in time.
    """
    deadline = time.monotonic() + _SERVER_SECONDS
    while not (station.server.alive and station.api.answers()):
        if not station.server.alive or time.monotonic() > deadline:
            what = "did not answer in time" if station.server.alive else "ended at once"
            raise PupilaError(
                f"The server {what}. The end of its log, {station.server.log}:\n"
                f"{station.server.tail()}"
            )
        time.sleep(0.3)


def _register(
    deployments: Sequence[Deployment], notify: str | None, environment: dict[str, str]
) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pupila_flows.station.register"],
            input=as_json(deployments, notify),
            env=environment,
            capture_output=True,
            text=True,
            timeout=_REGISTER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise PupilaError(
            f"The deployments were not registered within {_REGISTER_SECONDS:.0f} s: the machine is "
            "busy, or the server hangs. Try again."
        ) from None
    if done.returncode:
        raise PupilaError(done.stderr.strip() or "The deployments could not be registered.")
