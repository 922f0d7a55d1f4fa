"""A worker of the pool, and what it takes up when the one before it was cut off."""

from __future__ import annotations

import time
from collections.abc import Callable

from pupila.errors import PupilaError
from pupila_flows.station.api import Api
from pupila_flows.station.deployments import POOL
from pupila_flows.station.recovery import take_up, under_way

_SERVER_SECONDS = 240.0
_SILENT_SECONDS = 180.0
"""A server takes a worker that it has not heard of for 90 s for gone, by Prefect's settings."""
_LOOK_SECONDS = 2.0


def worker_command(name: str) -> list[str]:
    """Return the module, with its arguments, that is a worker of this name."""
    worker = ["worker", "start", "--pool", POOL, "--type", "process", "--name", name]
    return ["prefect", "--no-prompt", *worker]


def take_up_the_last(api: Api, say: Callable[[str], None]) -> None:
    """Let the runs of a worker that was cut off go on, once the server has missed it.

    While another worker of the pool is up, its runs are left alone.

    Raises:
        PupilaError: the server does not answer, or refuses.
    """
    _wait_until(api.answers, _SERVER_SECONDS)
    try:
        if not under_way(api):
            return
        say("runs are under way: waiting until the server knows whether their worker is up")
        if _wait_until(lambda: not _online(api), _SILENT_SECONDS):
            for name in take_up(api):
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


def _wait_until(happened: Callable[[], bool], seconds: float) -> bool:
    """Wait for something to become true, and tell whether it has."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
