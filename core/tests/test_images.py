"""Image files of many kinds become upright RGB, or are refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pupila.errors import PupilaError
from pupila.images import decode, resize, upright_rgb
from pupila.spec import InputSpec

ORIENTATION = 0x0112


def pixel(path: Path) -> tuple[int, ...]:
    value = decode(path).getpixel((0, 0))
    assert isinstance(value, tuple)
    return value


def stored(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def palette_with_transparency() -> Image.Image:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 100, 50, 10, 20, 30])
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("rgb.png", Image.new("RGB", (4, 4), (1, 2, 3)), (1, 2, 3)),
        ("grey.png", Image.new("L", (4, 4), 77), (77, 77, 77)),
        ("one_bit.png", Image.new("1", (4, 4), 1), (255, 255, 255)),
        ("grey_alpha.png", Image.new("LA", (4, 4), (200, 0)), (0, 0, 0)),
        ("opaque.png", Image.new("RGBA", (4, 4), (9, 8, 7, 255)), (9, 8, 7)),
        ("half_transparent.png", Image.new("RGBA", (4, 4), (200, 100, 50, 128)), (100, 50, 25)),
        ("palette.gif", Image.new("RGB", (4, 4), (255, 0, 0)).quantize(2), (255, 0, 0)),
        ("palette_transparent.png", palette_with_transparency(), (0, 0, 0)),
        ("cmyk.tif", Image.new("CMYK", (4, 4), (0, 255, 255, 0)), (255, 0, 0)),
        ("sixteen_bit.png", Image.new("I;16", (4, 4), 32896), (128, 128, 128)),
        ("sixteen_bit.tif", Image.new("I;16", (4, 4), 65535), (255, 255, 255)),
        ("thirty_two_bit.tif", Image.new("I", (4, 4), 32896), (128, 128, 128)),
        ("float_unit.tif", Image.new("F", (4, 4), 0.5), (128, 128, 128)),
        ("float_byte.tif", Image.new("F", (4, 4), 64.0), (64, 64, 64)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_pixel_format_becomes_the_rgb_it_shows(
    tmp_path: Path, name: str, image: Image.Image, expected: tuple[int, int, int]
) -> None:
    path = stored(tmp_path / name, image)
    assert decode(path).mode == "RGB"
    assert pixel(path) == expected


def test_big_endian_16_bit_tiff_is_read_in_its_own_byte_order(tmp_path: Path) -> None:
    path = stored(tmp_path / "big.tif", Image.new("I;16B", (4, 4), 32896))
    assert pixel(path) == (128, 128, 128)


@pytest.mark.parametrize(
    ("orientation", "red_corner"),
    [(1, (0, 0)), (2, (7, 0)), (3, (7, 3)), (4, (0, 3)), (5, (0, 0)), (6, (3, 0)), (8, (0, 7))],
)
def test_exif_orientation_is_applied(
    tmp_path: Path, orientation: int, red_corner: tuple[int, int]
) -> None:
    image = Image.new("RGB", (8, 4))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "turned.png"
    image.save(path, exif=exif)
    upright = decode(path)
    assert upright.size == ((4, 8) if orientation >= 5 else (8, 4))
    assert upright.getpixel(red_corner) == (255, 0, 0)


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("half_transparent.png", Image.new("RGBA", (4, 2), (200, 100, 50, 128)), (100, 50, 25)),
        ("sixteen_bit.png", Image.new("I;16", (4, 2), 32896), (128, 128, 128)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_opened_image_has_the_pixels_of_its_decoded_file(
    tmp_path: Path, name: str, image: Image.Image, expected: tuple[int, int, int]
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image.save(tmp_path / name, exif=exif)
    upright = upright_rgb(Image.open(tmp_path / name))
    assert (upright.mode, upright.size, upright.getpixel((0, 0))) == ("RGB", (2, 4), expected)
    assert upright.tobytes() == decode(tmp_path / name).tobytes()


def test_an_opened_image_of_a_damaged_file_is_refused(tmp_path: Path) -> None:
    truncated(tmp_path / "truncated.png")
    with pytest.raises(PupilaError, match="truncated"):
        upright_rgb(Image.open(tmp_path / "truncated.png"))


def absent(path: Path) -> None:
    del path


def letter(path: Path) -> None:
    path.write_text("Dear doctor")


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-900])


def bomb(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


def just_below_pillows_limit(path: Path) -> None:
    Image.new("1", (13_000, 13_000)).save(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("truncated.jpg", truncated, "truncated"),
        ("truncated.png", truncated, "truncated"),
        ("bomb.png", bomb, "more than 179 million pixels"),
        ("large.png", just_below_pillows_limit, "it has 13,000 × 13,000 pixels, and more than 64"),
        ("pipe.png", os.mkfifo, "a pipe or a device"),
        ("empty.png", Path.touch, "the file is empty"),
        ("letter.jpg", letter, "format is not known"),
        ("absent.png", absent, "does not exist"),
        ("folder.png", Path.mkdir, "Is a directory"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_not_an_image_is_refused_with_name_and_reason(
    tmp_path: Path, name: str, write: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(PupilaError, match=reason) as caught:
        decode(path)
    assert name in str(caught.value)


def test_a_large_16_bit_image_is_scaled_in_bands_without_a_seam(tmp_path: Path) -> None:
    ramp = np.arange(600, dtype=np.uint16)[:, None] * np.ones((1, 3), np.uint16) * 109
    decoded = np.asarray(decode(stored(tmp_path / "ramp.png", Image.fromarray(ramp))))[..., 0]
    assert (decoded == np.rint(ramp / 65535 * 255)).all()


def test_resize_averages_all_the_pixels_it_covers(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255
    small = resize(Image.fromarray(stripes), InputSpec(height=8, width=8))
    assert small.shape == (8, 8, 3)
    np.testing.assert_allclose(small.mean(), 255 / 8, atol=1.5)
    assert np.ptp(small) < 80  # the nearest four pixels alone would give 0 or more than 100


def test_resize_returns_rows_first_and_leaves_an_image_of_the_right_size_alone() -> None:
    image = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    assert resize(image, InputSpec(height=6, width=3)).shape == (6, 3, 3)
    np.testing.assert_array_equal(resize(image, InputSpec(height=4, width=5)), np.asarray(image))
