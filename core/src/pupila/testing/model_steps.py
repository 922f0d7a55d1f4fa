"""Runs installed steps one after another on a small model, for tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing.steps import StepRun, run_step
from pupila.testing.tiny import draw_images, keras_artifact, read_images


@dataclass(frozen=True)
class ModelSteps(ABC):
    """A small model, steps that work on it, and its answers.

    `folder` is an empty folder for everything.
    """

    folder: Path

    @cached_property
    def store(self) -> Store:
        return Store(self.folder / "store")

    @cached_property
    def dataset(self) -> Dataset:
        """The images that steps learn from, with test images for `answers`."""
        return self.make_dataset()

    @cached_property
    def student(self) -> Artifact:
        """The small model, of format `keras`."""
        return self.make_student()

    @abstractmethod
    def make_dataset(self) -> Dataset:
        """Draw the images."""

    @abstractmethod
    def make_student(self) -> Artifact:
        """Make and store the model."""

    def run(self, step: str, *inputs: Artifact, **settings: Any) -> StepRun:
        """Run an installed step on these inputs, by default on the student."""
        plugin = installed().step(step)
        assert plugin.can_do(self.dataset.task), step  # noqa: S101 - this is for tests
        number = len(list(self.folder.glob("run-*")))
        return run_step(
            plugin,
            plugin.config.model_validate(settings),
            inputs or [self.student],
            self.folder / f"run-{number}",
            store=self.store,
            dataset=self.dataset,
        )

    def make(self, step: str, *inputs: Artifact, **settings: Any) -> Artifact:
        """Return the artifact of `run`."""
        return self.run(step, *inputs, **settings).artifact

    def answers(self, artifact: Artifact) -> NDArray[np.float32]:
        """Return a model's answers to the test images, in the primary runtime of its format."""
        predictions = Predictions(self.folder / "predictions")
        return predictions.of(artifact, self.dataset.select("test"), ignore_progress)


class ClassifierSteps(ModelSteps):
    """Steps on a tiny classifier with random weights."""

    def make_dataset(self) -> Dataset:
        return read_images(draw_images(self.folder / "images", images=12), self.folder / "cache")

    def make_student(self) -> Artifact:
        return keras_artifact(self.store)
