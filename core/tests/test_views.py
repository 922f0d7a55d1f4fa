from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from view_settings import SHA256, changed, photographs

from pupila.views import Augmentation


def picture(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth ramp of red along the width and of green along the height."""
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
def test_a_view_is_another_picture_for_another_image_seed_or_number(
    augmentation: Augmentation, sha256: str, number: int
) -> None:
    ours = Augmentation().view(picture(), SHA256, 1)
    assert (augmentation.view(picture(), sha256, number) != ours).any()


def test_the_number_of_views_changes_none_of_them() -> None:
    few, many = Augmentation(views=2), Augmentation(views=9)
    assert few.digest == many.digest
    assert (views(few, picture(), 2) == views(many, picture(), 2)).all()


@pytest.mark.parametrize(
    "change",
    [
        *({"rotation_degrees": 20}, {"seed": 1}, {"flip_vertical": True}),
        *({"crop": 0.5}, {"mixup": 1}, {"style": "mild"}),
    ],
)
def test_any_other_setting_changes_the_digest(change: dict[str, Any]) -> None:
    assert Augmentation(**change).digest != Augmentation().digest


def test_the_first_view_is_the_image_itself_only_with_original() -> None:
    images, rows = photographs(64), np.arange(len(DIGESTS))
    kept, moved = (Augmentation(mixup=1, original=original) for original in (True, False))
    np.testing.assert_array_equal(kept.render(images, DIGESTS, rows, 0), images)
    assert (kept.mixture(DIGESTS, 0)[1] == 1).all()
    shown = moved.render(images, DIGESTS, rows, 0)
    assert all((one != other).any() for one, other in zip(shown, images, strict=True))
    assert (moved.mixture(DIGESTS, 0)[1] < 1).any()
    assert kept.digest != moved.digest


@pytest.mark.parametrize(
    "change",
    [{}, {"crop": 0.08}, {"crop": 0.5, "mixup": 1}, {"style": "mild"}, {"style": "strong"}],
)
def test_a_view_is_the_same_at_another_resolution(change: dict[str, Any]) -> None:
    augmentation = Augmentation(**change)
    large, small = photographs(224), photographs(128)
    for number in range(1, 6):
        rows = np.arange(len(DIGESTS))
        pairs = zip(
            augmentation.render(large, DIGESTS, rows, number),
            augmentation.render(small, DIGESTS, rows, number),
            strict=True,
        )
        for one, other in pairs:
            shown = np.asarray(Image.fromarray(one).resize((128, 128)), np.int64)
            assert np.abs(shown - other).mean() < 3


# Random crops ----------------------------------------------------------------------------------


def windows(augmentation: Augmentation, height: int = 90, width: int = 120) -> NDArray[np.float64]:
    """Return left, top, right and bottom of views `(views, 4)`, as fractions of the sides.

    They are read off the ramps of `picture`, whose values are those of the left and upper edges
    of its pixels, rounded down; and extrapolated over half a pixel at each edge.
    """
    shown = (views(augmentation, picture(height, width), 200).astype(np.float64) + 0.5) / 200
    red = shown[..., 0].mean(axis=1) + 0.5 / width
    green = shown[..., 1].mean(axis=2) + 0.5 / height
    half_x, half_y = (np.ptp(part, axis=1) / (part.shape[1] - 1) / 2 for part in (red, green))
    edges = (red[:, 0] - half_x, green[:, 0] - half_y, red[:, -1] + half_x, green[:, -1] + half_y)
    return np.stack(edges, axis=1)


def test_a_crop_is_a_window_of_the_image_stretched_over_all_of_it() -> None:
    left, top, right, bottom = windows(changed(crop=0.3)).T
    assert (left > -0.01).all() and (top > -0.01).all()
    assert (right < 1.01).all() and (bottom < 1.01).all()
    areas = (right - left) * (bottom - top)
    ratios = (right - left) / (bottom - top)
    assert areas.min() > 0.28
    assert np.histogram(areas, bins=4, range=(0.3, 1))[0] == pytest.approx(50, abs=20)
    assert ratios.min() > 0.72
    assert ratios.max() < 1.37
    assert np.ptp(ratios) > 0.4


def test_a_crop_can_be_anywhere() -> None:
    left, top, right, bottom = windows(changed(crop=0.05)).T
    narrow = right - left < 0.6
    centres = ((left + right) / 2)[narrow], ((top + bottom) / 2)[narrow]
    for centre in centres:
        assert centre.min() < 0.3
        assert centre.max() > 0.7


def test_a_crop_shows_what_a_window_cut_out_and_resized_shows() -> None:
    image = photographs(224)[0]
    shown = changed(crop=0.3).view(image, SHA256, 5)
    left, top, right, bottom = np.clip(windows(changed(crop=0.3))[4] * 224, 0, 224).tolist()
    cut = Image.fromarray(image).resize(
        (224, 224), Image.Resampling.BILINEAR, box=(left, top, right, bottom)
    )
    assert np.abs(np.asarray(cut, np.int64) - shown).mean() < 3


# Mixtures --------------------------------------------------------------------------------------

DIGESTS = [f"{number:02x}" * 32 for number in (17, 34, 51, 68)]


def test_a_mixture_is_drawn_from_the_seed_the_view_and_the_image() -> None:
    """The mixture of the first image is computed by hand, with its own generator."""
    partners, parts = Augmentation(mixup=0.4, seed=7).mixture(DIGESTS, 3)
    random = np.random.default_rng([7, 3, 0x1111111111111111, 1])
    assert partners[0] == 1 + random.integers(3)
    assert parts[0] == np.float32(random.beta(0.4, 0.4))


def test_a_mixture_is_the_sum_of_two_views_to_the_last_unit() -> None:
    images, augmentation = photographs(24), Augmentation(mixup=1)
    partners, parts = augmentation.mixture(DIGESTS, 2)
    for row, partner in enumerate(map(int, partners)):
        (shown,) = augmentation.render(images, DIGESTS, np.array([row]), 2)
        own = augmentation.view(images[row], DIGESTS[row], 2).astype(np.float32)
        other = augmentation.view(images[partner], DIGESTS[partner], 2)
        assert (shown == np.rint(parts[row] * own + (1 - parts[row]) * other)).all()
        assert (shown != own).any()


def test_black_and_white_mix_to_the_grey_of_their_weights() -> None:
    images = np.zeros((2, 5, 5, 3), np.uint8)
    images[1] = 255
    digests = DIGESTS[:2]
    mixed = changed(mixup=1).render(images, digests, np.arange(2), 1)
    partners, parts = changed(mixup=1).mixture(digests, 1)
    assert partners.tolist() == [1, 0]
    assert (mixed[0] == round(255 * (1 - float(parts[0])))).all()
    assert (mixed[1] == round(255 * float(parts[1]))).all()


def test_each_image_is_mixed_with_another_with_a_uniform_weight() -> None:
    digests = [f"{number:04x}" * 16 for number in range(400)]
    partners, parts = Augmentation(mixup=1).mixture(digests, 1)
    assert (partners.dtype, parts.dtype) == (np.int64, np.float32)
    assert (partners != np.arange(400)).all()
    assert partners.min() >= 0
    assert partners.max() < 400
    assert len(set(partners.tolist())) > 200  # of 400 draws with replacement, 63 % are expected
    assert np.histogram(parts, bins=4, range=(0, 1))[0] == pytest.approx(100, abs=35)


def test_a_small_shape_mixes_little() -> None:
    digests = [f"{number:04x}" * 16 for number in range(200)]
    _, parts = Augmentation(mixup=0.1).mixture(digests, 1)
    assert np.mean(np.minimum(parts, 1 - parts) < 0.05) > 0.6


@pytest.mark.parametrize(
    ("augmentation", "digests", "number"),
    [
        (Augmentation(mixup=1), DIGESTS, 0),
        (Augmentation(), DIGESTS, 1),
        (Augmentation(mixup=1), DIGESTS[:1], 1),
    ],
    ids=["view 0", "no mixup", "one image"],
)
def test_an_unmixed_image_is_its_own_partner(
    augmentation: Augmentation, digests: list[str], number: int
) -> None:
    partners, parts = augmentation.mixture(digests, number)
    assert partners.tolist() == list(range(len(digests)))
    assert (parts == 1).all()
    images, rows = photographs(16)[: len(digests)], np.arange(len(digests))
    shown = augmentation.render(images, digests, rows, number)
    for row in range(len(digests)):
        assert (shown[row] == augmentation.view(images[row], digests[row], number)).all()


def test_some_rows_are_rendered_like_all() -> None:
    images, augmentation = photographs(16), Augmentation(mixup=1, crop=0.5)
    everything = augmentation.render(images, DIGESTS, np.arange(4), 1)
    some = augmentation.render(images, DIGESTS, np.array([2, 0]), 1)
    assert (some == everything[[2, 0]]).all()
    assert augmentation.render(images, DIGESTS, np.arange(0), 1).shape == (0, 16, 16, 3)


# Amounts ---------------------------------------------------------------------------------------


def test_with_nothing_to_change_every_view_is_the_image() -> None:
    assert (views(changed(), picture()) == picture()).all()


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_degrees": 180},
        {"zoom": 0.49},
        {"shift": 0.29},
        {"rotation_degrees": 180, "zoom": 0.49, "shift": 0.29},
        {"rotation_degrees": 180, "zoom": 0.49, "shift": 0.29, "crop": 0.05},
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
def test_a_colour_setting_alone_moves_nothing(setting: str, amount: float) -> None:
    shown = views(changed(**{setting: amount}), picture())
    assert (shown != picture()).any(axis=(1, 2, 3)).mean() > 0.9  # a draw may be next to 0
    assert (np.diff(shown[..., 0].astype(int), axis=2) >= 0).mean() > 0.99  # red still rises


def test_a_stronger_style_alters_views_more() -> None:
    image = photographs(64)[0].astype(np.int64)
    mild, strong = (
        np.abs(views(changed(style=style), photographs(64)[0], 80) - image).mean(axis=(1, 2, 3))
        for style in ("mild", "strong")
    )
    assert (mild > 0).mean() > 0.8  # so smooth a picture has no detail to blur
    assert mild.mean() > 2
    assert strong.mean() > 1.5 * mild.mean()


def test_channel_gain_limits_the_change_of_each_channel() -> None:
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


@pytest.mark.parametrize("change", [{"rotation_degrees": 15}, {"zoom": 0.1}, {"shift": 0.05}])
def test_a_view_is_as_sharp_as_its_image(change: dict[str, float]) -> None:
    """A linear interpolation would lose a tenth of the sharpness."""
    coarse = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))
    shown = views(changed(**change), image, 40).astype(np.int64)
    assert steps(shown) > 0.95 * steps(image.astype(np.int64))


def steps(pixels: NDArray[np.int64]) -> float:
    """Return the mean second difference along the width."""
    return float(np.abs(np.diff(pixels, 2, axis=-2)).mean())


@pytest.mark.parametrize(
    "wrong",
    [
        *({"views": 0}, {"zoom": 0.5}, {"brightness": -0.1}, {"seed": -1}, {"hue": 0.1}),
        *({"crop": 0}, {"crop": 1.1}, {"mixup": -1}, {"mixup": float("inf")}),
    ],
)
def test_an_impossible_amount_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Augmentation(**wrong)
