"""Talk within this machine, which no proxy may get between."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

_UNPROXIED = ("no_proxy", "NO_PROXY")
_ITSELF = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, and reached by nobody else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unproxied(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """Return the variables that keep this machine, and some hosts, from being asked by a proxy.

    What the user has named in them stays.
    """
    given = ",".join(filter(None, (environment.get(name, "") for name in _UNPROXIED)))
    named = [each.strip() for each in given.split(",") if each.strip()]
    value = ",".join(dict.fromkeys([*named, *_ITSELF, *filter(None, hosts)]))
    return dict.fromkeys(_UNPROXIED, value)
