"""Two models' answers to the same images: the difference of their accuracy, and its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sample_runs import PUPIL, VGG, sample_run

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
    difference = predictions.paired_difference(first, second)
    assert difference.value == pytest.approx(0.3)
    assert difference == compare_proportions(first, second, predictions.MARGIN).difference
    assert exact_p_value(3, 0, 10, difference.low) == pytest.approx(0.025, abs=1e-4)
    assert exact_p_value(0, 3, 10, -difference.high) == pytest.approx(0.025, abs=1e-4)


def test_a_difference_is_by_patient_where_the_data_tells_them(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    plain = predictions.read_predictions(result, tmp_path).difference("pupil", "vgg16")
    patients = tuple(row // 4 for row in range(len(result.test_labels)))
    known = result.model_copy(update={"test_patients": patients})
    difference = predictions.read_predictions(known, tmp_path).difference("pupil", "vgg16")
    assert plain and difference and difference.value == pytest.approx(plain.value)
    assert difference.method.endswith("by patient")
    assert (difference.low, difference.high) != (plain.low, plain.high)
