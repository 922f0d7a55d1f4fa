"""Comparisons by bootstrap tilting: AUC losses caused by few images, and clustered images."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.intervals import members_of
from pupila.noninferiority import (
    LEVEL,
    PairedAuc,
    check_limit,
    check_proportion,
    compare_auc,
    compare_proportions,
)
from pupila.noninferiority.clustered import mean_test
from pupila.noninferiority.tilting import TiltingTest, student_tail

Floats = NDArray[np.float64]
MARGIN = 0.05
RUNS = 600
CHANCE = 2.5 * np.sqrt(LEVEL / RUNS)


def answered(
    random: np.random.Generator, sizes: tuple[int, int], wrong: tuple[float, float], spread: float
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Draw the scores of two models that each answer some positives completely wrong."""
    labels = np.repeat([0, 1], sizes)
    scores = random.normal(0, spread, (2, len(labels))) + (labels == 0)
    for row, fraction in zip(scores, wrong, strict=True):
        row[(labels == 0) & (random.random(len(labels)) < fraction)] = -9
    first, second = (np.stack([row, -row], axis=1) for row in scores)
    return first, second, labels


@pytest.mark.parametrize("spread", [0.0, 0.35])
@pytest.mark.parametrize("wrong", [0.03, 0.06])
@pytest.mark.parametrize("sizes", [(25, 25), (25, 250), (59, 48)])
def test_models_with_completely_wrong_answers_rarely_pass_falsely(
    sizes: tuple[int, int], wrong: float, spread: float
):
    random, passed = np.random.default_rng(8), 0
    for _ in range(RUNS):
        drawn = answered(random, sizes, (wrong + MARGIN, wrong), spread)
        passed += PairedAuc.of(*drawn, [0]).p_value(-MARGIN) <= LEVEL
    assert passed / RUNS <= LEVEL + CHANCE


@pytest.mark.parametrize(("images", "shown"), [(60, False), (74, False), (76, True)])
def test_without_a_lost_image_the_p_value_is_that_none_of_so_many_is_lost(images: int, shown: bool):
    test = TiltingTest(np.zeros(images), -1 / images, images - 1)
    normal = -NormalDist().inv_cdf((1 - MARGIN) ** images) * np.sqrt((images - 1) / images)
    assert test.p_value(MARGIN) == pytest.approx(student_tail(normal, images - 1), rel=1e-3)
    assert (test.p_value(MARGIN) <= LEVEL) == shown
    assert test.deviation(MARGIN) == pytest.approx(np.sqrt(MARGIN * (1 - MARGIN) / images))


def test_of_many_units_it_is_the_test_of_a_mean():
    values = np.random.default_rng(4).normal(0, 0.2, 3_000)
    values = (values - values.mean()) / 3_000
    deviation = np.sqrt((values**2).sum())
    assert TiltingTest(values, -1 / 3_000, 2_999).p_value(2 * deviation) == pytest.approx(
        student_tail(2, 2_999), abs=0.002
    )


def test_a_distance_of_zero_has_a_p_value_of_one():
    assert TiltingTest(np.zeros(9), -0.1, 8).p_value(0.0) == 1.0
    assert TiltingTest(np.zeros(9), -0.1, 8).p_value(0.95) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("patients", "a_patient", "alike"), [(50, 2, 1.0), (33, 3, 1.0), (33, 3, 0.5), (121, 4, 1.0)]
)
def test_patients_with_several_images_rarely_pass_falsely(
    patients: int, a_patient: int, alike: float
):
    """If images are treated as independent, 3 to 15 % of such runs pass."""
    random, passed = np.random.default_rng(6), 0
    members = np.repeat(np.arange(patients), a_patient)
    for _ in range(RUNS):
        whole = np.repeat(random.random(patients) < alike, a_patient)
        uniform = np.where(
            whole, random.random(patients)[members], random.random(patients * a_patient)
        )
        gained, lost = uniform < 0.025, uniform > 1 - 0.025 - MARGIN
        test, distance = mean_test(1.0 * gained - lost, members, -MARGIN, minimum=-1)
        passed += test.p_value(distance) <= LEVEL
    assert passed / RUNS <= LEVEL + CHANCE


def test_one_image_of_each_patient_is_tested_exactly():
    random = np.random.default_rng(2)
    new, reference = random.random((2, 60)) < 0.9
    patients = [f"p{number}" for number in range(60)]
    assert compare_proportions(new, reference, 0.1, patients) == compare_proportions(
        new, reference, 0.1
    )
    assert check_proportion(new, 0.8, patients) == check_limit(int(new.sum()), 60, 0.8)


def test_three_copies_of_an_image_count_as_one():
    random = np.random.default_rng(3)
    labels = np.arange(90) % 2
    new, reference = (random.random((90, 2)) + np.eye(2)[labels] for _ in range(2))
    once = compare_auc(new, reference, labels, [0], 0.1, np.arange(90))
    patients = np.repeat(np.arange(90), 3)
    first, second = new[patients], reference[patients]
    thrice = compare_auc(first, second, labels[patients], [0], 0.1, patients)
    assert thrice.p_value == pytest.approx(once.p_value, rel=1e-6)
    assert thrice.difference.low == pytest.approx(once.difference.low, abs=2e-4)
    assert compare_auc(first, second, labels[patients], [0], 0.1).p_value < once.p_value
    right = random.random((2, 90)) < 0.9
    values = 1.0 * right[0] - right[1]
    single, _ = mean_test(values, np.arange(90), -0.1, minimum=-1)
    many, _ = mean_test(values[patients], patients, -0.1, minimum=-1)
    assert many.values == pytest.approx(single.values) and many.worst == single.worst


def test_interval_and_verdict_agree_for_patients():
    random = np.random.default_rng(5)
    patients = np.repeat(np.arange(80), 3)
    new, reference = (np.repeat(random.random(80) < 0.92, 3) for _ in range(2))
    for margin in (0.02, 0.06, 0.1, 0.2):
        comparison = compare_proportions(new, reference, margin, patients)
        assert comparison.noninferior == (comparison.difference.low >= -margin)
        assert "by patient" in comparison.difference.method
    hits = np.repeat(random.random(80) < 0.92, 3)
    clustered = check_proportion(hits, 0.8, patients).proportion
    plain = check_proportion(hits, 0.8).proportion
    assert clustered.low < plain.low < clustered.value < plain.high < clustered.high


def test_each_image_without_a_patient_is_its_own_cluster():
    assert len(set(members_of(["b", "", "a", "", "b"]).tolist())) == 4
    assert members_of(["b", "", "a", "", "b"])[0] == members_of(["b", "", "a", "", "b"])[4]
