from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec, PupilaError, Threshold
from pupila.classification import Classification
from pupila.testing import CLASSES, TaskContract, draw_images, read_images


class TestClassification(TaskContract):
    plugin = "classification"
    positive = CLASSES[0]

    @classmethod
    def make_dataset(cls, folder: Path) -> Dataset:
        return read_images(draw_images(folder / "images"), folder / "cache")

    @classmethod
    def make_outputs(cls, images: Dataset) -> tuple[OutputSpec, NDArray[np.float32]]:
        certain = np.eye(len(images.classes), dtype=np.float32)[images.labels]
        return OutputSpec(kind="softmax", classes=images.classes), 0.98 * certain + 0.01


TWO = ("ill", "well")
TASK = Classification()


@pytest.mark.parametrize(
    ("kind", "outputs", "probabilities"),
    [
        ("softmax", [[0.25, 0.75]], [[0.25, 0.75]]),
        ("sigmoid", [[0.25], [1.0]], [[0.75, 0.25], [0.0, 1.0]]),
        ("logits", [[0.0, np.log(3)]], [[0.25, 0.75]]),
        ("logits", [[1e4, -1e4]], [[1.0, 0.0]]),
    ],
)
def test_raw_outputs_become_probabilities(
    kind: Any, outputs: list[list[float]], probabilities: list[list[float]]
) -> None:
    spec = OutputSpec(kind=kind, classes=TWO)
    computed = TASK.answers(spec, np.array(outputs, np.float32))
    assert computed.dtype == np.float32
    np.testing.assert_allclose(computed, probabilities, rtol=1e-6)


@pytest.mark.parametrize("kind", ["softmax", "logits", "sigmoid"])
def test_no_image_has_no_probabilities(kind: Any) -> None:
    spec = OutputSpec(kind=kind, classes=TWO)
    assert TASK.answers(spec, np.empty((0, spec.columns), np.float32)).shape == (0, 2)


def test_a_shipped_threshold_decides_the_class():
    answers = np.array([[0.4, 0.6], [0.2, 0.8]])
    shipped = Threshold(positive="ill", value=0.3, chosen_on="validation")
    decided = TASK.decided(answers, TWO, shipped)
    assert [TASK.describe(row, TWO) for row in decided] == ["ill", "well"]
    assert [TASK.describe(row, TWO) for row in TASK.decided(answers, TWO, None)] == ["well"] * 2
    assert TASK.same(decided, answers).tolist() == [False, True]


def _two_columns(first: list[float]) -> NDArray[np.float64]:
    return np.stack([first, 1 - np.array(first)], axis=1)


def test_agreement_compares_image_by_image():
    ours, theirs = _two_columns([0.9, 0.6, 0.2, 0.4]), _two_columns([0.8, 0.4, 0.2, 0.3])
    compared = TASK.agreement("xception", ours, theirs)
    assert compared.reference == "xception"
    assert compared.labels.value == 0.75
    assert compared.mean_difference == pytest.approx(0.1)
    assert compared.largest_difference == pytest.approx(0.2)


def test_answers_of_other_images_cannot_be_compared():
    with pytest.raises(PupilaError, match=r"\(3, 2\).*'xception'.*\(2, 2\)"):
        TASK.agreement("xception", _two_columns([0.1, 0.2, 0.3]), _two_columns([0.1, 0.2]))


SOFTMAX = OutputSpec(kind="softmax", classes=("a", "b", "c"))
SIGMOID = OutputSpec(kind="sigmoid", classes=("a", "b"))
LOGITS = OutputSpec(kind="logits", classes=("a", "b"))


@pytest.mark.parametrize(
    ("spec", "row", "words"),
    [
        (SOFTMAX, [0.2, 0.3, 0.5], None),
        (SOFTMAX, [255 / 256, 0, 0], None),
        (SOFTMAX, [86 / 256, 86 / 256, 86 / 256], None),
        (SOFTMAX, [0.2, 0.3, 0.52], "rows that do not sum to 1 to 1 of 1 images"),
        (SOFTMAX, [0.9, 0.9, 0.9], "rows that do not sum to 1"),
        (SOFTMAX, [-0.5, 0.5, 1], "numbers outside of 0..1 to 1 of 1 images"),
        (SOFTMAX, [np.nan, 0.5, 0.5], "numbers that are NaN or infinite"),
        (SOFTMAX, [0.5, 0.5], r"shape (1, 2) to 1 images: expected one column for each"),
        (SIGMOID, [0.3], None),
        (SIGMOID, [1.5], "such as [1.5]: expected one column in 0..1, the probability"),
        (SIGMOID, [0.3, 0.7], "shape (1, 2)"),
        (LOGITS, [-30, 40], None),
        (LOGITS, [-np.inf, 40], "numbers that are NaN or infinite"),
    ],
)
def test_outputs_that_break_the_spec_are_refused_and_rounded_ones_are_not(
    spec: OutputSpec, row: list[float], words: str | None
):
    misfit = TASK.misfit(spec, np.array([row], np.float32), 1)
    assert misfit is None if words is None else words in str(misfit)
