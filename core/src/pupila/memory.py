"""Measures the peak memory of this process."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_KIB = 1024


def peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far, including Python.

    On Linux the value is `VmHWM`, not `ru_maxrss` of `getrusage`. On Linux, `ru_maxrss` includes
    the memory that the parent process had when it started this process, which overstates the memory
    of a small model.
    """
    if _STATUS.exists():
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        return int(peak) * _KIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
