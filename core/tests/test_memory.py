"""The peak memory is that of this process, not of its parent."""

from __future__ import annotations

import subprocess
import sys

from pupila.memory import peak_memory_bytes


def test_the_peak_grows_with_memory_in_use():
    before = peak_memory_bytes()
    held = b"x" * (before + 50_000_000)
    assert peak_memory_bytes() >= len(held)


def test_a_child_does_not_count_its_parents_memory():
    held = b"x" * 300_000_000
    program = "from pupila.memory import peak_memory_bytes; print(peak_memory_bytes())"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(process.stdout) < len(held)
