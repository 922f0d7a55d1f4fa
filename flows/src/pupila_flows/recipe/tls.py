"""Files by which the machines of a cluster know each other."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class TlsFiles(NamedTuple):
    """Certificate of the authority that all trust, and one's own with its private key."""

    ca: Path
    cert: Path
    key: Path
