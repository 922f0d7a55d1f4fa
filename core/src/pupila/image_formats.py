"""Which files are images, and which installed decoder reads a file.

A file in a folder counts as an image if a decoder has its suffix. A file without a suffix counts if
a decoder recognises its first bytes. A file that is an image is decoded by what recognises its
content, or else by what has its suffix.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pupila.data_plugins import HEAD_BYTES, ImageFormat
from pupila.errors import PupilaError
from pupila.paths import is_special
from pupila.plugin_registry import IMAGES_VARIABLE, installed
from pupila.requirements import CORE, requirements

PACKAGES: Mapping[str, str] = dict.fromkeys(
    (".heic", ".heif", ".hif", ".dcm", ".dicom"), "pupila-images"
)
"""Package that reads the files of a suffix, for messages where no decoder of it is installed."""


class NotAnImageFormat(PupilaError):
    """A file that no installed decoder reads; the message has no path."""


def suffix_of(name: str) -> str:
    """Return a file's suffix in small letters, as in `.png`; "" if it has none.

    A number is not a suffix: DICOM files may be named `1.2.840.10008.1`.
    """
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  a Path for each of many files is slow
    return "" if suffix[1:].isdigit() else suffix


def is_image(file: str) -> bool:
    """Tell whether a file in a folder is an image; hidden files (`._x.jpg`) are not.

    A file is opened only if it has no suffix.
    """
    base = os.path.basename(file)  # noqa: PTH119  as above
    if base.startswith("."):
        return False
    suffix = suffix_of(base)
    if suffix:
        return suffix in formats_by_suffix()
    return not is_special(Path(file)) and bool(_recognising(Path(file)))


def format_of(path: Path) -> ImageFormat:
    """Return the format as which a file is decoded: that of its content, or else of its suffix.

    It must not be a pipe or a device: these are opened.

    Raises:
        NotAnImageFormat: no installed decoder reads such a file.
        PupilaError: several do, and `PUPILA_IMAGES` names none of them.
        OSError: the file cannot be read.
    """
    suffix = suffix_of(path.name)
    named = formats_by_suffix().get(suffix, ())
    if suffix and not named:
        raise NotAnImageFormat(f"no installed decoder reads {suffix} files{advise(suffix)}")
    recognising = _recognising(path)
    both = tuple(one for one in recognising if one in named)
    candidates = both or recognising or named
    if not candidates:
        empty = not path.stat().st_size
        raise NotAnImageFormat("the file is empty" if empty else "its format is not known")
    return installed().only(candidates, f"read {suffix or 'such'} files", IMAGES_VARIABLE)


def advise(suffix: str) -> str:
    """Return which package reads files of a suffix, in brackets; empty if none is known."""
    package = PACKAGES.get(suffix)
    return f" (`pip install {package}` adds one)" if package else ""


def count_left_out(file: str, left_out: Counter[str]) -> None:
    """Count a file that is not an image in `left_out`, by suffix, unless it is hidden."""
    base = os.path.basename(file)  # noqa: PTH119  as above
    if not base.startswith("."):
        left_out[suffix_of(base)] += 1


def count_by_suffix(files: Mapping[str, int]) -> str:
    """Return in words how many files of each suffix were left out: `12 .dcm, 3 without a suffix`.

    `files` maps suffixes to numbers of files.
    """
    ordered = sorted(files.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{count:,} {suffix or 'without a suffix'}{advise(suffix)}" for suffix, count in ordered
    )


def describe_left_out(files: Mapping[str, int]) -> str:
    """Return, to end a line about images, how many other files were left out; "" if none."""
    if not files:
        return ""
    return f"; {sum(files.values()):,} other files left out: {count_by_suffix(files)}"


@cache
def _formats() -> tuple[ImageFormat, ...]:
    return tuple(installed().all(ImageFormat))


@cache
def formats_by_suffix() -> Mapping[str, tuple[ImageFormat, ...]]:
    """Return the installed formats by the suffixes of their files."""
    formats = _formats()
    suffixes = {suffix for one in formats for suffix in one.suffixes}
    return {suffix: tuple(one for one in formats if suffix in one.suffixes) for suffix in suffixes}


@cache
def code_of_format(plugin: ImageFormat) -> str:
    """Return the versions of all code that decodes a format, besides core; empty for core's own.

    Core and what it requires are in every key of a result anyway.
    """
    origin = installed().origin(plugin)
    if origin.distribution == CORE:
        return ""
    required, of_core = requirements(origin.distribution), requirements(CORE)
    packages = [f"{name} {version}" for name, version in required.items() if name not in of_core]
    environment = [plugin.environment()] if plugin.environment else []
    return ", ".join((f"{plugin.name} of {origin.distribution}", *packages, *environment))


@cache
def code_of_formats() -> tuple[str, ...]:
    """Return what all measurements of images depend on: every decoder, and which is preferred."""
    return (*installed().code_of(*_formats()), os.environ.get(IMAGES_VARIABLE, ""))


def forget() -> None:
    """Forget the installed formats, so that they are found out again."""
    for function in (_formats, formats_by_suffix, code_of_format, code_of_formats):
        function.cache_clear()


def _recognising(path: Path) -> tuple[ImageFormat, ...]:
    """Return the formats that recognise a file's first bytes; none if it cannot be read."""
    try:
        with path.open("rb", buffering=0) as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return ()
    return tuple(one for one in _formats() if _recognises(one, head))


def _recognises(plugin: ImageFormat, head: bytes) -> bool:
    if plugin.recognises is None:
        return False
    with installed().calling(plugin):
        return plugin.recognises(head)
