"""The formats of image files that Pillow reads; they come in by the hook of all decoders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from pupila.data_plugins import ImageFormat
from pupila.hookspecs import hookimpl

_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".avifs", ".blp", ".bmp", ".bw", ".cur", ".dcx", ".dds", ".dib"),
        *(".eps", ".fit", ".fits", ".flc", ".fli", ".ftc", ".ftu", ".gbr", ".gif", ".icb"),
        *(".icns", ".ico", ".iim", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe"),
        *(".jpeg", ".jpf", ".jpg", ".jpx", ".msp", ".pbm", ".pcd", ".pcx", ".pfm", ".pgm"),
        *(".png", ".pnm", ".ppm", ".ps", ".psd", ".pxr", ".qoi", ".ras", ".rgb", ".rgba"),
        *(".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp", ".xbm", ".xpm"),
    }
)
"""Suffixes of formats that Pillow 13 opens and decodes by itself. They are listed here, because
asking Pillow imports a module for each format. Pillow also opens `.bufr`, `.grib`, `.h5`, `.hdf`,
`.mpg`, `.mpeg`, `.emf` and `.wmf`, which it cannot decode, or only on Windows."""
_BEGINNINGS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
)
"""First bytes of JPEG, PNG, GIF, TIFF and JPEG 2000."""


@hookimpl
def pupila_images() -> Iterator[ImageFormat]:
    """Yield all of Pillow's formats as one."""
    yield ImageFormat(
        name="pillow",
        summary="JPEG, PNG, TIFF, WebP, AVIF and the other formats of Pillow",
        suffixes=_SUFFIXES,
        recognises=_recognises,
        implementation=f"{__name__}:read",
    )


def read(path: Path) -> Image.Image:
    """Open an image file, by its content; of several frames, the first is read."""
    return Image.open(path)


def _recognises(head: bytes) -> bool:
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return is_webp or head[4:12] == b"ftypavif" or head.startswith(_BEGINNINGS)
