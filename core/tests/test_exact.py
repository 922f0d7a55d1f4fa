"""Losses of accuracy are compared as exact numbers of images."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pupila.exact import as_written, exact


@pytest.mark.parametrize(("before", "after", "budget"), [(96, 95, 0.01), (97, 95, 0.02)])
def test_a_loss_equal_to_the_budget_is_within_it(before: int, after: int, budget: float):
    assert before / 100 - after / 100 > budget
    assert exact(before / 100, 100) - exact(after / 100, 100) == as_written(budget)


@pytest.mark.parametrize("images", [7, 105, 99_991])
def test_an_accuracy_averaged_in_float32_gives_the_number_of_images(images: int):
    for right in (0, 1, images // 3, images - 1, images):
        assert exact(float(np.float32(right / images)), images) == Fraction(right, images)
