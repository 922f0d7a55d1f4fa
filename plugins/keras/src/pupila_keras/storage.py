"""Opens HDF5 files, and makes sure that they hold all of their content themselves.

HDF5 lets a file name other files for a dataset's bytes or for whole groups; reading it then reads
those, wherever they are on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila import PupilaError

h5py: Any = import_module("h5py")  # it has no types

_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises over damaged files, by the place of the damage."""
_CUT_SHORT = re.compile(r"truncated file: eof = (\d+),.* stored_eof = (\d+)")
"""How the HDF5 library says how many bytes are there, and how many the file should have."""
_SMALL_BYTES = 1 << 28
_MOST_TIMES = 50
"""Weights of which nine in ten are zero shrink to about a tenth; a bomb to a thousandth."""
_MOST_WRITTEN = 10**15
_HARD_LINK = 0
"""The HDF5 library's H5L_TYPE_HARD: the entry lies in this file."""


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """Open an HDF5 file as an `h5py.File`; what reading it raises becomes one sentence.

    Raises:
        PupilaError: it is cut short, damaged, or something else.
    """
    try:
        with h5py.File(path) as file:
            yield file
    except _DAMAGE as error:
        raise PupilaError(_why_unreadable(error)) from error


def _why_unreadable(error: Exception) -> str:
    if cut := _CUT_SHORT.search(str(error)):
        there, whole = (int(number) for number in cut.groups())
        return f"it is cut short: {there:,} of its {whole:,} bytes are there. Copy it again."
    if "signature not found" in str(error):
        return "it is no HDF5 file, as a .h5 must be: copy it again, or name it by what it is."
    return "it is an HDF5 file, but damaged: copy it again."


def check_unpacked(unpacked: int, stored: int) -> None:
    """Refuse what takes far more memory than its file has bytes.

    Raises:
        PupilaError: it does.
    """
    if unpacked > max(_SMALL_BYTES, _MOST_TIMES * stored):
        raise PupilaError(
            f"it has {stored:,} bytes and would take {written_out(unpacked)}: more than "
            f"{_MOST_TIMES} times as many, which no model's weights do. Save it again, from the "
            "program that made it."
        )


def written_out(number: int) -> str:
    """Return a number in digits; one that a file made up may have hundreds."""
    return f"{number:,}" if number < _MOST_WRITTEN else f"{_MOST_WRITTEN:,} or more"


def check_storage(path: Path) -> None:
    """Refuse an HDF5 file that takes any of its content from elsewhere, or unpacks to far more.

    Raises:
        PupilaError: it holds a soft or external link, or a virtual or external dataset, which the
            message names; its datasets take far more memory than the file; or it cannot be read.
    """
    with opened(path) as file:
        datasets: list[Any] = []
        for name, kind in _references(file, datasets):
            raise PupilaError(
                f"{name!r} is {kind}, by which HDF5 reads other files: refused. "
                "Save the model again, from the program that made it."
            )
        unpacked = sum(int(each.nbytes) for each in datasets)
    check_unpacked(unpacked, path.stat().st_size)


def _references(file: Any, datasets: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and kind of each reference in a file, following none; collect its datasets.

    h5py's own visitors crash over damaged files.
    """
    pending: list[Any] = [file]
    seen: set[Any] = set()  # groups may hold each other
    while pending:
        group = pending.pop()
        for name in group.id:
            path = f"{group.name}/{name.decode(errors='replace')}".lstrip("/")
            if group.id.links.get_info(name).type != _HARD_LINK:
                yield path, "a link"
                continue
            entry = group[name]
            if isinstance(entry, h5py.Dataset) and entry.is_virtual:
                yield path, "a virtual dataset"
            elif isinstance(entry, h5py.Dataset) and entry.external:
                yield path, "an external dataset"
            elif isinstance(entry, h5py.Dataset):
                datasets.append(entry)
            elif isinstance(entry, h5py.Group) and entry not in seen:
                seen.add(entry)
                pending.append(entry)
