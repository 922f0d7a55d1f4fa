from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from drawn_answers import binormal, two_columns
from numpy.typing import NDArray

from pupila.calibration import calibration, reliability
from pupila.intervals import wilson


def test_calibration_agrees_with_the_formula():
    scores = two_columns([0.95, 0.95, 0.62, 0.38, 1.0])
    truth = np.array([0, 1, 0, 1, 0])
    ece, brier = calibration(scores, truth)
    bins = [(2, 0.5, 0.95), (2, 1.0, 0.62), (1, 1.0, 1.0)]
    assert ece.value == pytest.approx(sum(n * abs(hit - sure) for n, hit, sure in bins) / 5)
    squares = [2 * 0.05**2, 2 * 0.95**2, 2 * 0.38**2, 2 * 0.38**2, 0]
    assert brier.value == pytest.approx(np.mean(squares))


@pytest.mark.parametrize(("answer", "ece", "brier"), [(0, 0.0, 0.0), (1, 1.0, 2.0)])
def test_calibration_runs_from_perfect_to_sure_and_wrong(answer: int, ece: float, brier: float):
    measured = calibration(np.eye(2)[np.full(10, answer)], np.zeros(10, np.int64))
    assert tuple(estimate.value for estimate in measured) == (ece, brier)


def test_calibration_intervals_cover_the_value_of_a_large_population():
    random = np.random.default_rng(8)

    def draw(images: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw overconfident answers: the true odds are the square root of the claimed ones."""
        logit = random.normal(0, 2, images)
        said, true = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-logit / 2))
        return two_columns(said), (random.random(images) > true).astype(np.int64)

    truths = [estimate.value for estimate in calibration(*draw(20_000))]
    held = np.zeros(2)
    for _ in range(30):
        estimates = calibration(*draw(300))
        held += [
            estimate.low <= truth <= estimate.high
            for estimate, truth in zip(estimates, truths, strict=True)
        ]
    assert (held >= 25).all(), held


def test_the_seed_determines_the_interval():
    random = np.random.default_rng(2)
    scores, truth = binormal(random, 0.9, 60, 60)
    first, again = (calibration(two_columns(scores), truth, seed=1) for _ in range(2))
    assert first == again
    assert first != calibration(two_columns(scores), truth, seed=2)


def test_memory_stays_bounded_for_a_hundred_thousand_images():
    program = (
        "import resource, numpy as np; from pupila.calibration import calibration;"
        "random = np.random.default_rng(0); n = 100_000; positive = random.random(n);"
        "import pupila.intervals as m; m.DRAWS = 120;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "calibration(np.stack([positive, 1 - positive], 1), (random.random(n) > .5).astype(int));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 400 * 1024  # KiB; all 120 resamples at once would be 96 MB each way


@pytest.mark.parametrize("sure", [1.0, 0.9999])
def test_no_error_on_few_images_does_not_prove_that_there_are_none(sure: float):
    ece, brier = calibration(two_columns(np.full(107, sure)), np.zeros(107, np.int64))
    unseen = wilson(0, 107)[1]
    assert unseen == pytest.approx(0.0347, abs=1e-4)
    assert ece.high >= unseen and brier.high >= 2 * unseen
    assert ece.low <= ece.value and brier.low <= brier.value


def test_images_with_equal_answers_have_an_interval_on_both_sides():
    for estimate in calibration(two_columns(np.full(50, 0.5)), np.arange(50) % 2):
        assert estimate.low < estimate.high
    _, brier = calibration(two_columns(np.full(50, 0.5)), np.arange(50) % 2)
    assert brier.low < brier.value == 0.5 < brier.high


def test_images_of_one_patient_widen_the_intervals():
    random = np.random.default_rng(2)
    scores, truth = binormal(random, 0.8, 60, 60)
    thrice, labels = two_columns(np.tile(scores, 3)), np.tile(truth, 3)
    plain = calibration(thrice, labels)
    by_patient = calibration(thrice, labels, clusters=np.tile(np.arange(120), 3))
    for estimate, wider in zip(plain, by_patient, strict=True):
        assert wider.high - wider.low > 1.2 * (estimate.high - estimate.low)
        assert wider.method.endswith("rough, by patient")


def test_the_bins_of_a_reliability_diagram_add_up_to_the_calibration_error():
    scores = two_columns(np.random.default_rng(3).random(200))
    truth = np.random.default_rng(4).integers(0, 2, 200)
    bins = reliability(scores, truth)
    gaps = [one.images * abs(one.right.value - one.confidence) for one in bins]
    assert sum(one.images for one in bins) == 200
    assert sum(gaps) / 200 == pytest.approx(calibration(scores, truth)[0].value)
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)


def test_a_bin_has_the_interval_of_its_images_and_their_patients():
    scores = two_columns([0.95] * 12 + [0.62] * 4)
    truth = np.array([0] * 8 + [1] * 8)
    patients = np.repeat(["", "a", "b", "c"], 4)
    low, high = reliability(scores, truth)
    assert (low.images, high.images) == (4, 12)
    assert (high.right.low, high.right.high) == wilson(8 / 12, 12)
    by_patient = reliability(scores, truth, patients)[1].right
    assert by_patient.high - by_patient.low > high.right.high - high.right.low
