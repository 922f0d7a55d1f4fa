"""Opens HDF5 files, and checks that they do not refer to other files.

The bytes of a dataset, or whole groups, may be in other files that the HDF5 file names. Reading the
HDF5 file then reads those files, wherever they are on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila import PupilaError

h5py: Any = import_module("h5py")  # has no type annotations

_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""Exceptions that h5py raises for damaged files, depending on what is damaged."""
_CUT_SHORT = re.compile(r"truncated file: eof = (\d+),.* stored_eof = (\d+)")
"""The HDF5 library's message for a file that is cut short, with its actual and expected sizes."""
_SMALL_BYTES = 1 << 28
_MOST_TIMES = 50
"""Largest allowed ratio of unpacked to stored bytes.

Weights with 90 % zeros are compressed to about a tenth, a decompression bomb to a thousandth.
"""
_MOST_WRITTEN = 10**15
_HARD_LINK = 0
"""The HDF5 library's H5L_TYPE_HARD: a link to an object in the same file."""


@contextmanager
def open_hdf5(path: Path) -> Generator[Any]:
    """Open an HDF5 file as an `h5py.File`, and turn reading errors into an error of one sentence.

    Raises:
        PupilaError: the file is cut short, damaged, or not HDF5.
    """
    try:
        with h5py.File(path) as file:
            yield file
    except _DAMAGE as error:
        raise PupilaError(_explain(error)) from error


def _explain(error: Exception) -> str:
    if cut := _CUT_SHORT.search(str(error)):
        there, whole = (int(number) for number in cut.groups())
        return f"it is cut short: {there:,} of its {whole:,} bytes are there. Copy it again."
    if "signature not found" in str(error):
        return (
            "it is not an HDF5 file, as a .h5 file must be: copy it again, or correct its suffix."
        )
    return "it is an HDF5 file, but damaged: copy it again."


def check_unpacked(unpacked: int, stored: int) -> None:
    """Refuse a file whose content would take far more memory than the file has bytes.

    `unpacked` is the number of bytes that the content takes in memory, and `stored` is the number
    of bytes of the file.

    Raises:
        PupilaError: the content takes more than 50 times the bytes of the file, and more than
            268 MB.
    """
    if unpacked > max(_SMALL_BYTES, _MOST_TIMES * stored):
        raise PupilaError(
            f"it has {stored:,} bytes and would take {format_number(unpacked)}: more than "
            f"{_MOST_TIMES} times as many, which no model's weights do. Save it again, from the "
            "program that made it."
        )


def format_number(number: int) -> str:
    """Return a number as text; huge numbers, as in a damaged file, are cut off at 10^15."""
    return f"{number:,}" if number < _MOST_WRITTEN else f"{_MOST_WRITTEN:,} or more"


def check_storage(path: Path) -> None:
    """Refuse an HDF5 file that refers to other files, or takes far more memory than its size.

    Raises:
        PupilaError: the file has a soft or external link, or a virtual or external dataset (the
            message names it); the datasets take far more memory than the file's size; or the file
            cannot be read.
    """
    with open_hdf5(path) as file:
        datasets: list[Any] = []
        for name, kind in _references(file, datasets):
            raise PupilaError(
                f"{name!r} is {kind}, which makes HDF5 read other files: refused. "
                "Save the model again, from the program that made it."
            )
        unpacked = sum(int(dataset.nbytes) for dataset in datasets)
    check_unpacked(unpacked, path.stat().st_size)


def _references(file: Any, datasets: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and the kind of each reference to other objects or files.

    References are not followed. Datasets without references are added to `datasets`. h5py's own
    visitors are not used, as they crash on damaged files.
    """
    pending: list[Any] = [file]
    seen: set[Any] = set()  # groups may contain each other
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
