from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.artifact import Threshold
from pupila.errors import PupilaError
from pupila.metrics import (
    accuracy,
    agreement,
    auc,
    auc_interval,
    calibration,
    confusion,
    metrics_of,
    operating_point,
    proportion,
    threshold_at,
)

CLASSES = ("glaucoma", "normal")


def two_columns(positive: list[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    first = np.asarray(positive, np.float64)
    return np.stack([first, 1 - first], axis=1)


def binormal(
    random: np.random.Generator, area: float, positives: int, negatives: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw scores whose true area under the curve is `area`, and labels: 0 is the positive one."""
    shift = float(np.sqrt(2) * import_module("scipy.stats").norm.ppf(area))
    scores = random.normal(np.repeat([shift, 0], [positives, negatives]))
    return 1 / (1 + np.exp(-scores)), np.repeat([0, 1], [positives, negatives])


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


def test_accuracy_counts_the_most_probable_class():
    scores = two_columns([0.9, 0.8, 0.3, 0.6])
    truth = np.array([0, 0, 0, 1])
    assert accuracy(scores, truth).value == 0.5
    assert confusion(scores, truth) == ((2, 1), (1, 0))


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1, 0.2], [0.9, 0.8], 0.0),
        ([0.5, 0.5], [0.5, 0.5], 0.5),
        ([0.9, 0.5], [0.5, 0.1], 7 / 8),
        ([0.3, 0.7], [0.5], 0.5),
    ],
)
def test_ties_count_half_in_the_area(
    positives: list[float], negatives: list[float], expected: float
):
    truth = np.repeat([0, 1], [len(positives), len(negatives)])
    estimate = auc(two_columns(positives + negatives), truth, column=0)
    assert estimate is not None
    assert estimate.value == pytest.approx(expected)


def test_the_area_is_that_of_scikit_learn():
    random = np.random.default_rng(3)
    metrics: Any = import_module("sklearn.metrics")
    truth = random.integers(0, 2, 300)
    drawn = random.random(300) * 0.5 + (truth == 0) * 0.3
    positive = (drawn * 100).astype(np.int64) / 100  # with many ties
    estimate = auc(two_columns(positive), truth, column=0)
    assert estimate is not None
    assert estimate.value == pytest.approx(metrics.roc_auc_score(truth == 0, positive))

    labels = random.integers(0, 4, 300)
    scores = random.dirichlet(np.ones(4), 300) * 0.7 + np.eye(4)[labels] * 0.3
    many = auc(scores, labels, column=0)
    assert many is not None
    assert many.value == pytest.approx(metrics.roc_auc_score(labels, scores, multi_class="ovr"))
    assert many.low < many.value < many.high


def test_the_limits_of_the_area_solve_newcombes_equation():
    area, positives, negatives = 0.9, 59, 48
    extra = (positives + negatives) / 2 - 1
    for theta in auc_interval(area, positives, negatives):
        hanley = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * hanley / (positives * negatives)
        assert abs(area - theta) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


def test_a_faultless_area_on_few_images_keeps_a_wide_interval():
    low, high = auc_interval(1.0, 59, 48)
    assert high == 1
    assert 0.95 < low < 0.97
    assert auc_interval(1.0, 5, 5)[0] < 0.7
    mirrored = auc_interval(0.0, 48, 59)
    assert mirrored == pytest.approx((0, 1 - low))


@pytest.mark.parametrize("area", [0.8, 0.95, 0.99])
def test_the_interval_of_the_area_holds_the_truth_as_often_as_it_says(area: float):
    random = np.random.default_rng(20)
    repeats, held = 1500, 0
    for _ in range(repeats):
        positive, truth = binormal(random, area, 50, 50)
        estimate = auc(two_columns(positive), truth, column=0)
        assert estimate is not None
        held += estimate.low <= area <= estimate.high
    assert 0.93 <= held / repeats <= 0.995


def test_an_area_needs_both_classes():
    assert auc(two_columns([0.9, 0.8]), np.array([0, 0]), column=0) is None


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


def test_no_threshold_does_better_than_the_one_chosen():
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


def test_a_threshold_lies_midway_between_the_scores_that_it_parts():
    scores, is_positive = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False])
    assert threshold_at(scores, is_positive, 1.0) == pytest.approx(0.5)


def test_a_negative_that_scores_one_leaves_nothing_to_call_positive():
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


def test_a_shipped_threshold_is_measured_as_it_is_and_comes_first():
    scores, truth = binormal(np.random.default_rng(2), 0.9, 80, 80)
    shipped = Threshold(positive="glaucoma", value=0.3, chosen_on="105 validation images")
    metrics = metrics_of(two_columns(scores), truth, CLASSES, "glaucoma", 0.85, shipped=shipped)
    point = metrics.shipped
    assert point and point == metrics.point and point.chosen_on == "105 validation images"
    assert point.sensitivity.value == (scores[truth == 0] >= 0.3).mean()
    assert point.specificity.value == (scores[truth == 1] < 0.3).mean()
    assert metrics.operating_points[0].threshold != 0.3
    other = shipped.model_copy(update={"positive": "normal"})
    plain = metrics_of(two_columns(scores), truth, CLASSES, "glaucoma", 0.85, shipped=other)
    assert plain.shipped is None and plain.point == plain.operating_points[0]
    alone = metrics_of(two_columns([0.9]), [0], CLASSES, "glaucoma", 0.85, shipped=shipped)
    assert alone.shipped is None


def test_the_positive_class_may_be_in_any_column():
    truth, positive = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.3, 0.1])
    scores = two_columns(positive)[:, ::-1]
    metrics = metrics_of(scores, truth, ("healthy", "sick"), "sick", 0.9)
    assert metrics.auc is not None
    assert metrics.auc.value == 1
    assert metrics.operating_points[0].sensitivity.value == 1


def test_calibration_is_that_of_the_formula():
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
    assert tuple(each.value for each in measured) == (ece, brier)


def test_calibration_intervals_hold_the_truth_of_a_large_population():
    random = np.random.default_rng(8)

    def draw(images: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw answers that are too sure: the odds are the square root of what they say."""
        logit = random.normal(0, 2, images)
        said, true = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-logit / 2))
        return two_columns(said), (random.random(images) > true).astype(np.int64)

    truths = [estimate.value for estimate in calibration(*draw(20_000))]
    held = np.zeros(2)
    for _ in range(30):
        estimates = calibration(*draw(300))
        held += [
            each.low <= truth <= each.high for each, truth in zip(estimates, truths, strict=True)
        ]
    assert (held >= 25).all(), held


def test_a_seed_gives_one_interval_and_another_seed_another():
    random = np.random.default_rng(2)
    scores, truth = binormal(random, 0.9, 60, 60)
    first, again = (calibration(two_columns(scores), truth, seed=1) for _ in range(2))
    assert first == again
    assert first != calibration(two_columns(scores), truth, seed=2)


def test_agreement_compares_image_by_image():
    ours, theirs = two_columns([0.9, 0.6, 0.2, 0.4]), two_columns([0.8, 0.4, 0.2, 0.3])
    compared = agreement("xception", ours, theirs)
    assert compared.reference == "xception"
    assert compared.labels.value == 0.75
    assert compared.mean_difference == pytest.approx(0.1)
    assert compared.largest_difference == pytest.approx(0.2)


def test_answers_of_other_images_cannot_be_compared():
    with pytest.raises(PupilaError, match=r"\(3, 2\).*'xception'.*\(2, 2\)"):
        agreement("xception", two_columns([0.1, 0.2, 0.3]), two_columns([0.1, 0.2]))


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
        (np.zeros((0, 2)), [], "glaucoma", 0.9, "no test image"),
        (BROKEN, [0, 1], "glaucoma", 0.9, "1 of 2 test images .* image 1, class 'glaucoma': nan"),
        (LOGITS, [0, 1], "glaucoma", 0.9, "class 'glaucoma': -7.5.*logits"),
        (GOOD, [0, 2], "glaucoma", 0.9, "Label 2 of test image 1 is out of range: expected 0..1"),
        (GOOD, [0, -1], "glaucoma", 0.9, "Label -1"),
        (GOOD, [0, 1, 1], "glaucoma", 0.9, r"\(2, 2\), labels \(3,\)"),
        (np.ones((2, 3)) / 3, [0, 1], "glaucoma", 0.9, r"shape \(2, 3\)"),
        (GOOD, [0, 1], "glaucom", 0.9, "'glaucom', which is none of .*Did you mean 'glaucoma'?"),
        (GOOD, [0, 1], "glaucoma", 1.5, r"Specificity 1.5 .*\(0, 1\]"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(
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


def test_memory_stays_bounded_for_a_hundred_thousand_images():
    program = (
        "import resource, numpy as np; from pupila.metrics import calibration;"
        "random = np.random.default_rng(0); n = 100_000; positive = random.random(n);"
        "import pupila.metrics as m; m.DRAWS = 120;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "calibration(np.stack([positive, 1 - positive], 1), (random.random(n) > .5).astype(int));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 400 * 1024  # KiB; all 120 resamples at once would be 96 MB each way


def test_of_many_classes_the_positive_one_is_set_against_the_rest():
    random = np.random.default_rng(4)
    truth = np.repeat([0, 1, 2], 20)
    scores = random.dirichlet(np.ones(3), 60) * 0.6 + np.eye(3)[truth] * 0.4
    metrics = metrics_of(scores, truth, ("early", "late", "none"), "late", 0.9)
    assert np.array(metrics.confusion).sum(axis=1).tolist() == [20, 20, 20]
    assert metrics.auc is not None
    assert metrics.auc.method.startswith("stratified percentile bootstrap")
    (point,) = metrics.operating_points
    called = scores[:, 1] >= point.threshold
    assert point.sensitivity.value == called[20:40].mean()
    assert point.specificity.value == 1 - called[np.r_[0:20, 40:60]].mean() >= 0.9
