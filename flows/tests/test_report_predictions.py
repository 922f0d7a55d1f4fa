"""Two models' answers to the same images: the difference of their accuracy, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from pupila.noninferiority import compare_proportions, exact_p_value
from pupila_flows.report import predictions


def test_a_paired_difference_is_narrower_where_answers_go_together() -> None:
    right = np.arange(100) < 90
    same = predictions.paired_difference(right, right)
    apart = predictions.paired_difference(right, right[::-1])
    assert same.value == apart.value == 0
    assert same.high - same.low < apart.high - apart.low


def test_a_paired_difference_has_the_interval_of_the_gate() -> None:
    first = np.array([True] * 9 + [False])
    second = np.array([True] * 6 + [False] * 4)  # 3 gained, none lost, 10 images
    found = predictions.paired_difference(first, second)
    assert found.value == pytest.approx(0.3)
    assert found == compare_proportions(first, second, predictions.MARGIN).difference
    assert exact_p_value(3, 0, 10, found.low) == pytest.approx(0.025, abs=1e-4)
    assert exact_p_value(0, 3, 10, -found.high) == pytest.approx(0.025, abs=1e-4)
