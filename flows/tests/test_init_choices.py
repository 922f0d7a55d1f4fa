"""What `pupila init` chooses fits the images and the budget."""

from __future__ import annotations

import numpy as np
import pytest

from pupila.errors import PupilaError
from pupila_flows.init.choose import (
    choose_margins,
    choose_positive,
    choose_pupil,
    parse_size,
)
from pupila_flows.init.model import best_order
from pupila_flows.plan.reach import smallest_margins


@pytest.mark.parametrize(
    ("text", "size"),
    [("500kB", 500_000), ("1.5 MB", 1_500_000), ("65536", 65_536), ("2m", 2_000_000)],
)
def test_sizes_are_read_with_their_units(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-5", "0", "1GBB", "nan", "inf"])
def test_what_is_not_a_size_is_refused(text: str):
    with pytest.raises(PupilaError, match=r"as 500kB or 1\.5MB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("budget", "student"),
    [(None, "mobile-s"), (200_000, "mobile-xs"), (600_000, "mobile-s"), (5_000_000, "residual-m")],
)
def test_the_largest_pupil_in_the_budget_is_chosen(budget: int | None, student: str):
    assert choose_pupil(budget, 500).student == student
    assert choose_pupil(budget, 500, is_micro=True).student == "mobile-xs"


def test_a_budget_below_every_pupil_is_refused():
    with pytest.raises(PupilaError, match=r"about 170,000 bytes .* more than 1,000"):
        choose_pupil(1000, 500)


def test_more_images_are_trained_for_fewer_epochs():
    epochs = [choose_pupil(None, images).epochs for images in (50, 300, 600, 100_000)]
    assert epochs == [60, 40, 20, 10]


def test_margins_are_within_reach_of_the_test_images():
    test = {"glaucoma": 59, "normal": 48}
    margins = choose_margins(test, "glaucoma")
    reached = smallest_margins(test, "glaucoma", ("accuracy", "auc"))
    assert margins.keys() == reached.keys()
    for metric, margin in margins.items():
        assert margin >= (reached[metric] or 0)
        assert margin >= 0.05
    assert choose_margins({"glaucoma": 2000, "normal": 2000}, "glaucoma") == {
        "accuracy": 0.05,
        "auc": 0.05,
    }
    assert choose_margins({"glaucoma": 3, "normal": 3}, "glaucoma") == {}
    assert "auc" not in choose_margins({"a": 60, "b": 60, "c": 60}, "a")


def test_the_positive_class_is_the_one_that_is_not_normal():
    assert choose_positive(("glaucoma", "normal")) == "glaucoma"
    assert choose_positive(("Healthy", "ill")) == "ill"
    assert choose_positive(("cat", "dog")) == "cat"


def test_the_order_of_classes_is_that_with_most_right_answers():
    labels = np.array([0, 0, 1, 1, 2, 2])
    answers = np.eye(3)[[2, 2, 0, 0, 1, 0]]  # column 2 is class 0, 0 is class 1, 1 is class 2
    order, accuracy = best_order(answers, labels)
    assert order == (1, 2, 0)
    assert accuracy == pytest.approx(5 / 6)
