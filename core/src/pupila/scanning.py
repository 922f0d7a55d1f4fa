"""Measures every image file of a listing once, and remembers it while its contents stay."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import pandas as pd
from PIL import Image, ImageStat

from pupila.damage import put_aside
from pupila.digest import digest_file, digest_json
from pupila.image_stats import MEASURED, ImageStats
from pupila.images import SPECIAL, ImageError, decode
from pupila.paths import is_special
from pupila.requirements import CORE, versions
from pupila.runtime import Progress

_CHUNK_IMAGES = 256
"""Images measured between two commits: bounds memory, and what an interruption loses."""

_SHARPNESS_SIDE = 256
"""Rows and columns of the grey thumbnail, so that sharpness compares images of any size."""


def _memory_name() -> str:
    """Another version of what decodes and measures does so again."""
    return f"scan-{digest_json(versions(CORE))[:16]}.sqlite"


class _Stamp(NamedTuple):
    """Unchanged together, they let a file stay closed."""

    mtime_ns: int
    bytes: int


_DTYPES = {"bytes": "int64"} | dict.fromkeys(
    ("width", "height", "brightness", "sharpness", "mean_red", "mean_green", "mean_blue"),
    "float32",
)
NUMBERS = tuple(_DTYPES)
"""Those of them that are numbers; unknown, for a file that does not decode."""


def scan(listing: pd.DataFrame, cache_folder: Path, progress: Progress) -> pd.DataFrame:
    """Return `listing` with `bytes` and the fields of `Figures` added, row by row.

    A file whose path, modification time and size are as in an earlier scan is not opened; where
    its time alone has changed, its bytes are hashed and no more. Only this frame grows with the
    number of images.

    `phash` is that of Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010, as in the package imagehash; sharpness is LAPV of Pertuz et al., "Analysis of
    focus measure operators for shape-from-focus", Pattern Recognition 46(5), 2013.
    """
    cache_folder.mkdir(parents=True, exist_ok=True)
    paths: list[str] = listing["path"].tolist()
    columns = {name: np.empty(len(paths), _DTYPES.get(name, object)) for name in MEASURED}
    with (
        closing(_open_memory(cache_folder / _memory_name())) as memory,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for start in range(0, len(paths), _CHUNK_IMAGES):
            part = paths[start : start + _CHUNK_IMAGES]
            rows = ((stamp.bytes, *figures) for stamp, figures in _scan_chunk(part, memory, pool))
            for name, values in zip(MEASURED, zip(*rows, strict=True), strict=True):
                columns[name][start : start + len(part)] = values
            progress(start + len(part), len(paths), "images scanned")
    measured = pd.DataFrame(columns).astype({"error": "category"})
    return pd.concat([listing.reset_index(drop=True), measured], axis=1)


def _scan_chunk(
    paths: Sequence[str], memory: _Memory, pool: ThreadPoolExecutor
) -> Iterator[tuple[_Stamp, ImageStats]]:
    stamps = list(map(_stamp, paths))
    known = [memory.recall(path) for path in paths]
    found = pool.map(_measure_if_changed, paths, stamps, known)
    for path, stamp, earlier, figures in zip(paths, stamps, known, found, strict=True):
        if earlier != (stamp, figures):
            memory.note(path, stamp, figures)
        yield stamp, figures
    memory.commit()


def _stamp(path: str) -> _Stamp:
    try:
        status = Path(path).stat()
    except OSError:
        return _Stamp(0, 0)
    return _Stamp(status.st_mtime_ns, status.st_size)


def _measure_if_changed(
    path: str, stamp: _Stamp, earlier: tuple[_Stamp, ImageStats] | None
) -> ImageStats:
    if earlier and stamp == earlier[0] and stamp.mtime_ns:
        return earlier[1]
    file = Path(path)
    if is_special(file):
        return _undecodable("", SPECIAL)
    try:
        sha256 = digest_file(file)
    except OSError as error:
        return _undecodable("", error.strerror or str(error))
    if earlier and earlier[1].sha256 == sha256:
        return earlier[1]
    try:
        return _figures(sha256, decode(file))
    except ImageError as error:
        return _undecodable(sha256, error.reason)


def _undecodable(sha256: str, reason: str) -> ImageStats:
    unknown = float("nan")
    return ImageStats(
        sha256, "", unknown, unknown, unknown, unknown, unknown, unknown, unknown, reason
    )


def _figures(sha256: str, image: Image.Image) -> ImageStats:
    grey = image.convert("L")
    (brightness,) = ImageStat.Stat(grey).mean
    red, green, blue = ImageStat.Stat(image).mean
    return ImageStats(
        sha256=sha256,
        phash=str(imagehash.phash(grey)),
        width=image.width,
        height=image.height,
        brightness=brightness,
        sharpness=_sharpness(grey),
        mean_red=red,
        mean_green=green,
        mean_blue=blue,
        error="",
    )


def _sharpness(grey: Image.Image) -> float:
    side = (_SHARPNESS_SIDE, _SHARPNESS_SIDE)
    pixels = np.asarray(grey.resize(side, Image.Resampling.BILINEAR), np.float32)
    neighbours = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
    return float(np.var(neighbours - 4 * pixels[1:-1, 1:-1]))


def _open_memory(path: Path) -> _Memory:
    """Open what earlier scans found; one that is damaged is put aside, and begun again."""
    try:
        return _Memory(path)
    except sqlite3.OperationalError:  # busy, or the disk's: the file is no worse for it
        raise
    except sqlite3.DatabaseError:
        put_aside(path)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # not of the next one
        return _Memory(path)


class _Memory:
    """Figures of files seen before, by path, in one SQLite file that may be deleted."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=60)
        columns = ", ".join(("path PRIMARY KEY", *_Stamp._fields, *ImageStats._fields))
        create = f"CREATE TABLE IF NOT EXISTS files ({columns}) WITHOUT ROWID"
        try:
            self._connection.execute(create)
            ((found,),) = self._connection.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except BaseException:
            self._connection.close()
            raise

    def recall(self, path: str) -> tuple[_Stamp, ImageStats] | None:
        row = self._connection.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        if row is None:
            return None
        _, mtime_ns, size, *figures = row
        return _Stamp(mtime_ns, size), _from_row(figures)

    def note(self, path: str, stamp: _Stamp, figures: ImageStats) -> None:
        row = (path, *stamp, *figures)
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"REPLACE INTO files VALUES ({marks})", row)  # noqa: S608  marks only

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


def _from_row(values: Sequence[str | float | None]) -> ImageStats:
    """SQLite keeps NaN as NULL."""
    return ImageStats(*(float("nan") if value is None else value for value in values))  # pyright: ignore[reportArgumentType]
