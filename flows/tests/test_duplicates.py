"""Images that nearly repeat one of another split."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pupila import manifest
from pupila.image_stats import HASH_BITS
from pupila.testing import ignore_progress
from pupila_flows.data.validation.duplicates import near_duplicates
from pupila_flows.recipe.expectations import Bounds

BYTES = HASH_BITS // 8


def texts(codes: NDArray[np.uint8]) -> list[str]:
    return [code.tobytes().hex() for code in codes]


@pytest.mark.parametrize("distance", [0, 1, 4, 16, 32])
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(distance: int) -> None:
    random = np.random.default_rng(distance)
    codes = random.integers(0, 256, (60, BYTES), dtype=np.uint8)
    flips = random.random((60, HASH_BITS)) < random.random((60, 1)) * 0.15
    codes = np.concatenate([codes, codes ^ np.packbits(flips, axis=1)])
    splits = random.integers(0, 3, len(codes))
    near = np.bitwise_count(codes[:, None] ^ codes).sum(axis=2) <= distance
    expected = (near & (splits[:, None] != splits)).any(axis=1)
    twins = near_duplicates(texts(codes), splits, distance)
    np.testing.assert_array_equal(twins >= 0, expected)
    assert all(near[row, twins[row]] for row in np.flatnonzero(expected))


def test_every_row_of_equal_hashes_has_its_near_duplicate() -> None:
    codes = np.zeros((4, BYTES), np.uint8)
    codes[3, -1] = 0b1
    twins = near_duplicates(texts(codes), np.array([0, 0, 0, 1]), 4)
    assert twins.tolist() == [3, 3, 3, 0]


def test_near_duplicates_among_100_000_images_are_found_in_seconds() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (100_000, BYTES), dtype=np.uint8)
    codes[-1] = codes[0]
    codes[-1, ::4] ^= 0b11
    splits = np.zeros(len(codes), np.int64)
    splits[len(codes) // 2 :] = 1
    start = time.process_time()
    twins = near_duplicates(texts(codes), splits, 16)
    assert time.process_time() - start < 30
    assert np.flatnonzero(twins >= 0).tolist() == [0, 99_999]


@pytest.mark.slow
def test_other_eyes_differ_and_photographs_saved_again_do_not(
    tmp_path: Path, shared_data: Path
) -> None:
    names = sorted((shared_data / "discs" / "images").glob("*.jpg"))[:120]
    folder = tmp_path / "data"
    for split in ("train", "test"):
        (folder / split / "eye").mkdir(parents=True)
    for name in names:
        photograph = Image.open(name).convert("RGB")
        photograph.save(folder / "train" / "eye" / f"{name.stem}.png")
        smaller = photograph.resize((256, photograph.height // 2), Image.Resampling.LANCZOS)
        saved = io.BytesIO()
        ImageEnhance.Brightness(smaller).enhance(1.1).save(saved, "JPEG", quality=70)
        (folder / "test" / "eye" / f"{name.stem}.jpg").write_bytes(saved.getvalue())
    frame = manifest.scan(manifest.read(folder), tmp_path / "cache", ignore_progress)
    distance = Bounds().near_duplicate_distance
    stems = [Path(path).stem for path in frame["path"]]
    splits = np.array([int(split == "test") for split in frame["split"]])
    twins = near_duplicates(frame["phash"].tolist(), splits, distance)
    again = [row for row, twin in enumerate(twins) if twin >= 0 and stems[twin] == stems[row]]
    assert len(again) >= 0.95 * len(frame)
    originals = splits == 0
    halves = np.arange(len(names)) % 2
    other = near_duplicates(frame["phash"][originals].tolist(), halves, distance)
    assert (other >= 0).sum() <= 2  # one pair of these photographs is of the same eye
