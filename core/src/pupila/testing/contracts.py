"""Contracts: test classes that check what Pupila relies on in every technique and exporter."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.digest import digest_tree
from pupila.errors import PupilaError
from pupila.measured import problems
from pupila.plugin import Exporter, StepPlugin, Technique
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.runtime import ignore_progress
from pupila.store import Store, digest_of
from pupila.testing.converting import converted
from pupila.testing.plugin_contract import PluginContract
from pupila.testing.steps import StepRun, run_step
from pupila.testing.tiny import draw_images, keras_artifact, read_images

_SUM_ERROR = 0.02
"""Most by which the sum of an image's probabilities may differ from 1: 8-bit outputs are rounded.
"""


class _StepContract(PluginContract):
    """Tests that techniques and exporters have in common."""

    config: ClassVar[Mapping[str, Any]] = {}
    """Settings to run the plugin with; choose quick ones."""
    tolerance: ClassVar[float] = 1e-4
    """Largest difference of two probabilities at which they count as equal."""

    @classmethod
    def make_dataset(cls, folder: Path) -> Dataset:
        """Return the images to run the plugin on; `folder` is an empty folder for them."""
        return read_images(draw_images(folder / "images"), folder / "cache")

    @classmethod
    def make_inputs(cls, store: Store, folder: Path) -> tuple[Artifact, ...]:
        """Return input models for the plugin, as few as it accepts, with different weights."""
        accepts = cls.descriptor(StepPlugin).accepts
        count = max(cls.descriptor(StepPlugin).min_inputs, 1) if accepts else 0
        models = [keras_artifact(store, seed=seed) for seed in range(count)]
        if "keras" in accepts:
            return tuple(models)
        return tuple(
            converted(model, accepts, store, folder / str(number))
            for number, model in enumerate(models)
        )

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("contract")

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, folder: Path) -> Store:
        return Store(folder / "store")

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, folder: Path) -> Dataset:
        empty = folder / "data"
        empty.mkdir()
        return cls.make_dataset(empty)

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls, store: Store, folder: Path) -> tuple[Artifact, ...]:
        return cls.make_inputs(store, folder / "inputs")

    @pytest.fixture(scope="class")
    @classmethod
    def ran(
        cls, store: Store, folder: Path, dataset: Dataset, inputs: tuple[Artifact, ...]
    ) -> tuple[StepRun, StepRun]:
        """Run the plugin twice with the same seed."""
        plugin = cls.descriptor(StepPlugin)
        settings = plugin.config.model_validate(dict(cls.config))
        before = _contents(inputs, dataset)
        first, second = (
            run_step(
                plugin,
                settings,
                inputs,
                folder / name,
                store=store,
                dataset=dataset,
                predictions=Predictions(folder / "predictions"),
            )
            for name in ("first", "second")
        )
        assert _contents(inputs, dataset) == before, (
            f"{plugin.name} changed its inputs or the images: it may write to `step.output` and "
            f"`step.scratch` only"
        )
        return first, second

    def test_its_settings_survive_json(self) -> None:
        config_type = self.descriptor(StepPlugin).config
        settings = config_type.model_validate(dict(self.config))
        assert config_type.model_validate_json(settings.model_dump_json()) == settings

    def test_it_makes_the_format_that_it_declares(
        self, ran: tuple[StepRun, StepRun], inputs: tuple[Artifact, ...]
    ) -> None:
        declared = self.descriptor(StepPlugin).output_format(
            [artifact.format for artifact in inputs]
        )
        assert ran[0].result.format == declared

    def test_what_it_made_is_read_back_unchanged(
        self, ran: tuple[StepRun, StepRun], store: Store
    ) -> None:
        assert store.open(ran[0].artifact.digest) == ran[0].artifact

    def test_one_seed_gives_one_artifact(self, ran: tuple[StepRun, StepRun]) -> None:
        first, second = (run.artifact.record for run in ran)
        assert first.files == second.files, "the same run wrote other files"
        assert digest_of(first) == digest_of(second), (
            "two equal runs have different digests: mark what a clock measured, as the fields of "
            "`TrainingSummary` are, or give it to `Measured` as `clock={...}`:\n"
            f"{first.model_dump(mode='json')}\n{second.model_dump(mode='json')}"
        )

    def test_what_it_measured_has_the_form_that_its_names_promise(
        self, ran: tuple[StepRun, StepRun]
    ) -> None:
        misread = problems(ran[0].artifact.record.measured)
        assert not misread, (
            "`pupila.measured` has fields of these names: give what is described there, or take "
            "other names:\n" + "\n".join(misread)
        )

    def test_it_writes_only_to_its_output_and_scratch(self, ran: tuple[StepRun, StepRun]) -> None:
        assert ran[0].stray_files == ()

    def test_its_progress_makes_sense(self, ran: tuple[StepRun, StepRun]) -> None:
        for done, total, what in ran[0].progress:
            assert 0 <= done <= total and total > 0 and what, (done, total, what)

    def test_its_answers_are_probabilities_of_the_classes(
        self, ran: tuple[StepRun, StepRun], dataset: Dataset, folder: Path
    ) -> None:
        answers = _answers(ran[0].artifact, dataset, folder)
        assert answers.shape == (len(dataset.select("test")), len(dataset.classes))
        assert np.isfinite(answers).all()
        assert np.abs(answers.sum(axis=1) - 1).max() <= _SUM_ERROR

    def test_one_seed_gives_one_answer(
        self, ran: tuple[StepRun, StepRun], dataset: Dataset, folder: Path
    ) -> None:
        first, second = (_answers(run.artifact, dataset, folder) for run in ran)
        assert np.abs(first - second).max() <= self.tolerance


class TechniqueContract(_StepContract):
    """Tests of a technique: inherit as `class TestMine(TechniqueContract)` and set `plugin`.

    The docstring of `pupila.testing` has an example.
    """

    kind = Technique

    def test_its_control_takes_the_settings_that_both_have(self) -> None:
        technique = self.descriptor(Technique)
        if technique.control is None:
            return
        control = installed().step(technique.control)
        settings = technique.config.model_validate(dict(self.config)).model_dump()
        known = {name: settings[name] for name in settings.keys() & control.config.model_fields}
        assert control.config.model_validate(known)


class ExporterContract(_StepContract):
    """Tests of an exporter: inherit as `class TestMine(ExporterContract)` and set `plugin`.

    In these tests, `tolerance` limits not only how far the answers of two runs of the exporter may
    differ, but also how far the exported model's answers may differ from the input model's.
    The docstring of `pupila.testing` has an example.
    """

    kind = Exporter

    def test_it_keeps_what_the_model_takes_and_gives(
        self, ran: tuple[StepRun, StepRun], inputs: tuple[Artifact, ...]
    ) -> None:
        result, given = ran[0].result, inputs[0].record
        assert (result.input, result.output.classes) == (given.input, given.output.classes)

    def test_it_answers_as_its_input_does(
        self,
        ran: tuple[StepRun, StepRun],
        inputs: tuple[Artifact, ...],
        dataset: Dataset,
        folder: Path,
    ) -> None:
        given = _answers(inputs[0], dataset, folder)
        assert np.ptp(given, axis=0).max() > 10 * self.tolerance, (
            "the input answers all images alike: nothing could be seen to differ"
        )
        made = _answers(ran[0].artifact, dataset, folder)
        assert np.abs(made - given).max() <= self.tolerance


def _answers(artifact: Artifact, dataset: Dataset, folder: Path) -> NDArray[np.float32]:
    """Return probabilities `(images, classes)` for the test split, by the format's runner."""
    try:
        installed().runner(artifact.format)
    except PupilaError as error:
        pytest.skip(str(error))
    predictions = Predictions(folder / "predictions")
    return predictions.of(artifact, dataset.select("test"), ignore_progress)


def _contents(inputs: Sequence[Artifact], dataset: Dataset) -> dict[str, str]:
    """Return the digest of every input artifact and image as it is on disk now."""
    paths = [artifact.path for artifact in inputs] + dataset.paths
    return {str(path): digest_tree(path) for path in paths}
