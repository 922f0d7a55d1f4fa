"""Core's own metrics, condition, format and readers keep the contracts that others keep."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

from PIL import Image

from pupila.testing import (
    ConditionContract,
    DatasetReaderContract,
    ImageFormatContract,
    MetricContract,
)


class TestBalancedAccuracy(MetricContract):
    plugin = "balanced_accuracy"


class TestLogLoss(MetricContract):
    plugin = "log_loss"


class TestPeakMemory(ConditionContract):
    plugin = "peak_memory_bytes"


class TestPillow(ImageFormatContract):
    plugin = "pillow"
    others: ClassVar = ()

    @classmethod
    def write(cls, image: Image.Image, folder: Path) -> Path:
        image.save(folder / "image.png")
        return folder / "image.png"


Images = list[tuple[Image.Image, str, str]]


class TestFolder(DatasetReaderContract):
    plugin = "folder"

    @classmethod
    def write(cls, folder: Path, images: Images) -> Path:
        for number, (image, label, split) in enumerate(images):
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            image.save(folder / split / label / f"{number}.png")
        return folder


class TestCsv(DatasetReaderContract):
    plugin = "csv"

    @classmethod
    def write(cls, folder: Path, images: Images) -> Path:
        folder.mkdir()
        with (folder / "images.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(("path", "label", "split"))
            for number, (image, label, split) in enumerate(images):
                image.save(folder / f"{number}.png")
                table.writerow((f"{number}.png", label, split))
        return folder / "images.csv"
