"""The number of threads with which models compute. It is a setting, because it changes results.

Sums are split among threads, so the number of threads changes the order of additions: the same
training with 1, 2 and 4 threads gives three different nets. The number of cores has no influence.
"""

from __future__ import annotations

import os

from pupila.errors import PupilaError

DEFAULT_THREADS = 2
_VARIABLE = "PUPILA_THREADS"
_LIBRARIES = (
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
)
"""Environment variables that TensorFlow, NumPy's and scikit-learn's libraries read at start."""


def model_threads() -> int:
    """Return the number of threads with which models compute in this process.

    Raises:
        PupilaError: `PUPILA_THREADS` is not a positive number.
    """
    given = os.environ.get(_VARIABLE, str(DEFAULT_THREADS))
    if not given.isdecimal() or int(given) < 1:
        raise PupilaError(f"{_VARIABLE} is {given!r}: give a number of threads, 1 or more.")
    return int(given)


def environment(count: int) -> dict[str, str]:
    """Return the environment variables for a process that computes with `count` threads."""
    return dict.fromkeys((_VARIABLE, *_LIBRARIES), str(count))
