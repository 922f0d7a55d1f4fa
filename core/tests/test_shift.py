from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.plugin_registry import installed
from pupila.shift import FAMILIES, Severity, alter
from pupila.testing import ShiftContract, plugin_installed
from pupila.testing.shift_contract import draw_ramps, mean_difference

Images = NDArray[np.uint8]


def altered(name: str, severity: Severity, images: Images, seed: int = 0) -> Images:
    family = installed().shift(name)
    return alter(family, images, severity, np.random.default_rng(seed))


for _family in FAMILIES:
    _contract = f"Test{_family.title().replace('-', '')}KeepsTheContract"
    globals()[_contract] = type(_contract, (ShiftContract,), {"plugin": _family})


@pytest.mark.parametrize("name", sorted({*FAMILIES} - {"noise", "resolution", "jpeg"}))
def test_an_image_is_altered_alike_at_another_resolution(name: str):
    """Teacher and pupil are asked at sizes of their own; noise and blocks belong to pixels."""
    large, small = altered(name, "middle", draw_ramps(128)), altered(name, "middle", draw_ramps(64))
    reduced = large.reshape(len(large), 64, 2, 64, 2, 3).mean(axis=(2, 4))
    moved = mean_difference(small, draw_ramps(64))
    assert float(np.abs(reduced - small).mean()) < max(1.5, 0.35 * moved)


def colourless(images: Images) -> bool:
    return bool((np.ptp(images.astype(int), axis=3) <= 1).all())


def grey_stays(name: str) -> bool:
    grey = np.repeat(draw_ramps(64)[..., :1], 3, axis=3)
    return mean_difference(altered(name, "strong", grey), grey) < 1


PROPERTIES: dict[str, Callable[[], bool]] = {
    "no colour is left of strong grey": lambda: colourless(
        altered("grey", "strong", draw_ramps(64))
    ),
    "hue turns round grey": lambda: grey_stays("hue"),
    "another camera keeps white": lambda: grey_stays("camera-matrix"),
    "white balance keeps green": lambda: bool(
        (altered("white-balance", "strong", draw_ramps(64))[..., 1] == draw_ramps(64)[..., 1]).all()
    ),
    "gamma keeps black and white": lambda: (
        np.unique(altered("gamma", "strong", np.array([[[[0, 255, 0]]]], np.uint8))).tolist()
        == [0, 255]
    ),
    "a vignette keeps the centre": lambda: (
        mean_difference(
            altered("vignette", "strong", draw_ramps(65))[:, 32, 32], draw_ramps(65)[:, 32, 32]
        )
        == 0
    ),
    "light from one side keeps the mean": lambda: (
        abs(float(altered("illumination", "middle", np.full((4, 64, 64, 3), 90)).mean()) - 90) < 1
    ),
    "of one image, fourier keeps it": lambda: (
        mean_difference(altered("fourier", "strong", draw_ramps(64)[:1]), draw_ramps(64)[:1]) < 1
    ),
    "fourier brings the mean of another image": lambda: np.allclose(
        np.sort(altered("fourier", "mild", draw_ramps(64)).mean(axis=(1, 2)), axis=0),
        np.sort(draw_ramps(64).mean(axis=(1, 2)), axis=0),
        atol=2,
    ),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_family_does_what_it_says(name: str):
    assert PROPERTIES[name]()


BROKEN = """
import numpy as np
from pupila import Shift, hookimpl


@hookimpl
def pupila_shifts():
    yield Shift(name="halved", summary="Half of the images", implementation=f"{__name__}:halved")
    yield Shift(name="lost", summary="Not a number", implementation=f"{__name__}:lost")


def halved(images, severity, random):
    return images[::2]


def lost(images, severity, random):
    return images * np.nan
"""


def test_a_package_adds_families_and_a_wrong_one_is_named(tmp_path: Path):
    with plugin_installed(tmp_path, "shifty-dist", "shifty", BROKEN):
        for name in ("halved", "lost"):
            with pytest.raises(PupilaError, match=f"Shift '{name}' of shifty-dist made an array"):
                altered(name, "mild", draw_ramps(64))
    with pytest.raises(PupilaError, match=r"No shift named 'blurr'\. Did you mean 'blur'\?"):
        installed().shift("blurr")
