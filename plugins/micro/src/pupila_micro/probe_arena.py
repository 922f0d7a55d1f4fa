"""Runs a flatbuffer once in an arena of a given size, and prints how the arena was used.

This is a separate program, as TFLite Micro crashes the process if the arena is far too small. The
program imports nothing of Pupila, so that it starts fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np


def main(path: str, arena_bytes: str) -> None:
    """Run the model at `path` on an image of zeros; the interpreter writes its log to stderr."""
    micro: Any = import_module("tflite_micro")  # has no type annotations
    interpreter = micro.runtime.Interpreter.from_file(path, arena_size=int(arena_bytes))
    detail = interpreter.get_input_details(0)
    interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), 0)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    main(*sys.argv[1:])
