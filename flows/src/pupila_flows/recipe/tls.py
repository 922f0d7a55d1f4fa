"""Certificates by which the machines of a cluster recognise each other."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class TlsFiles(NamedTuple):
    """Paths of the authority's certificate, this machine's certificate and its private key."""

    ca: Path
    cert: Path
    key: Path
