"""Talk within this machine, which no proxy may get between."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

import psutil

_UNPROXIED = ("no_proxy", "NO_PROXY")
ITSELF = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that lead nowhere else."""


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
    value = ",".join(dict.fromkeys([*named, *ITSELF, *filter(None, hosts)]))
    return dict.fromkeys(_UNPROXIED, value)


def names_of_this_machine() -> set[str]:
    """Return the names and addresses under which others may reach this machine."""
    addresses = {each.address for known in psutil.net_if_addrs().values() for each in known}
    names = {socket.gethostname(), socket.getfqdn()}
    return {each.partition("%")[0].lower() for each in addresses | names}
