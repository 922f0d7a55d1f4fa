from __future__ import annotations

import numpy as np
import pytest
from drawn_answers import binormal, two_columns
from numpy.typing import NDArray

from pupila.artifact import Threshold
from pupila.errors import PupilaError
from pupila.metrics import (
    answers_of,
    confusion,
    metrics_of,
    operating_point,
    threshold_at,
)

CLASSES = ("glaucoma", "normal")


def test_accuracy_counts_the_most_probable_class():
    scores = two_columns([0.9, 0.8, 0.3, 0.6])
    truth = np.array([0, 0, 0, 1])
    answers = answers_of(scores, CLASSES, None)
    assert answers.tolist() == [0, 0, 1, 0]
    assert confusion(answers, truth, 2) == ((2, 1), (1, 0))
    assert metrics_of(scores, truth, CLASSES, "glaucoma", 0.85).accuracy.value == 0.5


@pytest.mark.parametrize(
    ("specificity", "sensitivity", "reached"),
    [(1.0, 0.25, 1.0), (0.8, 0.75, 0.8), (0.75, 0.75, 0.8), (0.6, 0.75, 0.6), (0.2, 1.0, 0.2)],
)
def test_the_threshold_gives_the_best_sensitivity_at_the_wanted_specificity(
    specificity: float, sensitivity: float, reached: float
):
    scores = np.array([0.95, 0.7, 0.6, 0.2, 0.8, 0.5, 0.4, 0.3, 0.1])
    is_positive = np.arange(9) < 4
    point = operating_point(
        scores, is_positive, threshold_at(scores, is_positive, specificity), "test"
    )
    assert point.sensitivity.value == sensitivity
    assert point.specificity.value >= specificity
    assert point.specificity.value == reached


def test_no_threshold_is_better_than_the_chosen_one():
    random = np.random.default_rng(5)
    for _ in range(50):
        scores, is_positive = random.integers(0, 12, 40) / 12, random.random(40) < 0.5
        chosen = threshold_at(scores, is_positive, 0.85)
        best = max(
            (scores[is_positive] >= other).mean()
            for other in np.append(scores, 2)
            if (scores[~is_positive] < other).mean() >= 0.85
        )
        assert (scores[is_positive] >= chosen).mean() == best
        assert (scores[~is_positive] < chosen).mean() >= 0.85


def test_a_threshold_is_midway_between_the_scores_that_it_separates():
    scores, is_positive = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False])
    assert threshold_at(scores, is_positive, 1.0) == pytest.approx(0.5)


def test_a_negative_with_score_one_leaves_no_positive_answer():
    scores, is_positive = np.array([1.0, 1.0]), np.array([True, False])
    point = operating_point(scores, is_positive, threshold_at(scores, is_positive, 1.0), "test")
    assert (point.sensitivity.value, point.specificity.value) == (0, 1)


def test_a_threshold_from_validation_is_measured_on_the_test_images():
    random = np.random.default_rng(1)
    scores, truth = binormal(random, 0.9, 80, 80)
    others, labels = binormal(random, 0.9, 60, 60)
    metrics = metrics_of(
        two_columns(scores), truth, CLASSES, "glaucoma", 0.85, (two_columns(others), labels)
    )
    honest, optimistic = metrics.operating_points
    assert (honest.chosen_on, optimistic.chosen_on) == ("validation", "test")
    assert honest.threshold == threshold_at(others, labels == 0, 0.85)
    called = scores >= honest.threshold
    assert honest.sensitivity.value == called[truth == 0].mean()
    assert honest.specificity.value == (~called)[truth == 1].mean()
    assert honest.sensitivity.low < honest.sensitivity.value < honest.sensitivity.high


def test_a_shipped_threshold_is_measured_first():
    scores, truth = binormal(np.random.default_rng(2), 0.9, 80, 80)
    shipped = Threshold(positive="glaucoma", value=0.3, chosen_on="105 validation images")
    metrics = metrics_of(two_columns(scores), truth, CLASSES, "glaucoma", 0.85, shipped=shipped)
    point = metrics.shipped
    assert point and point == metrics.point and point.chosen_on == "105 validation images"
    assert point.sensitivity.value == (scores[truth == 0] >= 0.3).mean()
    assert point.specificity.value == (scores[truth == 1] < 0.3).mean()
    assert metrics.operating_points[0].threshold != 0.3
    alone = metrics_of(two_columns([0.9]), [0], CLASSES, "glaucoma", 0.85, shipped=shipped)
    assert alone.shipped is None


def test_the_accuracy_and_the_confusion_matrix_are_those_of_the_threshold_that_ships():
    """The threshold classifies every image as positive, so half of the answers are wrong."""
    scores, truth = two_columns([0.9, 0.8, 0.1, 0.2]), [0, 0, 1, 1]
    shipped = Threshold(positive="glaucoma", value=0.002, chosen_on="four images")
    metrics = metrics_of(scores, truth, CLASSES, "glaucoma", 0.85, shipped=shipped)
    assert metrics.accuracy.value == 0.5
    assert (metrics.confusion, metrics.confusion_at) == (((2, 0), (2, 0)), 0.002)


def test_a_threshold_for_the_other_of_two_classes_decides_too():
    """Every image is classified as normal, so half of the answers are wrong."""
    scores, truth = two_columns([0.9, 0.8, 0.1, 0.2]), [0, 0, 1, 1]
    shipped = Threshold(positive="normal", value=0.05, chosen_on="four images")
    metrics = metrics_of(scores, truth, CLASSES, "glaucoma", 0.85, shipped=shipped)
    point = metrics.shipped
    assert point and point == metrics.point
    assert (point.sensitivity.value, point.specificity.value) == (0, 1)
    assert metrics.accuracy.value == 0.5
    assert metrics.confusion == ((0, 2), (0, 2))
    assert metrics.confusion_at == point.threshold == pytest.approx(0.95)
    assert point.threshold > 0.95


def test_a_threshold_for_another_of_three_classes_is_ignored():
    scores = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6]])
    shipped = Threshold(positive="b", value=0.1, chosen_on="three images")
    metrics = metrics_of(scores, [0, 1, 2], ("a", "b", "c"), "a", 0.5, shipped=shipped)
    assert metrics.shipped is None
    assert metrics.accuracy.value == 1


def test_the_confusion_matrix_is_at_the_locked_threshold_and_never_at_one_of_these_images():
    scores, truth = binormal(np.random.default_rng(1), 0.9, 80, 80)
    others, labels = binormal(np.random.default_rng(2), 0.9, 60, 46)
    locked = metrics_of(
        two_columns(scores), truth, CLASSES, "glaucoma", 0.85, (two_columns(others), labels)
    )
    point = locked.operating_points[0]
    assert (point.chosen_on, point.images) == ("validation", 106)
    assert locked.confusion_at == point.threshold
    (hits, _), (_, rejected) = locked.confusion
    assert hits / 80 == point.sensitivity.value and rejected / 80 == point.specificity.value
    alone = metrics_of(two_columns(scores), truth, CLASSES, "glaucoma", 0.85)
    assert alone.confusion_at is None
    assert np.trace(alone.confusion) == alone.accuracy.value * 160


def test_the_positive_class_may_be_in_any_column():
    truth, positive = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.3, 0.1])
    scores = two_columns(positive)[:, ::-1]
    metrics = metrics_of(scores, truth, ("healthy", "sick"), "sick", 0.9)
    assert metrics.auc is not None
    assert metrics.auc.value == 1
    assert metrics.operating_points[0].sensitivity.value == 1


def test_a_group_of_one_class_has_accuracy_but_no_area_and_no_operating_point():
    validation = (two_columns([0.9, 0.2]), [0, 1])
    metrics = metrics_of(
        two_columns([0.9, 0.4]), [0, 0], CLASSES, "glaucoma", 0.9, validation=validation
    )
    assert metrics.accuracy.value == 0.5
    assert metrics.auc is None
    assert metrics.operating_points == ()


def test_a_validation_split_of_one_class_chooses_no_threshold():
    validation = (two_columns([0.9, 0.8]), [0, 0])
    metrics = metrics_of(two_columns([0.9, 0.4]), [0, 1], CLASSES, "glaucoma", 0.9, validation)
    assert [point.chosen_on for point in metrics.operating_points] == ["test"]


GOOD = np.array([[0.9, 0.1], [0.2, 0.8]])
BROKEN = np.array([[0.9, 0.1], [np.nan, 0.8]])
LOGITS = np.array([[0.9, 0.1], [-7.5, 3.0]])


@pytest.mark.parametrize(
    ("scores", "labels", "positive", "specificity", "message"),
    [
        (np.zeros((0, 2)), [], "glaucoma", 0.9, "No test images"),
        (BROKEN, [0, 1], "glaucoma", 0.9, "1 of 2 test images .* image 1, class 'glaucoma': nan"),
        (LOGITS, [0, 1], "glaucoma", 0.9, "class 'glaucoma': -7.5.*logits"),
        (GOOD, [0, 2], "glaucoma", 0.9, "Label 2 of test image 1 is out of range: expected 0..1"),
        (GOOD, [0, -1], "glaucoma", 0.9, "Label -1"),
        (GOOD, [0, 1, 1], "glaucoma", 0.9, r"\(2, 2\), labels \(3,\)"),
        (np.ones((2, 3)) / 3, [0, 1], "glaucoma", 0.9, r"shape \(2, 3\)"),
        (GOOD, [0, 1], "glaucom", 0.9, "'glaucom', which is not one of .*Did you mean 'glaucoma'?"),
        (GOOD, [0, 1], "glaucoma", 1.5, r"Specificity 1.5 .*\(0, 1\]"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_by_name(
    scores: NDArray[np.float64],
    labels: list[int],
    positive: str,
    specificity: float,
    message: str,
):
    with pytest.raises(PupilaError, match=message):
        metrics_of(scores, labels, CLASSES, positive, specificity)


def test_broken_validation_answers_are_named_as_such():
    with pytest.raises(PupilaError, match="validation images have a probability"):
        metrics_of(GOOD, [0, 1], CLASSES, "glaucoma", 0.9, (BROKEN, [0, 1]))


def test_with_many_classes_the_positive_one_is_compared_with_the_rest():
    random = np.random.default_rng(4)
    truth = np.repeat([0, 1, 2], 20)
    scores = random.dirichlet(np.ones(3), 60) * 0.6 + np.eye(3)[truth] * 0.4
    metrics = metrics_of(scores, truth, ("early", "late", "none"), "late", 0.9)
    assert np.array(metrics.confusion).sum(axis=1).tolist() == [20, 20, 20]
    assert metrics.auc is not None
    assert metrics.auc.low < metrics.auc.value < metrics.auc.high
    (point,) = metrics.operating_points
    called = scores[:, 1] >= point.threshold
    assert point.sensitivity.value == called[20:40].mean()
    assert point.specificity.value == 1 - called[np.r_[0:20, 40:60]].mean() >= 0.9
