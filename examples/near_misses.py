"""Writes images that a filter for fundus photographs must reject, and that it was not trained on.

    python examples/near_misses.py FOLDER

It makes a folder for each group, for `evaluate: {open_set: {path: FOLDER}}`. Photographs are those
that scikit-image and scikit-learn bring along (not scikit-image's `retina` and `microaneurysms`,
which are fundus photographs). The rest is drawn, each by a procedure of its own and by none of
those that make `data.hard_negatives`, or the groups would not be new. Drawn eyes, OCT scans and
skin lesions look like their kind to a small model; they do not replace a hospital's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Random = np.random.Generator
Picture = NDArray[np.float64]

_IMAGES = 24
_SKIMAGE = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "logo.png"),
    *("motorcycle_left.png", "rocket.jpg"),
)
_SKLEARN = ("china.jpg", "flower.jpg")


def orange(random: Random) -> Picture:
    """Draw an orange on a table: a lit ball with pores and a stalk."""
    side = int(random.integers(240, 400))
    x, y = _plane(side)
    across, down = random.uniform(-0.15, 0.15, 2)
    radius = random.uniform(0.55, 0.95)
    u, v = (x - across) / radius, (y - down) / radius
    height = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    light = _unit(random.normal([-0.4, -0.5, 1], 0.3))
    pores = _blurred(random.normal(size=(side, side)), side / 130) * 3
    lit = np.clip(u * light[0] + v * light[1] + height * light[2] + 0.12 * pores, 0, 1)
    skin = np.array([random.uniform(235, 255), random.uniform(110, 165), random.uniform(0, 40)])
    stalk = np.exp(-((u - 0.1) ** 2 + (v + 0.2) ** 2) / 0.004)[..., None]
    shine = (lit**30)[..., None] * 120
    ball = skin * (0.25 + 0.8 * lit[..., None]) + shine
    ball = ball * (1 - stalk) + np.array([70, 90, 30]) * stalk
    shadow = 1 - 0.5 * np.exp(-((u + 0.25) ** 2 + (v - 0.35) ** 2) / 0.9)
    table = random.uniform(60, 230, 3) * shadow[..., None]
    return _over(ball, table, (u**2 + v**2 < 1)[..., None])


def moon(random: Random) -> Picture:
    """Draw the moon by night: maria, craters, and a shadow that comes over it."""
    side = int(random.integers(240, 400))
    x, y = _plane(side)
    radius = random.uniform(0.5, 0.97)
    u, v = x / radius, y / radius
    height = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    maria = np.clip(_blurred(random.normal(size=(side, side)), side / 12) * 9, -1, 0.4)
    surface = 190 + 60 * maria + 12 * _blurred(random.normal(size=(side, side)), 1.2)
    for _ in range(int(random.integers(15, 60))):
        _crater(surface, u, v, random)
    angle = random.uniform(0, 2 * np.pi)
    sun = u * np.cos(angle) + v * np.sin(angle) + height * random.uniform(0.2, 2)
    lit = np.clip(sun * 1.4, 0, 1) * (u**2 + v**2 < 1)
    green = random.uniform(0.6, 1)
    tint = np.array([1, green, green * random.uniform(0.5, 1)])
    return (surface * lit)[..., None] * tint + 6


def external_eye(random: Random) -> Picture:
    """Draw an eye from outside: skin, lids, white with vessels, iris with spokes, pupil, lashes."""
    height = int(random.integers(220, 340))
    width = int(height * random.uniform(1.0, 1.5))
    x, y = _plane(height, width)
    skin = np.array([random.uniform(120, 235), 0, 0])
    skin[1:] = skin[0] * np.array([random.uniform(0.68, 0.8), random.uniform(0.5, 0.68)])
    wrinkles = _blurred(random.normal(size=x.shape), 2.5) * 2
    picture = skin * (1 - 0.25 * np.abs(y) + 0.1 * wrinkles)[..., None]
    opening = random.uniform(0.3, 0.5) * np.clip(1 - (x / 0.85) ** 2, 0, 1)
    open_eye = np.abs(y + 0.08 * x) < opening
    vessels = np.clip(1 - np.abs(_blurred(random.normal(size=x.shape), 5) * 30), 0, 1)
    white = np.array([228, 218, 210]) - vessels[..., None] * np.array([0, 70, 70])
    white = white * (1 - 0.35 * (x / 0.9) ** 2)[..., None]
    across, size = random.uniform(-0.2, 0.2), random.uniform(0.3, 0.42)
    distance, angle = np.hypot(x - across, y), np.arctan2(y, x - across)
    spokes = np.sin(angle * random.integers(40, 90) + 8 * _blurred(random.normal(size=x.shape), 3))
    colours = np.array([[92, 58, 30], [70, 110, 150], [80, 115, 70], [50, 34, 22]])
    iris = (
        colours[random.integers(len(colours))]
        * (1 + 0.25 * spokes + 0.3 * (distance < 0.6 * size))[..., None]
    )
    eye = _over(iris, white, (distance < size)[..., None])
    eye = eye * (distance >= size * random.uniform(0.3, 0.6))[..., None]
    spark = np.exp(-((x - across + 0.08) ** 2 + (y + 0.08) ** 2) / 0.002)[..., None]
    picture = _over(eye + 255 * spark, picture, open_eye[..., None])
    rim = np.exp(-(((np.abs(y + 0.08 * x) - opening) / 0.03) ** 2)) * (np.abs(x) < 0.85)
    return _with_lashes(picture * (1 - 0.6 * rim[..., None]), random)


def oct_scan(random: Random) -> Picture:
    """Draw a slice of a retina by OCT: bright and dark layers, a pit, speckle, shadows, noise."""
    height, width = int(random.integers(200, 300)), int(random.integers(280, 460))
    x, y = _plane(height, width)
    pit = random.uniform(0.05, 0.3) * np.exp(-((x - random.uniform(-0.3, 0.3)) ** 2) / 0.02)
    top = random.uniform(-0.5, -0.1) + 0.15 * random.normal() * x**2 + 0.1 * random.normal() * x
    depth = y - top
    thickness = random.uniform(0.35, 0.6)
    layers = np.zeros_like(x)
    for depth_fraction, bright in ((0.05, 0.8), (0.3, 0.45), (0.55, 0.4), (0.8, 0.7), (1.0, 1.0)):
        where = depth_fraction * thickness + pit * (1 - depth_fraction)
        layers += bright * np.exp(-(((depth - where) / random.uniform(0.02, 0.05)) ** 2))
    inside = (depth > pit) & (depth < thickness)
    choroid = np.where(depth >= thickness, 0.5 * np.exp(-(depth - thickness) / 0.2), 0)
    shadows = 1 - 0.7 * np.exp(-(((x - random.uniform(-1, 1)) / 0.02) ** 2)) * (depth > 0.1)
    speckle = random.gamma(3, 1 / 3, x.shape)
    signal = (layers + 0.25 * inside + choroid) * shadows * speckle
    grey = 12 + 190 * np.clip(signal, 0, 1.3) + random.normal(0, 8, x.shape)
    if random.random() < 0.2:
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=-1)


def skin_lesion(random: Random) -> Picture:
    """Draw a mole through a dermatoscope: skin, a ragged brown patch with a net, some hairs."""
    side = int(random.integers(240, 380))
    x, y = _plane(side)
    skin = np.array([random.uniform(190, 240), random.uniform(130, 185), random.uniform(110, 160)])
    picture = skin * (1 + 0.06 * _blurred(random.normal(size=x.shape), 3) * 3)[..., None]
    angle = np.arctan2(y, x)
    edge = random.uniform(0.3, 0.6) + sum(
        random.normal(0, 0.07) / wave * np.sin(wave * angle + random.uniform(0, 6))
        for wave in range(1, 7)
    )
    inside = 1 / (1 + np.exp((np.hypot(x, y) - edge) / random.uniform(0.01, 0.05)))
    net = np.abs(_blurred(random.normal(size=x.shape), 2.2)) * 6
    dark = random.uniform(60, 130) * np.array([1, random.uniform(0.5, 0.75), 0.45])
    mole = dark * (0.8 + 0.5 * net)[..., None]
    picture = _over(mole, picture, inside[..., None])
    if random.random() < 0.3:
        picture = picture * (np.hypot(x, y) < 0.98)[..., None]
    return _with_hairs(picture, random)


def blank(random: Random) -> Picture:
    """Draw what a covered, a dazzled or an idle camera sees: nothing, with noise and a vignette."""
    height, width = (int(side) for side in random.integers(200, 400, 2))
    x, y = _plane(height, width)
    level = (np.zeros(3), np.full(3, 250), random.uniform(40, 230, 3), np.array([190, 70, 25]))
    vignette = 1 - random.uniform(0, 0.5) * (x**2 + y**2) / 2
    picture = level[random.integers(len(level))] * vignette[..., None]
    return picture + random.normal(0, random.uniform(0, 10), (height, width, 1))


def screenshot(random: Random) -> Picture:
    """Draw an application: a side bar, a head, cards with pictures, buttons and a chart."""
    width, height = int(random.integers(320, 520)), int(random.integers(220, 400))
    base, line = (
        ((248, 249, 251), (208, 212, 218))
        if random.random() < 0.6
        else (
            (28, 30, 36),
            (66, 70, 80),
        )
    )
    accent = tuple(int(value) for value in random.integers(30, 230, 3))
    image = Image.new("RGB", (width, height), base)
    draw = ImageDraw.Draw(image)
    side = int(width * random.uniform(0.12, 0.28))
    draw.rectangle((0, 0, width, 26), fill=accent)
    draw.rectangle((0, 26, side, height), fill=line)
    for row in range(44, height, 22):
        draw.rounded_rectangle((8, row, side - 10, row + 8), 4, fill=base)
    for left in range(side + 14, width - 70, 92):
        for top in range(42, height - 60, 82):
            _card(draw, left, top, accent, line, random)
    return np.asarray(image, np.float64)


DRAWN: dict[str, Callable[[Random], Picture]] = {
    "orange": orange,
    "moon": moon,
    "external-eye": external_eye,
    "oct-scan": oct_scan,
    "skin-lesion": skin_lesion,
    "blank": blank,
    "screenshot": screenshot,
}


def photographs(random: Random) -> Iterator[Picture]:
    """Yield parts of photographs, mirrored or not, of every motif the same number."""
    names = [("skimage.data", name) for name in _SKIMAGE]
    names += [("sklearn.datasets.images", name) for name in _SKLEARN]
    for turn in range(2):
        for package, name in names:
            yield _part(package, name, random, whole=turn == 0)


def parts_of(name: str, images: int, random: Random) -> Iterator[Picture]:
    """Yield parts of one picture of scikit-image."""
    for _ in range(images):
        yield _part("skimage.data", name, random, whole=False)


def write_groups(folder: Path, images: int, seed: int) -> None:
    """Write all groups; the same arguments give the same images."""
    for number, (name, draw) in enumerate(DRAWN.items()):
        random = np.random.default_rng([seed, number])
        _write(folder / name, (draw(random) for _ in range(images)))
    random = np.random.default_rng([seed, len(DRAWN)])
    _write(folder / "photograph", photographs(random))
    _write(folder / "moon-surface", parts_of("moon.png", images, random))
    _write(folder / "stained-tissue", parts_of("ihc.png", images, random))
    _write(folder / "printed-page", parts_of("page.png", images, random))


def _write(folder: Path, pictures: Iterator[Picture]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg", quality=90)


def _part(package: str, name: str, random: Random, *, whole: bool) -> Picture:
    with as_file(files(package) / name) as path, Image.open(path) as stored:
        image = stored.convert("RGB")
    if not whole:
        width, height = image.size
        part = random.uniform(0.35, 0.8)
        left, top = random.uniform(0, 1 - part, 2) * (width, height)
        image = image.crop(
            (int(left), int(top), int(left + part * width), int(top + part * height))
        )
    image.thumbnail((480, 480))
    pixels = np.asarray(image, np.float64)
    return pixels[:, ::-1] if random.random() < 0.5 else pixels


def _plane(height: int, width: int | None = None) -> tuple[Picture, Picture]:
    """Return x and y, each `(height, width)`; y runs from -1 to 1, x in the same scale."""
    width = width or height
    reach = width / height
    y, x = np.mgrid[-1 : 1 : height * 1j, -reach : reach : width * 1j]
    return x, y


def _unit(vector: Picture) -> Picture:
    return vector / np.linalg.norm(vector)


def _blurred(values: Picture, pixels: float) -> Picture:
    """Blur a plane by a Gaussian of that deviation; it goes on round its edges."""
    rows, columns = np.fft.fftfreq(values.shape[0])[:, None], np.fft.rfftfreq(values.shape[1])
    passed = np.exp(-2 * (np.pi * pixels) ** 2 * (rows**2 + columns**2))
    return np.fft.irfft2(np.fft.rfft2(values) * passed, values.shape)


def _over(above: Picture, below: Picture, part: NDArray[np.bool_] | Picture) -> Picture:
    return above * part + below * (1 - part)


def _crater(surface: Picture, u: Picture, v: Picture, random: Random) -> None:
    across, down = random.uniform(-0.8, 0.8, 2)
    size = random.uniform(0.02, 0.12)
    distance = np.hypot(u - across, v - down) / size
    surface += 35 * np.exp(-(((distance - 1) / 0.25) ** 2)) - 30 * (distance < 0.9)


def _with_lashes(picture: Picture, random: Random) -> Picture:
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for start in np.linspace(0.2, 0.8, int(random.integers(15, 35))):
        left = start * width
        top = height * (0.5 - 0.2 * np.sin(np.pi * (start - 0.1) / 0.8))
        tip = left + (start - 0.5) * 0.3 * width, top - height * random.uniform(0.06, 0.14)
        draw.line((left, top, *tip), fill=(25, 18, 15), width=2)
    return np.asarray(image, np.float64)


def _with_hairs(picture: Picture, random: Random) -> Picture:
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for _ in range(int(random.integers(0, 9))):
        points = random.uniform(0, 1, (2, 2)) * (width, height)
        bend = points.mean(axis=0) + random.normal(0, 20, 2)
        line = [tuple(map(float, point)) for point in (points[0], bend, points[1])]
        draw.line(line, fill=(40, 28, 22), width=int(random.integers(1, 3)), joint="curve")
    return np.asarray(image, np.float64)


def _card(
    draw: ImageDraw.ImageDraw,
    left: int,
    top: int,
    accent: tuple[int, ...],
    line: tuple[int, int, int],
    random: Random,
) -> None:
    draw.rounded_rectangle((left, top, left + 78, top + 68), 6, outline=line, width=2)
    kind = random.integers(3)
    if kind == 0:
        draw.ellipse((left + 8, top + 8, left + 34, top + 34), fill=accent)
    elif kind == 1:
        for bar in range(5):
            high = int(random.integers(6, 34))
            draw.rectangle(
                (left + 8 + 13 * bar, top + 42 - high, left + 16 + 13 * bar, top + 42), accent
            )
    else:
        for row in range(3):
            draw.line((left + 8, top + 12 + 11 * row, left + 66, top + 12 + 11 * row), line, 3)
    draw.rounded_rectangle((left + 8, top + 50, left + 44, top + 62), 5, fill=accent)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the groups are written")
    parser.add_argument("--images", type=int, default=_IMAGES, help="of each drawn group")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_groups(arguments.folder, arguments.images, arguments.seed)
    print(f"wrote {sum(1 for _ in arguments.folder.rglob('*.jpg'))} images to {arguments.folder}")
