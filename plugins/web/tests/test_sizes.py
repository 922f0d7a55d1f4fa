from __future__ import annotations

import gzip
from pathlib import Path

import brotli
import numpy as np
import pytest

from pupila.evaluation import Download
from pupila_web import sizes


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sizes"


def test_files_are_compressed_separately(tmp_path: Path):
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        file.write_bytes(b"abcdefgh" * 1000)
    content = files[0].read_bytes()
    assert sizes.download(files) == Download(
        size_bytes=2 * len(content),
        gzip_bytes=2 * len(gzip.compress(content, 9)),
        brotli_bytes=2 * len(brotli.compress(content, quality=11)),
    )


def test_the_size_of_no_files_is_zero():
    assert sizes.download([]) == Download(size_bytes=0, gzip_bytes=0, brotli_bytes=0)


def test_large_files_are_compressed_at_a_lower_quality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content = np.random.default_rng(0).integers(0, 20, 50_000, np.uint8).tobytes()
    (tmp_path / "file").write_bytes(content)
    monkeypatch.setattr(sizes, "_LARGE_BYTES", 49_999)
    size = sizes.download([tmp_path / "file"]).brotli_bytes
    assert size == len(brotli.compress(content, quality=9))
    assert size != len(brotli.compress(content, quality=11))


def test_sizes_are_cached(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"weights" * 100)
    first = sizes.download([tmp_path / "file"])
    assert len(list(cache.iterdir())) == 1
    monkeypatch.delattr(sizes, "_compressed_sizes")
    (tmp_path / "file").rename(tmp_path / "same content")
    assert sizes.download([tmp_path / "same content"]) == first
