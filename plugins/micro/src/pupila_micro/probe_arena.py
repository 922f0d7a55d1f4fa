"""Opens a flatbuffer in an arena of some size, runs it once, and prints what the arena held.

A program of its own: where an arena is far too small, TFLite Micro takes the process along. It
imports nothing of Pupila, so that it starts fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np


def main(path: str, arena_bytes: str) -> None:
    """Run a model on zeros; the interpreter writes to stderr what it thinks of it."""
    micro: Any = import_module("tflite_micro")  # it has no types
    interpreter = micro.runtime.Interpreter.from_file(path, arena_size=int(arena_bytes))
    detail = interpreter.get_input_details(0)
    interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), 0)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    main(*sys.argv[1:])
