"""The contract of families of alterations."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.plugin import Shift
from pupila.shift import SEVERITIES, Severity, alter
from pupila.testing.plugin_contract import PluginContract

Images = NDArray[np.uint8]
_SIDE = 160


class ShiftContract(PluginContract):
    """Tests of a family: inherit as `class TestMine(ShiftContract)` and set `plugin`."""

    kind = Shift

    @pytest.fixture(scope="class")
    @classmethod
    def images(cls) -> Images:
        images = draw_ramps(_SIDE)
        images.setflags(write=False)
        return images

    def altered(self, images: Images, severity: Severity, seed: int = 0) -> Images:
        """Return altered images."""
        return alter(self.descriptor(Shift), images, severity, np.random.default_rng(seed))

    def test_it_goes_farther_with_each_severity(self, images: Images) -> None:
        amounts = [mean_difference(self.altered(images, step), images) for step in SEVERITIES]
        assert 0 < amounts[0] < amounts[1] < amounts[2], amounts

    @pytest.mark.parametrize("severity", SEVERITIES)
    def test_a_seed_gives_the_same_images_of_the_same_shape(
        self, images: Images, severity: Severity
    ) -> None:
        first, second = self.altered(images, severity), self.altered(images, severity)
        assert first.shape == images.shape
        assert (first == second).all(), "take all random numbers from `random`"

    def test_it_takes_any_size_and_a_single_image(self) -> None:
        for image in (np.full((1, 1, 1, 3), 90, np.uint8), draw_ramps(33)[:1, :21]):
            assert self.altered(image, "strong").shape == image.shape


def draw_ramps(side: int, images: int = 6) -> Images:
    """Return smooth ramps `(images, side, side, 3)` of several colours, each with a bright disc."""
    random = np.random.default_rng(5)
    down, across = np.mgrid[:side, :side] / side
    disc = (across - 0.45) ** 2 + (down - 0.5) ** 2 < 0.05
    drawn: list[Any] = []
    for _ in range(images):
        low, high = random.uniform(40, 110, 3), random.uniform(110, 190, 3)
        drawn.append(low + (high - low) * (0.3 * across + 0.3 * down + 0.4 * disc)[..., None])
    return np.stack(drawn).astype(np.uint8)


def mean_difference(images: Images, others: Images) -> float:
    """Return the mean absolute difference of the values of two arrays of images."""
    return float(np.abs(images.astype(float) - others).mean())
