"""The contracts of what reads data: formats of image files, and readers of data sets."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest
from PIL import Image

from pupila.data_plugins import HEAD_BYTES, DatasetReader, ImageFormat
from pupila.data_source import ReaderChoice
from pupila.dataset import SPLITS
from pupila.dataset_readers import list_images, reader_of
from pupila.digest import digest_tree
from pupila.image_formats import format_of, is_image
from pupila.images import ImageError, decode
from pupila.manifest import read
from pupila.plugin import Plugin
from pupila.plugin_registry import installed
from pupila.requirements import CORE
from pupila.testing.plugin_contract import PluginContract
from pupila.testing.tiny import draw_images

_PARTS = 8
"""Number of places at which a file is cut."""
_OTHER_FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP")
PluginT = TypeVar("PluginT", bound=Plugin)


class ImageFormatContract(PluginContract, ABC):
    """Tests of a decoder: inherit as `class TestMine(ImageFormatContract)`, and set `plugin`."""

    kind = ImageFormat

    @classmethod
    @abstractmethod
    def write(cls, image: Image.Image, folder: Path) -> Path:
        """Write an RGB image as a file of this format into a folder, and return the file.

        Without loss, or with little.
        """

    others: ClassVar[tuple[str, ...]] = _OTHER_FORMATS
    """Formats of Pillow whose files it must not recognise."""
    tolerance: ClassVar[float] = 4.0
    """Largest mean difference of a decoded image from the one that was written, of 255."""

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls) -> Image.Image:
        """Return an image that is darker at the left than at the right, and greener below."""
        rows, columns = np.mgrid[0:48, 0:64]
        return Image.fromarray(
            np.stack([columns * 3, rows * 4, columns * 0 + 90], axis=2).astype(np.uint8)
        )

    @pytest.fixture(scope="class")
    @classmethod
    def file(cls, image: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return cls.write(image, tmp_path_factory.mktemp("format"))

    @pytest.fixture
    def format(self) -> ImageFormat:
        return self.descriptor(ImageFormat)

    def test_its_files_are_images_and_are_decoded_by_it(
        self, format: ImageFormat, file: Path
    ) -> None:
        assert is_image(str(file)), f"{file.suffix} is not in `suffixes`"
        assert format_of(file) == format

    def test_what_was_written_is_decoded_upright(self, image: Image.Image, file: Path) -> None:
        decoded = decode(file)
        assert (decoded.mode, decoded.size) == ("RGB", image.size)
        difference = np.abs(np.asarray(decoded, float) - np.asarray(image, float)).mean()
        assert difference <= self.tolerance, f"it differs by {difference:.1f} of 255 on average"

    def test_the_same_file_gives_the_same_pixels(self, file: Path) -> None:
        assert np.array_equal(np.asarray(decode(file)), np.asarray(decode(file)))

    def test_content_is_recognised_whatever_the_name(
        self, format: ImageFormat, file: Path, tmp_path: Path
    ) -> None:
        if format.recognises is None:
            pytest.skip("it recognises nothing by content")
        renamed = tmp_path / "renamed"
        renamed.write_bytes(file.read_bytes())
        assert format_of(renamed) == format

    def test_it_does_not_recognise_other_formats(
        self, format: ImageFormat, image: Image.Image, tmp_path: Path
    ) -> None:
        heads = [b"", b"\0" * HEAD_BYTES]
        for name in self.others:
            image.save(tmp_path / name, format=name)
            heads.append((tmp_path / name).read_bytes()[:HEAD_BYTES])
        assert not (format.recognises and any(map(format.recognises, heads)))

    def test_a_damaged_file_is_refused_with_a_reason_of_one_line(
        self, format: ImageFormat, file: Path, tmp_path: Path
    ) -> None:
        content, cut = file.read_bytes(), tmp_path / file.name
        for part in range(_PARTS):
            cut.write_bytes(content[: len(content) * part // _PARTS])
            try:
                decode(cut)
            except ImageError as error:
                reason = error.reason
                who = installed().origin(format).title
                assert who not in reason, f"raise ValueError with a sentence instead: {reason}"
                assert len(reason.splitlines()) == 1


class DatasetReaderContract(PluginContract, ABC):
    """Tests of a reader: inherit as `class TestMine(DatasetReaderContract)`, and set `plugin`."""

    kind = DatasetReader
    config: ClassVar[Mapping[str, Any]] = {}
    """Settings with which it reads what `write` writes."""

    @classmethod
    @abstractmethod
    def write(cls, folder: Path, images: list[tuple[Image.Image, str, str]]) -> Path:
        """Write images with their labels and splits into a new folder; return the data's path."""

    @pytest.fixture(scope="class")
    @classmethod
    def images(cls) -> list[tuple[Image.Image, str, str]]:
        """Return twelve images of two classes in three splits, all different."""
        random = np.random.default_rng(0)
        return [
            (Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)), label, split)
            for split in SPLITS[:3]
            for label in ("ill", "well")
            for _ in range(2)
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def data(
        cls,
        images: list[tuple[Image.Image, str, str]],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Path:
        return cls.write(tmp_path_factory.mktemp("reader") / "data", images)

    @pytest.fixture
    def choice(self, tmp_path: Path) -> ReaderChoice:
        return ReaderChoice(self.plugin, self.config, tmp_path / "cache")

    def test_it_recognises_its_data_and_nothing_that_core_reads(
        self, data: Path, tmp_path: Path
    ) -> None:
        assert reader_of(data).name == self.plugin
        folder = draw_images(tmp_path / "images")
        listing = tmp_path / "eyes.csv"
        with listing.open("w", newline="") as stream:
            rows = [(file, "ill", "train") for file in folder.rglob("*.png")]
            csv.writer(stream).writerows([("path", "label", "split"), *rows])
        reader = self.descriptor(DatasetReader)
        for core_reads in (folder, listing):
            is_core = installed().origin(reader).distribution == CORE
            assert is_core or not reader.recognises(core_reads), f"it takes {core_reads.name}"

    def test_every_image_is_listed_with_its_label_and_split(
        self, data: Path, images: list[tuple[Image.Image, str, str]], choice: ReaderChoice
    ) -> None:
        frame = read(data, choice=choice)
        listed = zip(frame["label"].tolist(), frame["split"].tolist(), strict=True)
        assert Counter(listed) == Counter((label, split) for _, label, split in images)

    def test_every_file_decodes(self, data: Path, choice: ReaderChoice) -> None:
        for path in read(data, choice=choice)["path"]:
            assert Path(path).is_absolute()
            assert decode(Path(path)).size == (40, 40)

    def test_reading_twice_lists_the_same(self, data: Path, choice: ReaderChoice) -> None:
        first = read(data, choice=choice)
        assert read(data, choice=choice).equals(first)

    def test_it_writes_nothing_into_the_data(self, data: Path, choice: ReaderChoice) -> None:
        before = digest_tree(data)
        read(data, choice=choice)
        assert digest_tree(data) == before

    def test_images_are_listed_for_evaluation_alone(
        self, data: Path, images: list[tuple[Image.Image, str, str]], choice: ReaderChoice
    ) -> None:
        listed = list(list_images(data, choice=choice, complete=False))
        assert len(listed) == len(images)
