"""Descriptors of plugins that read data: formats of image files, and readers of data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pupila.plugin import Config, Plugin

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


@dataclass(frozen=True, kw_only=True)
class DatasetReader(Plugin):
    """A form of data sets, such as a folder of classes, and the function that lists the images.

    The implementation is `read(source: pupila.DataSource) -> Iterator[pupila.ListedImage]`. It
    yields the images with their columns as texts, and raises `PupilaError` for data that it must
    refuse. A recipe may name the reader as `data.reader`; otherwise the reader that recognises the
    data is taken. The folders and CSVs that Pupila itself reads are asked for last.
    """

    kind: ClassVar[str] = "reader"
    recognises: Callable[[Path], bool]
    """Function that tells whether it reads what is at an existing path, by names and first bytes
    only."""
    config: type[Config] = Config
