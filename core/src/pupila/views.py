"""Seeded augmentation: numbered views of an image, each a randomly distorted picture of it.

View k of an image is always the same picture, at any resolution and shape. So teacher and student
see the same distortion, and the teacher's answers can be cached. View 0 is the image itself, unless
`original` is false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pupila.arrays import Pixels
from pupila.digest import digest_code, digest_json
from pupila.shift import Severity, detail, geometry, light

_NARROWEST, _WIDEST = 3 / 4, 4 / 3
"""Limits of the aspect ratios of crops, as in Szegedy et al. 2015, "Going deeper with
convolutions", section 6."""

_MIXING = 1
"""Number added to the seed of a mixture, so that its random numbers differ from the view's."""

_CODE = (__name__, "pupila.shift")
"""Modules that make the pictures; a digest of their code is part of every key of views."""


Style = Literal["none", "mild", "strong"]
_Alter = Callable[[NDArray[np.uint8], Severity, np.random.Generator], NDArray[Any]]

_STYLES: dict[Style, tuple[int, tuple[Severity, ...]]] = {
    "none": (0, ()),
    "mild": (1, ("mild",)),
    "strong": (2, ("mild", "middle")),
}
"""For each style: how many families of `pupila.shift` alter a view, and at which severities (each
equally probable)."""

_FAMILIES: tuple[_Alter, ...] = (
    *(light.white_balance, light.gamma, light.exposure, light.hue, light.grey),
    *(light.camera_matrix, light.vignette, light.illumination),
    *(detail.blur, detail.sharpening, detail.resolution),
)
"""Families of alterations that a style uses. JPEG and noise are left out, because they do not give
the same picture at any resolution; geometry, because views vary it anyway; and the Fourier family,
because it needs a second image."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How a view shows an image: flipped, rotated, scaled, moved and then cropped.

    Lengths are fractions of the image's sides, and rotations are those of the image squeezed to a
    square. So a motion is the same at any size of the image.
    """

    mirrored: bool = False
    upended: bool = False
    angle: float = 0.0
    """Rotation of the frame in radians."""
    scale: float = 1.0
    """Size of the frame; 1 is that of the image."""
    shift: tuple[float, float] = (0.0, 0.0)
    window: geometry.Window = geometry.WHOLE
    """Left, top, width and height of the section of the frame that is shown."""

    def points(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return where the view shows points of the image, `(…, 2)`.

        Points are x and y as fractions of width and height. A point that the view does not show
        lies outside 0..1.
        """
        flips = np.array([self.mirrored, self.upended])
        flipped = np.where(flips, 1 - np.asarray(points, np.float64), points)
        linear, offset = self._matrix()
        return (flipped - offset) @ np.linalg.inv(linear).T

    def half_sizes(self, halves: NDArray[Any]) -> NDArray[np.float64]:
        """Return the half sizes of boxes round ellipses in the view, given those in the image.

        Both are half width and half height `(…, 2)`, as fractions of the sides. The axes of the
        ellipses in the image are horizontal and vertical.
        """
        inverse = np.linalg.inv(self._matrix()[0])
        return np.sqrt(np.asarray(halves, np.float64) ** 2 @ (inverse**2).T)

    def _matrix(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return A and b: the point p of the view shows the point A·p + b of the flipped image."""
        a, b, c, d, e, f = geometry.frame(
            (1, 1), angle=self.angle, scale=self.scale, shift=self.shift, window=self.window
        )
        return np.array([[a, b], [d, e]]), np.array([c, f])


STILL = Motion()
"""Motion of a view that is the image itself."""


class Augmentation(BaseModel):
    """Settings of augmented views of images.

    In each view, amounts of change are drawn uniformly, up to the amounts set here. Colours are
    changed by default: in the dataset ACRIMA, the mean colour alone separates the classes (AUC
    0.90), and a pupil must not learn to go by colour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    views: int = Field(default=4, ge=1, description="Views of each image.")
    original: bool = Field(
        default=True, description="Whether the first view is the image itself, unaltered."
    )
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
    style: Style = Field(
        default="none",
        description="Families of alterations of another hospital's light, colour and focus on each "
        "view: mild, one of them; strong, two and farther.",
    )
    crop: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Least part of the area that a random crop keeps; 1 leaves it whole.",
    )
    mixup: float = Field(
        default=0,
        ge=0,
        description="Shape a of the Beta(a, a) from which the part of each image in its mixture "
        "with another is drawn; 0 mixes nothing, 1 draws uniformly.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the views; training has its own.")

    @property
    def digest(self) -> str:
        """Digest of the settings and the code, for the cache key of the views.

        The number of views is not part of the digest, because this number does not change any view.
        """
        return digest_json([digest_code(*_CODE), self.model_dump(exclude={"views"})])

    def is_original(self, number: int) -> bool:
        """Tell whether view `number` is the image itself."""
        return number == 0 and self.original

    def view(self, image: NDArray[np.uint8], sha256: str, number: int) -> NDArray[np.uint8]:
        """Return view `number` of an image, not mixed with another: uint8 `(height, width, 3)`.

        The view is seeded by `seed`, `number` and `sha256`, the digest of the image file.
        """
        if self.is_original(number):
            return image
        random = np.random.default_rng(self._entropy(sha256, number))
        moved = self._move(image, self._draw_motion(random))
        return self._restyle(self._recolour(moved, random), random)

    def motion(self, sha256: str, number: int) -> Motion:
        """Return how the points of an image move in its view `number`; mixtures are left out."""
        if self.is_original(number):
            return STILL
        return self._draw_motion(np.random.default_rng(self._entropy(sha256, number)))

    def mixture(
        self, sha256: Sequence[str], number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return how view `number` of each image of a dataset is mixed with another image.

        The result has each image's partner, a row of the dataset, and the weight λ of the image
        itself, 0..1; both are `(images,)`. Zhang et al. 2018, "mixup", equation 1: the picture is
        λ · view of the image + (1 - λ) · view of the partner, and labels are mixed in the same way.
        In a view that is not mixed, an image is its own partner, with λ = 1.
        """
        drawn = [self._partner(sha256, row, number) for row in range(len(sha256))]
        partners, parts = zip(*drawn, strict=True) if drawn else ((), ())
        return np.array(partners, np.int64), np.array(parts, np.float32)

    def render(
        self,
        pixels: NDArray[np.uint8] | Pixels,
        sha256: Sequence[str],
        rows: NDArray[np.int64],
        number: int,
    ) -> NDArray[np.uint8]:
        """Return view `number` of some images of a dataset, uint8 `(len(rows), height, width, 3)`.

        The views are mixed if `mixup` is set. `pixels` `(images, height, width, 3)` and `sha256`
        have an entry for every image of the dataset, because any image may be mixed into a view.
        """
        views = np.empty((len(rows), *pixels.shape[1:]), np.uint8)
        for index, row in enumerate(map(int, rows)):
            partner, part = self._partner(sha256, row, number)
            views[index] = self.view(pixels[row], sha256[row], number)
            if partner != row:
                other = self.view(pixels[partner], sha256[partner], number)
                views[index] = _mix(views[index], other, part)
        return views

    def _partner(self, sha256: Sequence[str], row: int, number: int) -> tuple[int, np.float32]:
        """Return a random partner for one image, and the weight of the image itself."""
        if self.is_original(number) or not self.mixup or len(sha256) < 2:
            return row, np.float32(1)
        random = np.random.default_rng([*self._entropy(sha256[row], number), _MIXING])
        other = int(random.integers(len(sha256) - 1))
        return other + (other >= row), np.float32(random.beta(self.mixup, self.mixup))

    def _entropy(self, sha256: str, number: int) -> list[int]:
        return [self.seed, number, int(sha256[:16], 16)]

    def _draw_motion(self, random: np.random.Generator) -> Motion:
        """Draw how a view is flipped, rotated, scaled, moved and then cropped."""
        mirrored, upended = random.random(2) < 0.5
        angle = math.radians(random.uniform(-self.rotation_degrees, self.rotation_degrees))
        scale = 1 / (1 + random.uniform(-self.zoom, self.zoom))
        across, down = random.uniform(-self.shift, self.shift, 2)
        return Motion(
            mirrored=bool(self.flip_horizontal and mirrored),
            upended=bool(self.flip_vertical and upended),
            angle=angle,
            scale=scale,
            shift=(across, down),
            window=_draw_window(random, self.crop) if self.crop < 1 else geometry.WHOLE,
        )

    def _move(self, image: NDArray[np.uint8], motion: Motion) -> NDArray[np.uint8]:
        """Move an image, which is mirrored beyond its edges."""
        height, width, _ = image.shape
        if motion.mirrored:
            image = image[:, ::-1]
        if motion.upended:
            image = image[::-1]
        (across, down), (left, top, *parts) = motion.shift, motion.window
        return geometry.warp(
            image,
            angle=motion.angle,
            scale=motion.scale,
            shift=(across * width, down * height),
            window=(left * width, top * height, parts[0], parts[1]),
            margin=(self._margin(width), self._margin(height)),
            mode="reflect",
            stretch=width / height,
        )

    def _margin(self, side: int) -> int:
        """Return how many pixels beyond an edge a view may show, where the image is mirrored.

        `side` is the length across that edge. The image is rotated as if it were a square. A corner
        rotated by a is `side · (cos a + sin a) / 2` from the centre, at most for a = 45°.
        """
        angle = min(math.radians(self.rotation_degrees), math.pi / 4)
        reach = (side * math.cos(angle) + side * math.sin(angle)) / 2 / (1 - self.zoom)
        return math.ceil(reach - side / 2 + self.shift * side) + 1

    def _recolour(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Change an image's gains, brightness, contrast and saturation, in that order."""
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

    def _restyle(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Return an image altered by random families, as many and as severely as `style` says."""
        count, severities = _STYLES[self.style]
        for number in random.choice(len(_FAMILIES), count, replace=False):
            severity = severities[int(random.integers(len(severities)))]
            altered = _FAMILIES[int(number)](image[np.newaxis], severity, random)
            image = np.clip(np.rint(altered[0]), 0, 255).astype(np.uint8)
        return image


def _draw_window(random: np.random.Generator, least_area: float) -> geometry.Window:
    """Return a random crop: left, top, width and height, all as fractions of the sides.

    The area is uniform in [least_area, 1], as in Beyer et al. 2022, "Knowledge distillation: a good
    teacher is patient and consistent". The aspect ratio is log-uniform in 3/4..4/3, limited to
    ratios with which the area fits into the image.
    """
    area = random.uniform(least_area, 1)
    narrowest, widest = max(_NARROWEST, area), min(_WIDEST, 1 / area)
    ratio = math.exp(random.uniform(math.log(narrowest), math.log(widest)))
    part_x, part_y = math.sqrt(area * ratio), math.sqrt(area / ratio)
    left, top = random.random(2) * (1 - part_x, 1 - part_y)
    return left, top, part_x, part_y


AS_IS = Augmentation(views=1)
"""Augmentation with a single view: the unaltered image."""


def _mix(own: NDArray[np.uint8], other: NDArray[np.uint8], part: np.float32) -> NDArray[np.uint8]:
    """Return part · own + (1 - part) · other, rounded."""
    return np.rint(part * own + (1 - part) * other).astype(np.uint8)
