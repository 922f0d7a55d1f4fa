"""Two models' answers to the same images: the difference of their accuracy, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from pupila_flows.report import predictions


def test_a_paired_difference_is_narrower_where_answers_go_together() -> None:
    right = np.arange(100) < 90
    same = predictions.paired_difference(right, right)
    apart = predictions.paired_difference(right, right[::-1])
    assert same.value == apart.value == 0
    assert same.high - same.low < apart.high - apart.low


def test_a_paired_difference_agrees_with_the_formula_worked_by_hand() -> None:
    first = np.array([True] * 9 + [False])
    second = np.array([True] * 6 + [False] * 4)  # 3 gained, none lost, 10 images
    found = predictions.paired_difference(first, second)
    half = 1.959964 * ((4 / 12 + 1 / 12 - (3 / 12) ** 2) / 12) ** 0.5
    assert (found.value, found.low) == (pytest.approx(0.3), pytest.approx(0.25 - half))
