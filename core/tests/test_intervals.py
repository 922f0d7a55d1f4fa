from __future__ import annotations

import numpy as np
import pytest

from pupila.intervals import proportion, share, wilson


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_a_proportion_has_the_published_wilson_interval(
    hits: int, total: int, low: float, high: float
):
    estimate = proportion(hits, total)
    assert estimate.value == hits / total
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)


def test_duplicated_images_do_not_narrow_the_interval():
    hits = np.arange(100) % 10 != 0
    twice, patients = np.tile(hits, 2), np.tile(np.arange(100), 2)
    once, doubled = share(hits), share(twice, patients)
    assert doubled.value == once.value
    assert (doubled.low, doubled.high) == pytest.approx((once.low, once.high), abs=0.003)
    assert share(twice).low > once.low + 0.01


def test_patients_with_one_image_each_count_as_independent_images():
    hits = np.random.default_rng(1).random(80) < 0.9
    by_patient, plain = share(hits, np.arange(80)), share(hits)
    assert (by_patient.low, by_patient.high) == pytest.approx((plain.low, plain.high), abs=2e-3)
    assert "by patient" in by_patient.method and plain.method == "Wilson 1927"


def test_without_errors_the_number_of_patients_counts():
    estimate = share(np.ones(60, bool), np.repeat(np.arange(20), 3))
    assert (estimate.low, estimate.high) == wilson(1.0, 20)


@pytest.mark.parametrize(
    ("accuracy", "alike"), [(0.85, 0.3), (0.85, 1.0), (0.95, 0.3), (0.95, 1.0)]
)
def test_the_interval_by_patient_has_its_coverage(accuracy: float, alike: float):
    """`alike` is the correlation of images of one patient; each patient has one to four."""
    random, held, held_without, repeats = np.random.default_rng(6), 0, 0, 1000
    for _ in range(repeats):
        patients = np.repeat(np.arange(100), random.integers(1, 5, 100))
        shared = (random.random(100) < accuracy)[patients]
        own = random.random(len(patients)) < accuracy
        copied = (random.random(100) < alike)[patients]  # all of a patient, or none
        hits = np.where(copied, shared, own)
        estimate, plain = share(hits, patients), share(hits)
        held += estimate.low <= accuracy <= estimate.high
        held_without += plain.low <= accuracy <= plain.high
    assert 0.92 <= held / repeats <= 0.985
    assert held_without < held
