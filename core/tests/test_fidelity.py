"""How closely a model follows its teacher, without labels."""

from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.fidelity import FLOOR, Fidelity, fidelity, logits_of, variance_explained

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(0, 1.5, 200)
NOISE = RANDOM.normal(0, 1.5, 200)
COLOURS = RANDOM.uniform(0, 255, (200, 3))


def answers(logits: Floats) -> Floats:
    """Return probabilities `(images, 2)` of log-odds of the first class."""
    first = 1 / (1 + np.exp(-logits))
    return np.stack([first, 1 - first], axis=1)


def compare(ours: Floats, theirs: Floats, positive: int = 0, **others: Any) -> Fidelity:
    """Return the fidelity of probabilities `(images, classes)`."""
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    logits = logits_of(ours, positive), logits_of(theirs, positive)
    return fidelity("teacher", *logits, same, **others)


def pearson(one: Floats, other: Floats) -> float:
    return cast("float", np.corrcoef(one, other)[0, 1])


@pytest.mark.parametrize(
    ("ours", "correlation", "labels", "difference"),
    [
        pytest.param(LOGITS, 1.0, 1.0, 0.0, id="the teacher itself"),
        pytest.param(LOGITS - 1, 1.0, None, -1.0, id="all of it one lower"),
        pytest.param(-LOGITS, -1.0, 0.0, None, id="the classes exchanged"),
        pytest.param(LOGITS * 0.5, 1.0, 1.0, None, id="less certain"),
        pytest.param(LOGITS * 0 + 1, 0.0, None, None, id="one answer to all"),
    ],
)
def test_fidelity_with_two_classes(
    ours: Floats, correlation: float, labels: float | None, difference: float | None
) -> None:
    result = compare(answers(ours), answers(LOGITS))
    assert result.correlation.value == pytest.approx(correlation, abs=1e-9)
    if labels is not None:
        assert result.labels.value == labels
    if difference is not None:
        assert result.mean_difference.value == pytest.approx(difference, abs=1e-9)


def test_the_correlation_agrees_with_numpy_and_its_interval_covers_it() -> None:
    ours = LOGITS + NOISE
    correlation = compare(answers(ours), answers(LOGITS)).correlation
    inside = np.clip(logits_of(answers(ours)), -6.2, 6.2)[:, 0]
    assert correlation.value == pytest.approx(pearson(inside, LOGITS), abs=1e-3)
    assert correlation.low < np.sqrt(0.5) < correlation.high
    assert correlation.high - correlation.low < 0.2


def test_an_offset_is_measured_for_the_positive_class() -> None:
    result = compare(answers(LOGITS - 1), answers(LOGITS), positive=1)
    assert result.mean_difference.value == pytest.approx(1)


def test_with_more_classes_the_centred_logits_are_averaged() -> None:
    raw = RANDOM.normal(0, 1, (50, 3))
    other = raw + RANDOM.normal(0, 1, (50, 3))

    def softmax(values: Floats) -> Floats:
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    correlation = compare(softmax(other), softmax(raw)).correlation.value
    centred = [values - values.mean(axis=1, keepdims=True) for values in (other, raw)]
    by_class = [pearson(centred[0][:, c], centred[1][:, c]) for c in range(3)]
    assert correlation == pytest.approx(np.mean(by_class), abs=1e-6)


def test_probabilities_of_eight_bits_have_finite_logits() -> None:
    logits = logits_of([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    assert logits[:, 0] == pytest.approx([-6.236, 6.236, 0.0], abs=1e-3)
    assert logits[0, 0] == pytest.approx(np.log(FLOOR / (1 - FLOOR)))


@pytest.mark.parametrize(
    ("ours", "low", "high"),
    [
        pytest.param(COLOURS @ [0.02, -0.01, 0.0], 0.999, 1.0, id="colour alone"),
        pytest.param(LOGITS, 0.0, 0.08, id="nothing to do with colour"),
        pytest.param(LOGITS * 0, 0.0, 0.0, id="one answer to all"),
    ],
)
def test_what_colour_explains(ours: Floats, low: float, high: float) -> None:
    result = compare(answers(ours - ours.mean()), answers(LOGITS), colours=COLOURS)
    assert result.colour is not None
    assert result.reference_colour is not None
    assert low <= result.colour.value <= high
    assert result.reference_colour.value < 0.08


def test_what_colour_explains_is_r_squared_of_least_squares_despite_collinear_brightness() -> None:
    y = LOGITS + COLOURS @ [0.01, 0.0, -0.01]
    plane = np.c_[COLOURS, np.ones(200)]
    left = y - plane @ cast("Floats", np.linalg.lstsq(plane, y, rcond=None)[0])
    both = np.c_[COLOURS, COLOURS @ [0.299, 0.587, 0.114]]
    for colours in (COLOURS, both):
        explained = variance_explained(colours, y[:, None], np.ones((1, 200)))[0]
        assert explained == pytest.approx(1 - left.var() / y.var(), abs=1e-6)


def test_patients_widen_the_interval() -> None:
    ours, teacher = np.repeat((LOGITS + NOISE)[:40], 5), np.repeat(LOGITS[:40], 5)
    patients = [str(row // 5) for row in range(200)]

    def width(result: Fidelity) -> float:
        return result.correlation.high - result.correlation.low

    alone = compare(answers(ours), answers(teacher))
    by_patient = compare(answers(ours), answers(teacher), patients=patients)
    assert width(by_patient) > 1.5 * width(alone)
    assert "by patient" in by_patient.correlation.method


def test_figures_do_not_depend_on_the_order_of_rows_within_rounding() -> None:
    rows = RANDOM.permutation(200)
    ours, teacher = answers(LOGITS + NOISE), answers(LOGITS)
    one = compare(ours, teacher).correlation.value
    assert compare(ours[rows], teacher[rows]).correlation.value == pytest.approx(one)


@pytest.mark.parametrize("images", [0, 4])
def test_too_few_images_are_refused(images: int) -> None:
    with pytest.raises(PupilaError, match="at least 5"):
        compare(answers(LOGITS[:images]), answers(LOGITS[:images]))
