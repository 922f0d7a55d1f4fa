"""With how many threads models compute: a setting, since it changes what they learn and answer.

Sums are split among threads, so another number of them adds in another order: with 1, 2 and 4 a
training ends in three different nets. How many cores there are changes nothing.
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
"""What TensorFlow and the libraries below NumPy and scikit-learn read before they start."""


def model_threads() -> int:
    """Return the number of threads with which models compute in this process.

    Raises:
        PupilaError: the environment says something else than a number.
    """
    given = os.environ.get(_VARIABLE, str(DEFAULT_THREADS))
    if not given.isdecimal() or int(given) < 1:
        raise PupilaError(f"{_VARIABLE} is {given!r}: give a number of threads, 1 or more.")
    return int(given)


def environment(count: int) -> dict[str, str]:
    """Return the environment variables of a process that computes with this many threads."""
    return dict.fromkeys((_VARIABLE, *_LIBRARIES), str(count))
