from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.plugin_registry import installed
from pupila.shift import FAMILIES, SEVERITIES, Severity, alter
from pupila.testing import plugin_installed

Images = NDArray[np.uint8]


def pictures(side: int = 64, images: int = 6) -> Images:
    """Smooth ramps in colours of their own, each with a bright disc."""
    random = np.random.default_rng(5)
    down, across = np.mgrid[:side, :side] / side
    disc = (across - 0.45) ** 2 + (down - 0.5) ** 2 < 0.05
    drawn: list[Any] = []
    for _ in range(images):
        low, high = random.uniform(40, 110, 3), random.uniform(110, 190, 3)
        ramp = low + (high - low) * (0.3 * across + 0.3 * down + 0.4 * disc)[..., None]
        drawn.append(ramp)
    return np.stack(drawn).astype(np.uint8)


def altered(name: str, severity: Severity, images: Images, seed: int = 0) -> Images:
    family = installed().shift(name)
    return alter(family, images, severity, np.random.default_rng(seed))


def distance(ours: Images, others: Images) -> float:
    return float(np.abs(ours.astype(float) - others).mean())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_goes_farther_with_each_severity_and_is_seeded(name: str):
    images = pictures(160)
    before = images.copy()
    steps = [altered(name, severity, images) for severity in SEVERITIES]
    assert all(step.shape == images.shape and step.dtype == np.uint8 for step in steps)
    amounts = [distance(step, images) for step in steps]
    assert 0 < amounts[0] < amounts[1] < amounts[2]
    assert (altered(name, "middle", images) == steps[1]).all()
    assert (images == before).all()


@pytest.mark.parametrize("name", sorted({*FAMILIES} - {"noise", "resolution", "jpeg"}))
def test_an_image_is_altered_alike_at_another_resolution(name: str):
    """Teacher and pupil are asked at sizes of their own; noise and blocks belong to pixels."""
    large, small = altered(name, "middle", pictures(128)), altered(name, "middle", pictures(64))
    reduced = large.reshape(len(large), 64, 2, 64, 2, 3).mean(axis=(2, 4))
    moved = distance(small, pictures(64))
    assert float(np.abs(reduced - small).mean()) < max(1.5, 0.35 * moved)


def colourless(images: Images) -> bool:
    return bool((np.ptp(images.astype(int), axis=3) <= 1).all())


def grey_stays(name: str) -> bool:
    grey = np.repeat(pictures()[..., :1], 3, axis=3)
    return distance(altered(name, "strong", grey), grey) < 1


PROPERTIES: dict[str, Callable[[], bool]] = {
    "no colour is left of strong grey": lambda: colourless(altered("grey", "strong", pictures())),
    "hue turns round grey": lambda: grey_stays("hue"),
    "another camera keeps white": lambda: grey_stays("camera-matrix"),
    "white balance keeps green": lambda: bool(
        (altered("white-balance", "strong", pictures())[..., 1] == pictures()[..., 1]).all()
    ),
    "gamma keeps black and white": lambda: (
        np.unique(altered("gamma", "strong", np.array([[[[0, 255, 0]]]], np.uint8))).tolist()
        == [0, 255]
    ),
    "a vignette keeps the centre": lambda: (
        distance(altered("vignette", "strong", pictures(65))[:, 32, 32], pictures(65)[:, 32, 32])
        == 0
    ),
    "light from one side keeps the mean": lambda: (
        abs(float(altered("illumination", "middle", np.full((4, 64, 64, 3), 90)).mean()) - 90) < 1
    ),
    "of one image, fourier keeps it": lambda: (
        distance(altered("fourier", "strong", pictures()[:1]), pictures()[:1]) < 1
    ),
    "fourier brings the mean of another image": lambda: np.allclose(
        np.sort(altered("fourier", "mild", pictures()).mean(axis=(1, 2)), axis=0),
        np.sort(pictures().mean(axis=(1, 2)), axis=0),
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
                altered(name, "mild", pictures())
    with pytest.raises(PupilaError, match=r"No shift named 'blurr'\. Did you mean 'blur'\?"):
        installed().shift("blurr")
