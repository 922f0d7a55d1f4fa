"""Measures the arena: the memory in which TFLite Micro keeps everything outside the flatbuffer.

Nothing is estimated. The model runs once in more memory than any microcontroller has, and the
interpreter records how much memory it used. The model then runs again in an arena of the recorded
size. If this arena is too small, a search finds the smallest arena that is large enough.
"""

from __future__ import annotations

import re
import subprocess
import sys
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from pupila import PupilaError

_AMPLE_BYTES = 256 * 2**20
"""Size of the first arena. Only the part that a model uses takes memory of this computer."""
_ALIGNMENT = 16
_ROOM_BYTES = 2**18
"""How far beyond the recorded size the search goes.

The interpreter also needs memory to lay out tensors, which it does not record. This is more than
that memory.
"""
_TOO_SMALL = re.compile(r"^(Failed to (allocate|resize)|Too many buffers).*", re.MULTILINE)
_RECORDED = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
_OPERATOR = re.compile(r"Node (\w+) \(number (\d+)\) failed to (?:prepare|invoke)")
_UNKNOWN = re.compile(r"Didn't find op for builtin opcode '(\w+)'")


@dataclass(frozen=True)
class Arena:
    """How many bytes of an arena a model uses."""

    total: int
    """Size of the whole arena in bytes."""
    activations: int
    """Bytes of images and feature maps, which share memory."""
    persistent: int
    """Bytes of data that operators keep. A computer with 64-bit pointers needs more of them than a
    microcontroller with 32-bit pointers."""


@dataclass(frozen=True)
class _RuntimeCheck:
    arena: Arena | None
    """The arena as the model used it; None if the model did not run."""
    stderr: str
    exit_status: int


def measure_arena(model: Path) -> Arena:
    """Return the smallest arena in which the flatbuffer at `model` runs.

    Raises:
        PupilaError: TFLite Micro cannot run the flatbuffer; the message names the operator.
    """
    ample = _used_arena(model, _AMPLE_BYTES)
    return Arena(_smallest(model, ample.total), ample.activations, ample.persistent)


def _smallest(model: Path, recorded: int) -> int:
    """Return the size in bytes of the smallest arena that suffices.

    It is the recorded size, rounded up to the alignment, or more for a tiny model.
    """

    def is_enough(total: int) -> bool:
        return _probe(model, total).arena is not None

    start = -(-recorded // _ALIGNMENT) * _ALIGNMENT
    if is_enough(start):
        return start
    sizes = range(start + _ALIGNMENT, start + _ROOM_BYTES, _ALIGNMENT)
    return sizes[bisect_left(sizes, True, key=is_enough)]


def check_arena(model: Path, arena_bytes: int) -> None:
    """Check that the flatbuffer at `model` runs in an arena of `arena_bytes`.

    Raises:
        PupilaError: the flatbuffer does not run; the message names the operator, or says what is
            too small.
    """
    _used_arena(model, arena_bytes)


def _used_arena(model: Path, arena_bytes: int) -> Arena:
    check = _probe(model, arena_bytes)
    if check.arena is None:
        raise PupilaError(_refusal(check, arena_bytes))
    return check.arena


def _probe(model: Path, arena_bytes: int) -> _RuntimeCheck:
    """Run the model in an arena of `arena_bytes`, in a child process, as TFLite Micro may crash."""
    program = Path(__file__).with_name("probe_arena.py")
    command = [sys.executable, "-P", program, model, str(arena_bytes)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    sizes = {name: int(size) for name, size in _RECORDED.findall(ended.stderr)}
    arena = None
    if ended.returncode == 0:
        arena = Arena(sizes["total"], sizes["head"], sizes["tail"])
    return _RuntimeCheck(arena, ended.stderr, ended.returncode)


def _refusal(check: _RuntimeCheck, arena_bytes: int) -> str:
    """Return one sentence that says why a model did not run."""
    stderr = check.stderr
    if check.exit_status < 0:
        end = f"the interpreter ended with signal {-check.exit_status}"
        return f"TFLite Micro does not run the model in {arena_bytes} bytes: {end}."
    if lack := _TOO_SMALL.search(stderr):
        return f"TFLite Micro does not run the model in {arena_bytes} bytes: {lack[0]}."
    if unknown := _UNKNOWN.search(stderr):
        return f"TFLite Micro has no operator {unknown[1]}: take out of the model what makes it."
    if operator := _OPERATOR.search(stderr):
        name, number = operator.groups()
        return (
            f"TFLite Micro refuses {name} (operator {number}): {_reason(stderr)}. "
            f"Quantise the model in another way, or take out of it what makes this operator."
        )
    end = stderr.strip().splitlines()[-1]
    return f"TFLite Micro cannot run the model: {end}. Give a whole int8 flatbuffer."


def _reason(stderr: str) -> str:
    """Return the log line before the one that names the operator, without file and line number."""
    before = _OPERATOR.split(stderr)[0].splitlines()
    lines = [line.strip().rstrip(".") for line in before if line.strip()]
    return re.sub(r"^\S+\.(cc|h)(:\d+)? ", "", lines[-1]) if lines else "it gives no reason"
