"""Points and sizes move as the pictures of views do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from view_settings import SHA256, changed, photographs

from pupila.views import Augmentation

MOVES = [
    *({"flip_horizontal": True}, {"flip_vertical": True}, {"rotation_degrees": 180}),
    *({"zoom": 0.4}, {"shift": 0.2}, {"crop": 0.3}),
    {"flip_horizontal": True, "flip_vertical": True, "crop": 0.4}
    | {"rotation_degrees": 40, "zoom": 0.2, "shift": 0.1},
]
MIDDLES = np.array([[0.3, 0.4], [0.62, 0.35], [0.45, 0.7]])


def disc(size: tuple[int, int], middle: NDArray[np.float64], half: float) -> NDArray[np.uint8]:
    """Return a white ellipse on black; `half` is its half size as a fraction of both sides."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    x, y = (columns + 0.5) / size[1] - middle[0], (rows + 0.5) / size[0] - middle[1]
    inside = np.hypot(x, y) <= half
    return np.repeat(inside[..., np.newaxis], 3, axis=-1).astype(np.uint8) * np.uint8(255)


@pytest.mark.parametrize("change", MOVES)
@pytest.mark.parametrize("size", [(96, 96), (72, 96), (120, 60)])
def test_a_bright_dot_is_found_where_the_motion_says(
    change: dict[str, Any], size: tuple[int, int]
) -> None:
    augmentation, seen = changed(**change), 0
    for number in range(1, 12):
        for middle in MIDDLES:
            motion = augmentation.motion(SHA256, number)
            expected = motion.points(middle)
            reach = motion.half_sizes(np.array([0.05, 0.05])) + 0.05
            if ((expected < reach) | (expected > 1 - reach)).any():
                continue
            rendered = augmentation.view(disc(size, middle, 0.05), SHA256, number)[..., 0] / 255
            rows, columns = np.mgrid[: size[0], : size[1]]
            x, y = ((grid * rendered).sum() / rendered.sum() + 0.5 for grid in (columns, rows))
            assert abs(x - expected[0] * size[1]) < 0.5
            assert abs(y - expected[1] * size[0]) < 0.5
            seen += 1
    assert seen > 5


@pytest.mark.parametrize("change", MOVES)
def test_the_box_round_a_disc_has_the_half_sizes_that_the_motion_says(
    change: dict[str, Any],
) -> None:
    augmentation, size, half = changed(**change), (240, 320), np.array([0.1, 0.1])
    for number in range(1, 8):
        motion = augmentation.motion(SHA256, number)
        middle, expected = motion.points(MIDDLES[1]), motion.half_sizes(half)
        if ((middle < expected) | (middle > 1 - expected)).any():
            continue
        rendered = augmentation.view(disc(size, MIDDLES[1], 0.1), SHA256, number)[..., 0] > 127
        for axis, fraction in ((0, expected[0]), (1, expected[1])):
            side = rendered.shape[1 - axis]
            extent = np.flatnonzero(rendered.any(axis=axis))
            assert abs((extent[-1] - extent[0] + 1) / 2 - fraction * side) <= 1.5


def test_points_of_an_unaltered_view_stay_where_they_are() -> None:
    augmentation = Augmentation()
    np.testing.assert_allclose(augmentation.motion(SHA256, 0).points(MIDDLES), MIDDLES, atol=1e-12)
    np.testing.assert_allclose(changed().motion(SHA256, 1).half_sizes(MIDDLES), MIDDLES, atol=1e-12)


def test_a_point_that_leaves_the_view_is_outside_of_it() -> None:
    moved = [changed(shift=0.29).motion(SHA256, number) for number in range(1, 20)]
    left = np.stack([motion.points(np.array([0.02, 0.5])) for motion in moved])
    assert (left[:, 0] < 0).any()
    assert (left[:, 0] > 0).any()


@pytest.mark.parametrize("change", [{}, {"rotation_degrees": 90, "flip_vertical": True}])
def test_a_view_is_the_same_at_another_shape(change: dict[str, Any]) -> None:
    augmentation = Augmentation(**change)
    square = photographs(128)[0]
    wide = np.asarray(Image.fromarray(square).resize((160, 96)))
    for number in range(1, 6):
        one, other = (augmentation.view(shape, SHA256, number) for shape in (square, wide))
        rendered = np.asarray(Image.fromarray(other).resize((128, 128)), np.int64)
        assert np.abs(rendered - one).mean() < 4
