"""Finds images in different splits with the same file or patient, or nearly the same picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pupila.image_stats import HASH_BITS

HASH_DIGITS = HASH_BITS // 4
_BLOCK_ROWS = 512
"""Number of rows compared at a time, which limits memory if many hashes are alike."""


def in_two_splits(keys: pd.Series[str], splits: pd.Series[str]) -> pd.Series[bool]:
    """Tell for each row whether its key also occurs in another split; empty keys do not count."""
    pairs = pd.DataFrame({"key": keys, "split": splits}).drop_duplicates()
    repeated = pairs["key"][pairs["key"].duplicated()].unique()
    return keys.isin(repeated) & (keys != "")


def near_duplicates(
    hashes: list[str], splits: NDArray[np.int64], distance: int
) -> NDArray[np.int64]:
    """Return for each image the row of a near-duplicate in another split, or -1: int64 `(n,)`.

    `hashes` are perceptual hashes of `HASH_BITS` in hexadecimal, and `splits` `(n,)` has a number
    for the split of each image. Near-duplicates differ in at most `distance` bits.

    The hashes of two near-duplicates are equal in at least one of `distance + 1` bands of bits
    (pigeonhole). So only hashes with an equal band are compared: for 100,000 different pictures and
    distance 16, about 150,000 pairs a band instead of 5,000,000,000.
    """
    codes, rows, members = _distinct(hashes, splits)
    twins = np.full(len(codes), -1, np.int64)
    for bucket in _buckets(codes, distance + 1):
        for start in range(0, len(bucket), _BLOCK_ROWS):
            left = bucket[start : start + _BLOCK_ROWS]
            differing = np.bitwise_count(codes[left][:, None] ^ codes[bucket])
            near = differing.sum(axis=2, dtype=np.int64) <= distance
            near &= splits[rows[left]][:, None] != splits[rows[bucket]]
            hit = near.any(axis=1)
            twins[left[hit]] = rows[bucket[near[hit].argmax(axis=1)]]
    return twins[members]


def _distinct(
    hashes: list[str], splits: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Remove repeats of a hash within a split.

    Returns the remaining hashes as `(n, words)`, the first row of each, and for each original row
    the index of its hash.
    """
    digits = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64)
    codes = digits.reshape(len(hashes), HASH_BITS // 64)
    keys = np.column_stack([codes, splits.astype(np.uint64)])
    _, rows, members = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return codes[rows], rows.astype(np.int64), members.reshape(-1).astype(np.int64)


def _buckets(codes: NDArray[np.uint64], bands: int) -> Iterator[NDArray[np.int64]]:
    """Yield groups of two or more positions whose codes are equal in one band."""
    bits = np.unpackbits(codes.view(np.uint8), axis=1)
    edges = np.linspace(0, HASH_BITS, bands + 1).astype(np.int64)
    for low, high in pairwise(edges):
        packed = np.packbits(bits[:, low:high], axis=1)
        _, keys = np.unique(packed, axis=0, return_inverse=True)
        keys = keys.reshape(-1)
        order = np.argsort(keys, kind="stable")
        cuts = np.flatnonzero(np.diff(keys[order])) + 1
        yield from (bucket for bucket in np.split(order, cuts) if len(bucket) > 1)
