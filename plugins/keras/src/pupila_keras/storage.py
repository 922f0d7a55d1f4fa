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


def check_storage(path: Path) -> None:
    """Refuse an HDF5 file that takes any of its content from elsewhere.

    Raises:
        PupilaError: it holds a soft or external link, or a virtual or external dataset, which the
            message names; or it cannot be read.
    """
    with opened(path) as file:
        for name, kind in _references(file):
            raise PupilaError(
                f"{name!r} is {kind}, by which HDF5 reads other files: refused. "
                "Save the model again, from the program that made it."
            )


def _references(file: Any) -> Iterator[tuple[str, str]]:
    """Yield the path and kind of each reference in a file, following none.

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
            elif isinstance(entry, h5py.Group) and entry not in seen:
                seen.add(entry)
                pending.append(entry)
