"""The contract of checks of the images: what Pupila relies on in each of them."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pupila.data_checks import Fact
from pupila.manifest import read
from pupila.plugin import DataCheck
from pupila.runtime import ignore_progress
from pupila.scanning import scan
from pupila.testing.plugin_contract import PluginContract
from pupila.testing.tiny import draw_images

if TYPE_CHECKING:
    import pandas as pd


class DataCheckContract(PluginContract):
    """Tests of a check: inherit as `class TestMine(DataCheckContract)`, set `plugin` and `failing`.

    If the small images of `pupila.testing.draw_images` do not suit it, override `draw`.
    """

    kind = DataCheck
    config: ClassVar[Mapping[str, Any]] = {}
    """Settings with which the images pass."""
    failing: ClassVar[Mapping[str, Any]]
    """Settings with which the images fail."""

    @classmethod
    def draw(cls, folder: Path) -> Path:
        """Return a folder of images, or a CSV of images, in the new folder `folder`."""
        return draw_images(folder)

    @pytest.fixture(scope="class")
    @classmethod
    def images(cls, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp("check")
        return scan(read(cls.draw(folder / "images")), folder / "cache", ignore_progress)

    @pytest.fixture
    def check(self) -> DataCheck:
        return self.descriptor(DataCheck)

    def test_it_leaves_the_table_of_images_as_it_is(
        self, check: DataCheck, images: pd.DataFrame
    ) -> None:
        given = images.copy()
        self._answer(check, given, self.config)
        assert given.equals(images), "it changed the table: work on a copy"

    def test_the_images_pass_and_fail_as_the_settings_say(
        self, check: DataCheck, images: pd.DataFrame
    ) -> None:
        assert _passes(self._answer(check, images, self.config), images), "`config` must let pass"
        assert not _passes(self._answer(check, images, self.failing), images), (
            "the images pass with the settings `failing` too: it checks nothing"
        )

    def test_a_fact_says_all_that_a_report_shows(
        self, check: DataCheck, images: pd.DataFrame
    ) -> None:
        answer = self._answer(check, images, self.failing)
        if isinstance(answer, Fact):
            assert answer.name and answer.observed and answer.advice
            assert set(answer.images) <= set(images["path"])

    @staticmethod
    def _answer(check: DataCheck, images: pd.DataFrame, settings: Mapping[str, Any]) -> Any:
        return check.load()(images, check.config.model_validate(dict(settings)))


def _passes(answer: Any, images: pd.DataFrame) -> bool:
    """Return whether the images meet a fact's range, or an expectation."""
    if isinstance(answer, Fact):
        low = -math.inf if answer.minimum is None else answer.minimum
        high = math.inf if answer.maximum is None else answer.maximum
        assert math.isfinite(answer.value)
        return low <= answer.value <= high
    gx: Any = import_module("great_expectations")
    asset = gx.get_context(mode="ephemeral").data_sources.add_pandas("images")
    batches = asset.add_dataframe_asset("images").add_batch_definition_whole_dataframe("images")
    batch = batches.get_batch(batch_parameters={"dataframe": images})
    return bool(batch.validate(answer).success)
