"""HEIC photographs become the picture that the telephone shows."""

from __future__ import annotations

from pathlib import Path

import pillow_heif
from PIL import Image

from pupila.image_formats import format_of
from pupila.images import decode
from pupila.testing import ImageFormatContract

SIZE = (64, 48)


class TestHeic(ImageFormatContract):
    plugin = "heic"

    @classmethod
    def write(cls, image: Image.Image, folder: Path) -> Path:
        pillow_heif.from_pillow(image).save(folder / "photo.heic", quality=95)
        return folder / "photo.heic"


def test_a_photograph_of_a_telephone_is_upright(tmp_path: Path):
    image = Image.new("RGB", (64, 32), (250, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(image).save(tmp_path / "a.heic", exif=exif.tobytes())
    assert decode(tmp_path / "a.heic").size == (32, 64)


def test_a_heic_file_with_the_name_of_a_jpeg_is_read(tmp_path: Path):
    pillow_heif.from_pillow(Image.new("RGB", SIZE)).save(tmp_path / "a.heic")
    renamed = (tmp_path / "a.heic").rename(tmp_path / "IMG_0001.JPG")
    assert format_of(renamed).name == "heic"
    assert decode(renamed).size == SIZE
