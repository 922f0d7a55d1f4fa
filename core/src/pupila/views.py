"""Seeded augmentation: view k of an image is always the same picture, at any resolution.

Teacher and student therefore see the same distortion, and the teacher's answer can be kept.
View 0 is the image itself.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from pupila.digest import digest_json


class Augmentation(BaseModel):
    """How far the views of an image may be from it; each amount is drawn uniformly up to it.

    Colour moves by default: in ACRIMA the mean colour alone separates the classes (AUC 0.90), and
    a pupil must not learn that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: int = Field(default=4, ge=1, description="Views of each image, itself included.")
    flip_horizontal: bool = Field(default=True, description="Mirror left and right, half the time.")
    flip_vertical: bool = Field(default=False, description="Mirror top and bottom, half the time.")
    rotation_degrees: float = Field(default=15, ge=0, le=180, description="Rotation, either way.")
    zoom: float = Field(default=0.1, ge=0, lt=0.5, description="Change of scale, as a fraction.")
    shift: float = Field(
        default=0.05, ge=0, lt=0.3, description="Translation, a fraction of the side."
    )
    brightness: float = Field(
        default=0.2, ge=0, lt=1, description="Change of brightness, a fraction."
    )
    contrast: float = Field(default=0.2, ge=0, lt=1, description="Change of contrast, a fraction.")
    saturation: float = Field(
        default=0.3, ge=0, le=1, description="Change of saturation, a fraction."
    )
    channel_gain: float = Field(default=0.15, ge=0, lt=1, description="Gain of each channel alone.")
    seed: int = Field(default=0, ge=0, description="Seed of the views; training has its own.")

    @property
    def digest(self) -> str:
        """Key of the views themselves: how many are used does not change any of them."""
        return digest_json(self.model_dump(exclude={"views"}))

    def view(self, image: NDArray[np.uint8], sha256: str, number: int) -> NDArray[np.uint8]:
        """Return view `number` of an image: uint8 `(height, width, 3)`, as `image` is.

        `sha256` is the digest of the image file: what seeds the view, beside `seed` and `number`.
        """
        if number == 0:
            return image
        random = np.random.default_rng([self.seed, number, int(sha256[:16], 16)])
        return self._recolour(self._move(image, random), random)

    def _move(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Mirror, turn, scale and shift, with mirrored borders."""
        height, width, _ = image.shape
        mirrored, upended = random.random(2) < 0.5
        angle = math.radians(random.uniform(-self.rotation_degrees, self.rotation_degrees))
        scale = 1 / (1 + random.uniform(-self.zoom, self.zoom))
        shift_x, shift_y = random.uniform(-self.shift, self.shift, 2) * (width, height)
        if self.flip_horizontal and mirrored:
            image = image[:, ::-1]
        if self.flip_vertical and upended:
            image = image[::-1]
        border_x, border_y = self._border(width, height), self._border(height, width)
        padding = ((border_y, border_y), (border_x, border_x), (0, 0))
        cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
        centre_x, centre_y = width / 2, height / 2
        matrix = (
            *(cosine, sine, border_x + centre_x + shift_x - cosine * centre_x - sine * centre_y),
            *(-sine, cosine, border_y + centre_y + shift_y + sine * centre_x - cosine * centre_y),
        )
        padded = Image.fromarray(np.pad(image, padding, mode="reflect"))
        turned = padded.transform(
            (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        return np.asarray(turned, np.uint8)

    def _border(self, side: int, other: int) -> int:
        """How many pixels beyond an edge a view may show; they are mirrored outwards.

        `side` is the one across that edge. A corner turned by a reaches
        `(side · cos a + other · sin a) / 2` from the centre, the most at a = atan(other / side).
        """
        angle = min(math.radians(self.rotation_degrees), math.atan2(other, side))
        reach = (side * math.cos(angle) + other * math.sin(angle)) / 2 / (1 - self.zoom)
        return math.ceil(reach - side / 2 + self.shift * side) + 1

    def _recolour(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Change gains, brightness, contrast and saturation, in that order."""
        gains = 1 + random.uniform(-self.channel_gain, self.channel_gain, 3)
        brightness = 1 + random.uniform(-self.brightness, self.brightness)
        contrast = 1 + random.uniform(-self.contrast, self.contrast)
        saturation = 1 + random.uniform(-self.saturation, self.saturation)
        pixels = image.astype(np.float32) * (gains * brightness).astype(np.float32)
        mean = pixels.mean()
        pixels = (pixels - mean) * np.float32(contrast) + mean
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = (pixels - grey) * np.float32(saturation) + grey
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
