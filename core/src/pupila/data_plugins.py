"""Descriptors of plugins that read data: formats of image files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pupila.plugin import Plugin

HEAD_BYTES = 512
"""Number of bytes at the beginning of a file by which a format is recognised."""


@dataclass(frozen=True, kw_only=True)
class ImageFormat(Plugin):
    """A format of image files, or several, that one function decodes.

    The implementation is `read(path: Path)`. It returns a PIL image, which may still be unread, or
    an array `(height, width)` or `(height, width, 3)` of uint8 or uint16, full scale 255 or 65535.
    `pupila.images.decode` makes upright 8-bit RGB of it, refuses images that are too large, and
    reports what the function raises as the reason why a file cannot be read. A decoder that
    allocates the whole image itself calls `pupila.images.check_size` first.
    """

    kind: ClassVar[str] = "image format"
    suffixes: frozenset[str]
    """Suffixes of its files in small letters, as in `.dcm`. Files with them in a folder count as
    images."""
    recognises: Callable[[bytes], bool] | None = None
    """Function that tells from the first `HEAD_BYTES` of a file whether it has this format,
    whatever its name; None if that does not say."""
