"""Localization keeps the contract of tasks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec
from pupila.predictions import open_model
from pupila.store import Store
from pupila.testing import TaskContract, disc_dataset, disc_locator, ignore_progress


class TestLocalization(TaskContract):
    plugin = "localization"

    @classmethod
    def make_dataset(cls, folder: Path) -> Dataset:
        return disc_dataset(folder)

    @classmethod
    def make_outputs(cls, images: Dataset) -> tuple[OutputSpec, NDArray[np.float32]]:
        locator = disc_locator(Store(images.cache / "store"))
        pixels = images.pixels(locator.record.input)
        with closing(open_model(locator)) as model:
            outputs = model.predict(np.stack([*pixels]), ignore_progress)
        return locator.record.output, outputs
