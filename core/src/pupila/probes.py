"""Draws synthetic images, for trying a model without real images, and compares outputs for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.measured import ProbeComparison
from pupila.spec import InputSpec

_NOISE_IMAGES = 3


def draw_probes(spec: InputSpec, seed: int) -> NDArray[np.uint8]:
    """Return images of the size `spec`: black, white, a colour ramp, and random noise.

    The images are uint8 `(images, height, width, 3)`.
    """
    random = np.random.default_rng(seed)
    plain = [np.full(spec.shape, level, np.uint8) for level in (0, 255)]
    noise = random.integers(0, 256, (_NOISE_IMAGES, *spec.shape), np.uint8)
    return np.stack([*plain, _ramp(spec), *noise])


def _ramp(spec: InputSpec) -> NDArray[np.uint8]:
    """Return an image in which red grows to the right, green downwards, and blue along both."""
    down, right = np.meshgrid(
        np.linspace(0, 255, spec.height), np.linspace(0, 255, spec.width), indexing="ij"
    )
    return np.stack([right, down, (down + right) / 2], axis=-1).astype(np.uint8)


def compare_outputs(
    outputs: NDArray[np.float32],
    expected: NDArray[np.float32],
    tolerance: float,
    *,
    what: str,
    advice: str,
) -> ProbeComparison:
    """Return how far the outputs of an exported model `(images, …)` are from those of its source.

    `tolerance` is the largest allowed difference; a fraction of the largest output if that exceeds
    1. `what` names the exported file, and `advice` says what to do, for the message.

    Raises:
        PupilaError: the difference is too large.
    """
    difference = float(np.abs(outputs - expected.reshape(outputs.shape)).max())
    limit = tolerance * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:  # refuses NaN too
        raise PupilaError(
            f"The {what}'s outputs differ from the model's by up to {difference:.3g} on "
            f"{len(outputs)} drawn images: expected at most {limit:.3g}. {advice}"
        )
    return ProbeComparison(max_difference=difference, probe_images=len(outputs))
