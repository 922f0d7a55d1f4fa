"""Names the plugin, its package and version in whatever a plugin's code raises."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from pupila.errors import PluginFailed, PupilaError
from pupila.plugin_loading import RegisteredPlugin

_PROGRAM = ("pupila", "pupila_flows")


@contextmanager
def naming(who: str, *expected: type[Exception]) -> Generator[None]:
    """Name `who`, a plugin, in what its code raises in the `with` block.

    A `PupilaError`, the mistake of a user, is raised unchanged, and so are errors of the classes
    `expected`, which the caller handles.

    Raises:
        PluginFailed: the code raised anything else, or ended the program by `sys.exit`.
    """
    try:
        yield
    except (PupilaError, PluginFailed, *expected):
        raise
    except (Exception, SystemExit) as error:
        raise PluginFailed(_sentence(who, error)) from error


def blame(error: Exception, entries: Iterable[RegisteredPlugin]) -> PluginFailed | None:
    """Return an error that names the package of the plugin whose code raised it.

    It is None if the innermost code in the traceback is that of core or flows and not a plugin's.
    This is for methods that are called everywhere, such as those of a task; `naming` also sees
    a call that does not even begin.
    """
    packages: dict[str, list[RegisteredPlugin]] = {}
    for entry in entries:
        packages.setdefault(_package(entry.plugin.implementation), []).append(entry)
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = _package(str(frame.f_globals.get("__name__")))
        if package in _PROGRAM:
            return None
        if owners := packages.get(package):
            failed = PluginFailed(_sentence(_owner(owners), error))
            failed.__cause__ = error
            return failed
    return None


def _owner(entries: list[RegisteredPlugin]) -> str:
    first = entries[0]
    return first.title if len(entries) == 1 else f"Code of {first.distribution} {first.version}"


def _package(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]


def _sentence(who: str, error: BaseException) -> str:
    """Return what happened, without a full stop: callers add where."""
    if isinstance(error, SystemExit):
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{who} called sys.exit({error.code!r}) in {where.filename}, line {where.lineno}"
    return f"{who} raised {type(error).__name__}: {error}".rstrip(": .")
