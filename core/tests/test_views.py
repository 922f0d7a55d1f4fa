from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from pupila.views import Augmentation

SHA256 = "3f" * 32
STILL: dict[str, Any] = {
    "flip_horizontal": False,
    "rotation_degrees": 0,
    "zoom": 0,
    "shift": 0,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "channel_gain": 0,
}


def changed(**amounts: Any) -> Augmentation:
    """Nothing but what is given changes."""
    return Augmentation(**{**STILL, **amounts})


def picture(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth ramp of red along the width and of green along the height."""
    rows, columns = np.mgrid[:height, :width]
    channels = (columns * 200 / width, rows * 200 / height, np.full((height, width), 60.0))
    return np.stack(channels, axis=-1).astype(np.uint8)


def views(augmentation: Augmentation, image: NDArray[np.uint8], count: int = 20) -> Any:
    return np.stack([augmentation.view(image, SHA256, number) for number in range(1, count)])


def test_view_zero_is_the_image_itself() -> None:
    image = picture()
    assert Augmentation().view(image, SHA256, 0) is image


def test_a_view_is_the_same_picture_every_time() -> None:
    first, second = (Augmentation().view(picture(), SHA256, 3) for _ in range(2))
    assert (first == second).all()
    assert first.shape == picture().shape
    assert first.dtype == np.uint8


@pytest.mark.parametrize(
    ("augmentation", "sha256", "number"),
    [
        (Augmentation(), SHA256, 2),
        (Augmentation(), "4f" * 32, 1),
        (Augmentation(seed=1), SHA256, 1),
    ],
    ids=["number", "image", "seed"],
)
def test_a_view_is_another_picture_for_another(
    augmentation: Augmentation, sha256: str, number: int
) -> None:
    ours = Augmentation().view(picture(), SHA256, 1)
    assert (augmentation.view(picture(), sha256, number) != ours).any()


def test_the_number_of_views_changes_none_of_them() -> None:
    few, many = Augmentation(views=2), Augmentation(views=9)
    assert few.digest == many.digest
    assert (views(few, picture(), 2) == views(many, picture(), 2)).all()


@pytest.mark.parametrize("change", [{"rotation_degrees": 20}, {"seed": 1}, {"flip_vertical": True}])
def test_any_other_setting_changes_the_digest(change: dict[str, Any]) -> None:
    assert Augmentation(**change).digest != Augmentation().digest


def test_a_view_is_the_same_at_another_resolution() -> None:
    large, small = picture(192, 192), picture(96, 96)
    for number in range(1, 8):
        shown = Image.fromarray(Augmentation().view(large, SHA256, number)).resize((96, 96))
        difference = np.asarray(shown, np.int64) - Augmentation().view(small, SHA256, number)
        assert np.abs(difference).mean() < 3


def test_with_nothing_to_change_every_view_is_the_image() -> None:
    assert (views(changed(), picture()) == picture()).all()


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_degrees": 180},
        {"zoom": 0.49},
        {"shift": 0.29},
        {"rotation_degrees": 180, "zoom": 0.49, "shift": 0.29},
    ],
)
@pytest.mark.parametrize("size", [(48, 48), (30, 90), (90, 30)])
def test_no_view_shows_what_lies_outside_the_image(
    change: dict[str, float], size: tuple[int, int]
) -> None:
    white = np.full((*size, 3), 255, np.uint8)
    assert (views(changed(**change), white, 60) == 255).all()


def test_mirroring_happens_half_the_time() -> None:
    image = picture()
    shown = views(changed(flip_horizontal=True), image, 101)
    mirrored = (shown == image[:, ::-1]).all(axis=(1, 2, 3))
    assert 30 <= mirrored.sum() <= 70
    assert (shown[~mirrored] == image).all()


@pytest.mark.parametrize(
    ("setting", "amount"),
    [("brightness", 0.3), ("contrast", 0.3), ("saturation", 0.5), ("channel_gain", 0.2)],
)
def test_a_colour_setting_alone_leaves_things_where_they_are(setting: str, amount: float) -> None:
    shown = views(changed(**{setting: amount}), picture())
    assert (shown != picture()).any(axis=(1, 2, 3)).mean() > 0.9  # a draw may be next to 0
    assert (np.diff(shown[..., 0].astype(int), axis=2) >= 0).mean() > 0.99  # red still rises


def test_channel_gain_moves_each_channel_by_no_more_than_it_says() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    shown = views(changed(channel_gain=0.2), grey, 60)
    assert shown.min() >= 80
    assert shown.max() <= 120
    assert np.ptp(shown.astype(int), axis=-1).max() > 10


def test_a_rotation_turns_the_picture_about_its_centre() -> None:
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 32] = 255
    image[32, 50] = 255
    for shown in views(changed(rotation_degrees=90), image):
        assert shown[31:34, 31:34].max() > 60
        rows, columns = np.nonzero(shown[..., 0] > 60)
        distances = np.hypot(rows - 32, columns - 32)
        assert 16 < distances.max() < 20


@pytest.mark.parametrize(
    "wrong", [{"views": 0}, {"zoom": 0.5}, {"brightness": -0.1}, {"seed": -1}, {"hue": 0.1}]
)
def test_an_amount_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Augmentation(**wrong)
