from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from pupila import PupilaError, ReaderChoice
from pupila.images import ImageError, decode
from pupila.manifest import read
from pupila.testing import DatasetReaderContract, ImageFormatContract


class TestNpy(ImageFormatContract):
    plugin = "npy"

    @classmethod
    def write(cls, image: Image.Image, folder: Path) -> Path:
        np.save(folder / "image.npy", np.asarray(image))
        return folder / "image.npy"

    def test_16_bits_are_scaled_to_8(self, tmp_path: Path):
        np.save(tmp_path / "a.npy", np.array([[0, 32896, 65535]], np.uint16))
        assert np.asarray(decode(tmp_path / "a.npy"))[0, :, 0].tolist() == [0, 128, 255]

    def test_objects_are_refused(self, tmp_path: Path):
        np.save(tmp_path / "a.npy", np.array([[{}]], object), allow_pickle=True)
        with pytest.raises(ImageError, match="Object arrays cannot be loaded"):
            decode(tmp_path / "a.npy")


def write_lists(folder: Path, images: list[tuple[Image.Image, str, str]], between: str) -> Path:
    folder.mkdir()
    for number, (image, label, split) in enumerate(images):
        image.save(folder / f"{number}.png")
        with (folder / f"{split}.txt").open("a") as stream:
            stream.write(f"{number}.png{between}{label}\n")
    return folder


class TestTextLists(DatasetReaderContract):
    plugin = "text-lists"

    @classmethod
    def write(cls, folder: Path, images: list[tuple[Image.Image, str, str]]) -> Path:
        return write_lists(folder, images, " ")


class TestTextListsWithTabs(TestTextLists):
    config: ClassVar[Mapping[str, Any]] = {"separator": "\t"}

    @classmethod
    def write(cls, folder: Path, images: list[tuple[Image.Image, str, str]]) -> Path:
        return write_lists(folder, images, "\t")

    def test_a_line_without_a_label_is_refused(self, data: Path):
        with pytest.raises(PupilaError, match=r"train\.txt, line 1 is .*: expected path and label"):
            read(data, choice=ReaderChoice("text-lists"))
