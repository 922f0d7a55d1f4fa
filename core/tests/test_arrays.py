"""Arrays on disk: written in batches, read by rows, and memory does not grow."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.arrays import Pixels, Rows, write_rows


def images(count: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (count, 4, 6, 3), np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images.npy"


def written(path: Path, array: NDArray[Any], cut: int = 2) -> Path:
    write_rows(path, len(array), (array[:cut], array[cut:]))
    return path


@pytest.mark.parametrize("array", [images(), np.arange(10, dtype=np.float32).reshape(5, 2)])
def test_an_array_is_written_in_batches(path: Path, array: NDArray[Any]) -> None:
    values = np.load(written(path, array))
    assert values.dtype == array.dtype
    assert (values == array).all()


def broken_off() -> Iterator[NDArray[np.uint8]]:
    yield images(2)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ([images(2), images(2)], ValueError, "4 rows were computed, where 5 were expected"),
        ([], ValueError, "0 rows"),
        ([images(2), images(3)[:, :3]], ValueError, r"parts of one array are .*5, 4.*5, 3"),
        ([images(2), images(3).astype(np.float32)], ValueError, "u1.*f4"),
        (broken_off(), KeyboardInterrupt, None),
    ],
    ids=["too few", "none", "shape", "type", "interrupted"],
)
def test_an_incomplete_array_does_not_appear(
    path: Path, parts: Any, error: type[BaseException], message: str | None
) -> None:
    with pytest.raises(error, match=message):
        write_rows(path, 5, parts)
    assert not path.exists()


@pytest.mark.parametrize(
    "rows", [0, 4, -1, np.int64(2), slice(1, 3), slice(None), slice(None, None, -2), slice(9, 9)]
)
def test_pixels_are_read_like_those_of_an_array(path: Path, rows: Any) -> None:
    pixels = Pixels(written(path, images()))
    assert (len(pixels), pixels.shape) == (5, (5, 4, 6, 3))
    chosen = pixels[rows]
    assert chosen.dtype == np.uint8
    np.testing.assert_array_equal(chosen, images()[rows], strict=True)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 2)])
@pytest.mark.parametrize(
    "rows", [2, slice(1, 4, 2), np.array([4, 0, 0, -1]), np.array([], np.int64)]
)
def test_rows_of_any_type_are_read_like_those_of_an_array(
    path: Path, shape: tuple[int, ...], rows: Any
) -> None:
    numbers = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    read = Rows(written(path, numbers))
    assert read.shape == shape
    np.testing.assert_array_equal(read[rows], numbers[rows], strict=True)
    np.testing.assert_array_equal(np.asarray(read), numbers, strict=True)


def test_a_missing_row_ends_an_iteration(path: Path) -> None:
    pixels = Pixels(written(path, images()))
    with pytest.raises(IndexError):
        pixels[5]
    assert sum(1 for _ in pixels) == 5  # pyright: ignore[reportArgumentType]  the old protocol


def test_pixels_convert_to_an_array_of_any_type(path: Path) -> None:
    pixels = Pixels(written(path, images()))
    assert (np.asarray(pixels) == images()).all()
    assert np.asarray(pixels, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without being copied"):
        np.asarray(pixels, copy=False)


def test_pixels_can_be_read_after_their_file_is_deleted(path: Path) -> None:
    pixels = Pixels(written(path, images()))
    path.unlink()
    assert (pixels[3] == images()[3]).all()


def test_a_file_that_was_cut_short_is_not_read_as_pixels(path: Path) -> None:
    content = written(path, images()).read_bytes()
    path.write_bytes(content[:-1])
    pixels = Pixels(path)
    assert (pixels[3] == images()[3]).all()
    with pytest.raises(ValueError, match="reshape"):
        pixels[4]


def test_an_iteration_leaves_nothing_in_memory(path: Path) -> None:
    size = 20_000_000
    write_rows(path, 100, (np.ones((1, 1, size // 300, 3), np.uint8) for _ in range(100)))
    program = """
import sys
from pathlib import Path
from pupila.arrays import Pixels
from pupila.memory import peak_memory_bytes
pixels = Pixels(Path(sys.argv[1]))
before = peak_memory_bytes()
assert sum(int(pixels[row].sum()) for row in range(100)) == 19_999_800
print("grew by", peak_memory_bytes() - before)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    (grown,) = re.findall(r"grew by (\d+)", ran.stdout)
    assert int(grown) < size / 5
