"""The environment variables of a station's Prefect processes."""

from __future__ import annotations

import os
from pathlib import Path

from pupila_flows import served
from pupila_flows.garbage.prefect_runs import settings
from pupila_flows.registry.addresses import VARIABLE, address_from_environment
from pupila_flows.station.address import Address
from pupila_flows.station.loopback import unproxied

MARK = "PUPILA_STATION"
"""Environment variable that marks a station's processes, and those they start."""


KEEP_SECONDS = 90 * 24 * 3600.0
"""How long a station's server keeps runs that have ended."""


def environment(
    workspace: Path, address: Address, mark: str = "", keep_seconds: float = KEEP_SECONDS
) -> dict[str, str]:
    """Return the environment variables for a station's server and worker.

    Variables that the user has set keep their values, with three exceptions: the server's address,
    the server's password, and the settings of telemetry. This machine is added to `no_proxy`.
    """
    fixed = {
        MARK: mark,
        served.VARIABLE: str(workspace),
        "PREFECT_API_URL": address.api,
        "PREFECT_API_AUTH_STRING": address.auth,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **unproxied(os.environ, address.reached),
    }
    registry = address_from_environment()
    if registry:
        fixed[VARIABLE] = registry
    defaults = {
        "PREFECT_HOME": str(workspace / "station"),
        # 2 + 4 + … + 256 s: a server that is away for eight minutes costs no run
        "PREFECT_CLIENT_MAX_RETRIES": "8",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        **settings(keep_seconds),
    }
    return defaults | dict(os.environ) | fixed
