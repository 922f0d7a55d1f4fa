"""Answers that no threshold can separate are counted, and give a warning."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.metrics import metrics_of
from pupila.ties import tied, warning_of

CLASSES = ("glaucoma", "normal")
TOP = 255 / 256


def answers(top: int, bottom: int = 0, others: int = 0) -> NDArray[np.float32]:
    """Return probabilities: `top` and `bottom` at the ends of an int8 softmax, `others` between."""
    between = np.linspace(0.1, 0.9, others)
    scores = np.concatenate([np.full(top, TOP), np.full(bottom, 1 - TOP), between])
    return np.stack([scores, 1 - scores], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("probabilities", "part"),
    [
        (answers(top=22, others=78), 0.22),
        (answers(top=1, bottom=30, others=69), 0.3),
        (answers(top=1, bottom=1, others=8), 0.0),
        (answers(top=5), 1.0),
        (np.eye(3, dtype=np.float32)[[0, 0, 1, 2]], 0.5),
    ],
)
def test_the_largest_group_at_the_top_of_a_class_is_counted(
    probabilities: NDArray[np.float32], part: float
):
    assert tied(probabilities) == part


def test_equal_answers_below_the_top_are_not_counted():
    scores = np.array([0.2, 0.5, 0.5, 0.5, 0.8])
    assert tied(np.stack([scores, 1 - scores], axis=1)) == 0


def test_up_to_one_image_in_twenty_gives_no_warning():
    assert warning_of(5 / 100, 100) is None
    said = warning_of(6 / 100, 100, "test images")
    assert said and said.startswith("6 of 100 test images share the highest probability")


def test_every_evaluation_has_the_figure():
    labels = np.repeat([0, 1], 50)
    scores = answers(top=22, others=78)
    assert metrics_of(scores, labels, CLASSES, "glaucoma", 0.85).tied == 0.22


def test_a_model_with_one_answer_gets_another_warning():
    warning = warning_of(tied([[0.51, 0.49]] * 24), 24)
    assert warning and warning.startswith("All 24 images are given one probability of a class")
    assert "io_type" not in warning
