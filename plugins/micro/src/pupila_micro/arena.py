"""Measures the arena: the memory in which TFLite Micro keeps all that is not in the flatbuffer.

Nothing is estimated. The model runs once in more memory than any microcontroller has, the
interpreter's recorder tells what it took of it, and the model runs again in just that much; where
that does not do, the least arena that does is searched for.
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
"""Never touched beyond what a model needs, and so not taken from the computer either."""
_ALIGNMENT = 16
_ROOM_BYTES = 2**18
"""More than the interpreter needs to plan where tensors lie, which its recorder does not count."""
_TOO_SMALL = re.compile(r"^(Failed to (allocate|resize)|Too many buffers).*", re.MULTILINE)
_RECORDED = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
_OPERATOR = re.compile(r"Node (\w+) \(number (\d+)\) failed to (?:prepare|invoke)")
_UNKNOWN = re.compile(r"Didn't find op for builtin opcode '(\w+)'")


@dataclass(frozen=True)
class Arena:
    """What one model takes of an arena, in bytes."""

    total: int
    activations: int
    """Images and feature maps, which share their places as they come and go."""
    persistent: int
    """What operators keep: on a 64-bit computer more than where pointers have 32 bits."""


@dataclass(frozen=True)
class _Attempt:
    arena: Arena | None
    """None where the model did not run."""
    complaint: str
    """What the interpreter wrote to stderr."""
    status: int
    """The exit status of the process."""


def measure_arena(model: Path) -> Arena:
    """Return the least arena that a flatbuffer ran in.

    Raises:
        PupilaError: TFLite Micro cannot run it; the message names the operator.
    """
    ample = _arena_in(model, _AMPLE_BYTES)
    return Arena(_least(model, ample.total), ample.activations, ample.persistent)


def _least(model: Path, recorded: int) -> int:
    """Return the least arena that is enough: what was recorded or, for a tiny model, some more."""

    def is_enough(total: int) -> bool:
        return _attempt(model, total).arena is not None

    start = -(-recorded // _ALIGNMENT) * _ALIGNMENT
    if is_enough(start):
        return start
    sizes = range(start + _ALIGNMENT, start + _ROOM_BYTES, _ALIGNMENT)
    return sizes[bisect_left(sizes, True, key=is_enough)]


def check_arena(model: Path, arena_bytes: int) -> None:
    """Make sure that a flatbuffer runs in an arena of that size.

    Raises:
        PupilaError: it does not; the message names the operator, or says what is too small.
    """
    _arena_in(model, arena_bytes)


def _arena_in(model: Path, arena_bytes: int) -> Arena:
    attempt = _attempt(model, arena_bytes)
    if attempt.arena is None:
        raise PupilaError(_refusal(attempt, arena_bytes))
    return attempt.arena


def _attempt(model: Path, arena_bytes: int) -> _Attempt:
    """Run the model in a child, which may crash."""
    program = Path(__file__).with_name("probe_arena.py")
    command = [sys.executable, "-P", program, model, str(arena_bytes)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    sizes = {name: int(size) for name, size in _RECORDED.findall(ended.stderr)}
    arena = None
    if ended.returncode == 0:
        arena = Arena(sizes["total"], sizes["head"], sizes["tail"])
    return _Attempt(arena, ended.stderr, ended.returncode)


def _refusal(attempt: _Attempt, arena_bytes: int) -> str:
    """Say in one sentence why a model did not run."""
    complaint = attempt.complaint
    if attempt.status < 0:
        end = f"the interpreter ended with signal {-attempt.status}"
        return f"TFLite Micro does not run the model in {arena_bytes} bytes: {end}."
    if lack := _TOO_SMALL.search(complaint):
        return f"TFLite Micro does not run the model in {arena_bytes} bytes: {lack[0]}."
    if unknown := _UNKNOWN.search(complaint):
        return f"TFLite Micro has no operator {unknown[1]}: take out of the model what makes it."
    if operator := _OPERATOR.search(complaint):
        name, number = operator.groups()
        return (
            f"TFLite Micro refuses {name} (operator {number}): {_reason(complaint)}. "
            f"Quantise the model in another way, or take out of it what makes this operator."
        )
    end = complaint.strip().splitlines()[-1]
    return f"TFLite Micro cannot run the model: {end}. Give a whole int8 flatbuffer."


def _reason(complaint: str) -> str:
    """Return the line before the one that names the operator, without the place in its code."""
    before = _OPERATOR.split(complaint)[0].splitlines()
    lines = [line.strip().rstrip(".") for line in before if line.strip()]
    return re.sub(r"^\S+\.(cc|h)(:\d+)? ", "", lines[-1]) if lines else "it gives no reason"
