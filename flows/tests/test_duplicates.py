"""Images that nearly repeat one of another split."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pupila_flows.data.validation.duplicates import near_duplicates


@pytest.mark.parametrize("distance", [0, 1, 4, 8])
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(distance: int) -> None:
    random = np.random.default_rng(distance)
    codes = random.integers(0, 2**63, 60, dtype=np.uint64)
    flips = random.random((60, 64)) < random.random((60, 1)) * 0.15
    noise = np.packbits(flips, axis=1).view(np.uint64)[:, 0]
    codes = np.concatenate([codes, codes ^ noise])
    splits = random.integers(0, 3, len(codes))
    near = np.bitwise_count(codes[:, None] ^ codes) <= distance
    expected = (near & (splits[:, None] != splits)).any(axis=1)
    twins = near_duplicates([f"{code:016x}" for code in codes], splits, distance)
    np.testing.assert_array_equal(twins >= 0, expected)
    assert all(near[row, twins[row]] for row in np.flatnonzero(expected))


def test_every_row_of_equal_hashes_has_its_near_duplicate() -> None:
    splits = np.array([0, 0, 0, 1])
    twins = near_duplicates(["00000000000000ff"] * 3 + ["00000000000000fe"], splits, 4)
    assert twins.tolist() == [3, 3, 3, 0]


def test_near_duplicates_among_100_000_images_are_found_in_seconds() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 2**63, 100_000, dtype=np.uint64)
    codes[-1] = codes[0] ^ np.uint64(0b1011)
    splits = np.zeros(len(codes), np.int64)
    splits[len(codes) // 2 :] = 1
    start = time.process_time()
    twins = near_duplicates([f"{code:016x}" for code in codes], splits, 4)
    assert time.process_time() - start < 30
    assert np.flatnonzero(twins >= 0).tolist() == [0, 99_999]
