"""Addresses of this machine, and how to reach them without a proxy."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

import psutil

_UNPROXIED = ("no_proxy", "NO_PROXY")
ITSELF = ("127.0.0.1", "localhost", "::1")
"""Loopback names of this machine, which work only on the machine itself."""


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unproxied(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """Return `no_proxy` variables that exclude this machine and `hosts` from proxies.

    Hosts that these variables already exclude in `environment` stay excluded.
    """
    given = ",".join(filter(None, (environment.get(name, "") for name in _UNPROXIED)))
    named = [host.strip() for host in given.split(",") if host.strip()]
    value = ",".join(dict.fromkeys([*named, *ITSELF, *filter(None, hosts)]))
    return dict.fromkeys(_UNPROXIED, value)


def names_of_this_machine() -> set[str]:
    """Return the names and addresses under which others may reach this machine."""
    addresses = {
        address.address for interface in psutil.net_if_addrs().values() for address in interface
    }
    names = {socket.gethostname(), socket.getfqdn()}
    return {name.partition("%")[0].lower() for name in addresses | names}
