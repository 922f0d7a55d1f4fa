"""Runs a worker of the pool, and resumes the runs that an interrupted worker left behind."""

from __future__ import annotations

import time
from collections.abc import Callable

from pupila.errors import PupilaError
from pupila_flows.station.api import Api
from pupila_flows.station.deployments import POOL
from pupila_flows.station.recovery import resume, unfinished_runs

_SERVER_SECONDS = 240.0
_SILENT_SECONDS = 180.0
"""Twice the 90 s without a heartbeat after which a server considers a worker gone."""
_LOOK_SECONDS = 2.0


def worker_command(name: str) -> list[str]:
    """Return the module and arguments that run a worker under this name."""
    worker = ["worker", "start", "--pool", POOL, "--type", "process", "--name", name]
    return ["prefect", "--no-prompt", *worker]


def resume_last(api: Api, say: Callable[[str], None]) -> None:
    """Resume the runs that an interrupted worker left behind.

    First wait until the server has noticed the end of that worker. If another worker of the pool is
    up, resume nothing: the runs may be that worker's.

    Raises:
        PupilaError: the server does not answer, or refuses.
    """
    _wait_until(api.answers, _SERVER_SECONDS)
    try:
        if not unfinished_runs(api):
            return
        say("runs are under way: waiting until the server knows whether their worker is up")
        if _wait_until(lambda: not _online(api), _SILENT_SECONDS):
            for name in resume(api):
                say(f"{name} was under way when its worker ended: it goes on")
        else:
            say("another worker is up: what is under way is left to it")
    except OSError as error:
        raise PupilaError(
            f"The Prefect server at {api.url!r} does not answer or refuses ({error}): look at it, "
            "and at PREFECT_API_URL and PREFECT_API_AUTH_STRING."
        ) from None


def _online(api: Api) -> bool:
    workers = api.post(f"/work_pools/{POOL}/workers/filter", {})
    return any(worker["status"] == "ONLINE" for worker in workers)


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition is true; return whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
