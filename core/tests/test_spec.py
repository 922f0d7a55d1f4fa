from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pupila import InputSpec, OutputSpec

TWO, THREE = ("ill", "well"), ("red", "green", "blue")


def test_the_input_is_one_rgb_image() -> None:
    assert InputSpec(height=20, width=30).shape == (20, 30, 3)


@pytest.mark.parametrize(("height", "width"), [(0, 10), (10, 0), (-1, 10)])
def test_an_image_without_pixels_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        InputSpec(height=height, width=width)


@pytest.mark.parametrize(
    ("kind", "classes", "columns"),
    [("softmax", TWO, 2), ("logits", THREE, 3), ("sigmoid", TWO, 1)],
)
def test_the_kind_says_how_many_columns_there_are(
    kind: Any, classes: tuple[str, ...], columns: int
) -> None:
    assert OutputSpec(kind=kind, classes=classes).columns == columns


def test_one_class_is_refused() -> None:
    with pytest.raises(ValidationError, match="a classifier tells at least two classes apart"):
        OutputSpec(kind="softmax", classes=("ill",))


def test_a_sigmoid_chooses_between_two_classes() -> None:
    with pytest.raises(ValidationError, match="a sigmoid tells two classes apart"):
        OutputSpec(kind="sigmoid", classes=THREE)


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="named twice"):
        OutputSpec(kind="softmax", classes=("ill", "ill"))
