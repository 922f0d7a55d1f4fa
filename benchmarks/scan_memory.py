"""Measures whether the memory of a scan grows with the number of images.

Writes 1,000 and 100,000 tiny PNG files, all different, and scans each folder in its own process. It
reports the peak resident set of that process (`ru_maxrss`), which includes Python, the libraries,
the listing and the returned frame. The last two grow with the number of rows; the size of the frame
is printed too.

    python benchmarks/scan_memory.py
"""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import pandas as pd

COUNTS = (1_000, 100_000)
PER_FOLDER = 10_000
SIDE = 16


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(number: int) -> bytes:
    """Return a grey PNG whose pixels spell `number`."""
    pixels = number.to_bytes(SIDE, "big")
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + pixels) * SIDE, 1)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_tree(root: Path, count: int) -> None:
    """Write `count` images as `train/class_<n>/<number>.png`."""
    for number in range(count):
        folder = root / "train" / f"class_{number // PER_FOLDER}"
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.png").write_bytes(png(number))


def measure(root: Path, cache: Path) -> dict[str, float]:
    """Scan in this process and return time and memory."""
    from pupila import manifest

    start = time.perf_counter()
    frame = manifest.scan(manifest.read(root), cache, lambda done, total, what: None)
    assert (frame["error"] == "").all()
    assert frame["sha256"].is_unique
    return {
        "images": len(frame),
        "seconds": time.perf_counter() - start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "frame_mb": float(frame.memory_usage(deep=True).sum()) / 2**20,
    }


def main() -> None:
    """Print a table of both sizes, first and second scan, and the ratio of peaks."""
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            root, cache = Path(folder, f"{count}"), Path(folder, f"cache_{count}")
            write_tree(root, count)
            for turn in ("first", "second"):
                command = [sys.executable, __file__, str(root), str(cache)]
                printed = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append({"scan": turn, **json.loads(printed.stdout)})
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.1f}".format))
    table["rest_mb"] = table["peak_mb"] - table["frame_mb"]
    for turn, group in table.groupby("scan"):
        ratios = group[["peak_mb", "rest_mb"]].iloc[-1] / group[["peak_mb", "rest_mb"]].iloc[0]
        print(
            f"{turn} scan, {COUNTS[1]} against {COUNTS[0]} images: peak ratio "
            f"{ratios['peak_mb']:.2f}, without the returned frame {ratios['rest_mb']:.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main()
