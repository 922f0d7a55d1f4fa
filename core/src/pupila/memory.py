"""How much memory a process took at most."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_KIB = 1024


def peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far, Python included.

    Linux' `VmHWM`. Not `getrusage`: its `ru_maxrss` starts from what the parent process had when
    it started this one, so a small model would be charged with its parent's memory.
    """
    if _STATUS.exists():
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        return int(peak) * _KIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
