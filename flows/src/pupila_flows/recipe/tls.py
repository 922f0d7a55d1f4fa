"""Certificates by which the machines of a cluster recognise each other."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class TlsFiles(NamedTuple):
    """The authority's certificate, and the machine's own with its private key."""

    ca: Path
    cert: Path
    key: Path
