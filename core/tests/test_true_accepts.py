from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from pupila.true_accepts import false_accepts, threshold_accepting


def test_ninety_five_percent_reach_the_threshold():
    scores = np.arange(100) / 100
    assert (scores >= threshold_accepting(scores)).sum() == 95
    estimate = false_accepts(scores, np.array([0.04, 0.05, 0.9, 0.01]))
    assert estimate.value == 0.5


@pytest.mark.parametrize(("accepted", "others"), [(59, 48), (150, 150), (300, 1000)])
@pytest.mark.parametrize("shift", [1.5, 3.0])
def test_the_interval_includes_the_uncertainty_of_the_threshold(
    accepted: int, others: int, shift: float
):
    normal = import_module("scipy.stats").norm
    true = normal.sf(shift + normal.ppf(0.05))
    random, held, fixed, repeats = np.random.default_rng(3), 0, 0, 600
    for _ in range(repeats):
        ours, theirs = random.normal(shift, 1, accepted), random.normal(0, 1, others)
        estimate = false_accepts(ours, theirs)
        held += estimate.low <= true <= estimate.high
        half = 1.96 * np.sqrt(estimate.value * (1 - estimate.value) / others)
        fixed += abs(estimate.value - true) <= half
    assert held / repeats >= 0.93
    assert fixed < held


def test_a_few_accepted_images_give_no_upper_bound():
    scores = np.linspace(0.5, 1, 71)
    assert false_accepts(scores, np.zeros(500)).high == 1
    assert false_accepts(np.linspace(0.5, 1, 72), np.zeros(500)).high < 0.01


def test_copies_of_the_same_patients_do_not_narrow_the_interval():
    random = np.random.default_rng(9)
    ours, theirs = random.normal(2, 1, 150), random.normal(0, 1, 150)
    once = false_accepts(ours, theirs)
    patients = np.tile(np.arange(150), 4)
    copies = false_accepts(np.tile(ours, 4), np.tile(theirs, 4), patients, patients)
    assert copies.value == once.value
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high), abs=0.02)
    assert copies.method.endswith("by patient")
