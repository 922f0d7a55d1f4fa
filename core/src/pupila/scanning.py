"""Measures every image file of a listing, and caches each result until its file changes."""

from __future__ import annotations

import math
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
from pupila.image_formats import code_of_format, code_of_formats, format_of
from pupila.image_stats import HASH_BITS, MEASURED, ImageStats
from pupila.images import SPECIAL, ImageError, decode
from pupila.paths import is_special
from pupila.runtime import Progress

_CHUNK_IMAGES = 256
"""Number of images measured between two commits; limits memory and what interruptions lose."""

_SHARPNESS_SIDE = 256
"""Side of the grey thumbnail, fixed so that sharpness is comparable between image sizes."""


def _cache_name() -> str:
    """Return the cache's file name, a new one for each version of what measures images."""
    return f"scan-{digest_json([HASH_BITS, *code_of_formats()])[:16]}.sqlite"


class _Stamp(NamedTuple):
    """Modification time and size of a file, which is not opened again while both are unchanged."""

    mtime_ns: int
    bytes: int


_DTYPES = {"bytes": "int64"} | dict.fromkeys(
    ("width", "height", "brightness", "sharpness", "mean_red", "mean_green", "mean_blue"),
    "float32",
)
NUMBERS = tuple(_DTYPES)
"""Columns with numbers; all but `bytes` are NaN for a file that cannot be decoded."""


def scan(listing: pd.DataFrame, cache_folder: Path, progress: Progress) -> pd.DataFrame:
    """Measure images; return `listing` with `bytes` and the fields of `ImageStats` as columns.

    `listing` has a row for each image, with the column `path`. Measurements are cached in
    `cache_folder`. A file is not opened if its modification time and size are the same as in an
    earlier scan. If only the modification time has changed, the file is hashed but not decoded.
    Only the result stays in memory. The column `decoder` is left out if core decodes all images.

    `phash` is that of Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010, as in the package imagehash. `sharpness` is LAPV of Pertuz et al., "Analysis
    of focus measure operators for shape-from-focus", Pattern Recognition 46(5), 2013.
    """
    cache_folder.mkdir(parents=True, exist_ok=True)
    paths: list[str] = listing["path"].tolist()
    columns = {name: np.empty(len(paths), _DTYPES.get(name, object)) for name in MEASURED}
    with (
        closing(_open_cache(cache_folder / _cache_name())) as cache,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for start in range(0, len(paths), _CHUNK_IMAGES):
            chunk = paths[start : start + _CHUNK_IMAGES]
            rows = ((stamp.bytes, *stats) for stamp, stats in _scan_chunk(chunk, cache, pool))
            for name, values in zip(MEASURED, zip(*rows, strict=True), strict=True):
                columns[name][start : start + len(chunk)] = values
            progress(start + len(chunk), len(paths), "images scanned")
    measured = pd.DataFrame(columns).astype({"error": "category", "decoder": "category"})
    if (measured["decoder"] == "").all():
        measured = measured.drop(columns="decoder")
    return pd.concat([listing.reset_index(drop=True), measured], axis=1)


def _scan_chunk(
    paths: Sequence[str], cache: _Cache, pool: ThreadPoolExecutor
) -> Iterator[tuple[_Stamp, ImageStats]]:
    stamps = list(map(_stamp, paths))
    known = [cache.get(path) for path in paths]
    measured = pool.map(_measure_if_changed, paths, stamps, known)
    for path, stamp, earlier, stats in zip(paths, stamps, known, measured, strict=True):
        if earlier != (stamp, stats):
            cache.put(path, stamp, stats)
        yield stamp, stats
    cache.commit()


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
        return _measure(sha256, decode(file), code_of_format(format_of(file)))
    except ImageError as error:
        return _undecodable(sha256, error.reason)


def _undecodable(sha256: str, reason: str) -> ImageStats:
    unknown = float("nan")
    return ImageStats(
        sha256, "", unknown, unknown, unknown, unknown, unknown, unknown, unknown, reason, ""
    )


def _measure(sha256: str, image: Image.Image, decoder: str) -> ImageStats:
    grey = image.convert("L")
    (brightness,) = ImageStat.Stat(grey).mean
    red, green, blue = ImageStat.Stat(image).mean
    return ImageStats(
        sha256=sha256,
        phash=str(imagehash.phash(grey, hash_size=math.isqrt(HASH_BITS))),
        width=image.width,
        height=image.height,
        brightness=brightness,
        sharpness=_sharpness(grey),
        mean_red=red,
        mean_green=green,
        mean_blue=blue,
        error="",
        decoder=decoder,
    )


def _sharpness(grey: Image.Image) -> float:
    side = (_SHARPNESS_SIDE, _SHARPNESS_SIDE)
    pixels = np.asarray(grey.resize(side, Image.Resampling.BILINEAR), np.float32)
    neighbours = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
    return float(np.var(neighbours - 4 * pixels[1:-1, 1:-1]))


def _open_cache(path: Path) -> _Cache:
    """Open the results of earlier scans; a damaged file is put aside and a new one started."""
    try:
        return _Cache(path)
    except sqlite3.OperationalError:  # busy, or a problem of the disk: the file is not damaged
        raise
    except sqlite3.DatabaseError:
        put_aside(path)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # not of the next one
        return _Cache(path)


class _Cache:
    """Measurements of files by path, in one SQLite file that may be deleted."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=60)
        columns = ", ".join(("path PRIMARY KEY", *_Stamp._fields, *ImageStats._fields))
        create = f"CREATE TABLE IF NOT EXISTS files ({columns}) WITHOUT ROWID"
        try:
            self._connection.execute(create)
            ((state,),) = self._connection.execute("PRAGMA quick_check(1)").fetchall()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
        except BaseException:
            self._connection.close()
            raise

    def get(self, path: str) -> tuple[_Stamp, ImageStats] | None:
        row = self._connection.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        if row is None:
            return None
        _, mtime_ns, size, *stats = row
        return _Stamp(mtime_ns, size), _from_row(stats)

    def put(self, path: str, stamp: _Stamp, stats: ImageStats) -> None:
        row = (path, *stamp, *stats)
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"REPLACE INTO files VALUES ({marks})", row)  # noqa: S608  marks only

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


def _from_row(values: Sequence[str | float | None]) -> ImageStats:
    """Return the stats of a row, in which SQLite stores NaN as NULL."""
    return ImageStats(*(float("nan") if value is None else value for value in values))  # pyright: ignore[reportArgumentType]
