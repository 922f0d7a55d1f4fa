"""The contract of a task: what Pupila relies on in every task's methods and training."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.keras_files import import_keras
from pupila.plugin import Task
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila.task import MetricSettings, TaskMethods, methods_of
from pupila.testing.plugin_contract import PluginContract
from pupila.training.task import TaskTraining, free_name, training_of
from pupila.views import Augmentation


class TaskContract(PluginContract, ABC):  # long: a test for each promise of a task
    """Tests of a task: inherit as `class TestMine(TaskContract)`, set `plugin`, define two methods.

    `make_dataset` gives labelled images; `make_outputs` gives raw outputs that answer them right.
    """

    kind = Task
    positive: ClassVar[str] = ""
    """Positive class; empty for a task without classes."""

    @classmethod
    @abstractmethod
    def make_dataset(cls, folder: Path) -> Dataset:
        """Return labelled images of the task, at least six; `folder` is an empty folder for them.

        Some labels must differ.
        """

    @classmethod
    @abstractmethod
    def make_outputs(cls, images: Dataset) -> tuple[OutputSpec, NDArray[np.float32]]:
        """Return an output specification, and outputs `(images, values)` that are all right."""

    @pytest.fixture(scope="class")
    @classmethod
    def images(cls, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
        return cls.make_dataset(tmp_path_factory.mktemp("images"))

    @pytest.fixture
    def task(self) -> TaskMethods:
        return methods_of(self.plugin)

    @pytest.fixture
    def training(self, images: Dataset) -> TaskTraining:
        return training_of(images)

    @pytest.fixture
    def output(self, images: Dataset) -> OutputSpec:
        return self.make_outputs(images)[0]

    @pytest.fixture
    def outputs(self, images: Dataset) -> NDArray[np.float32]:
        return self.make_outputs(images)[1]

    @pytest.fixture
    def answers(
        self, task: TaskMethods, output: OutputSpec, outputs: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return task.answers(output, outputs)

    def settings(self, images: Dataset, **others: Any) -> MetricSettings:
        """Return the settings of an evaluation of these images."""
        return MetricSettings(classes=images.classes, positive=self.positive, **others)

    def test_it_describes_itself(self, task: TaskMethods) -> None:
        descriptor = installed().task(self.plugin)
        assert descriptor.summary and descriptor.label_columns and descriptor.output_kinds
        assert task.right_title and task.right_meaning

    def test_every_image_has_a_truth(self, task: TaskMethods, images: Dataset) -> None:
        truths = task.truths(images)
        assert len(truths) == len(images)
        assert all(task.describe_truth(truth, images.classes) for truth in truths)

    def test_fitting_outputs_are_accepted_and_others_are_not(
        self, task: TaskMethods, output: OutputSpec, outputs: NDArray[np.float32]
    ) -> None:
        assert outputs.shape[1] == output.columns
        assert task.misfit(output, outputs, len(outputs)) is None
        assert task.misfit(output, outputs[:, :-1], len(outputs))
        broken = outputs.copy()
        broken[0, 0] = np.nan
        assert "NaN" in str(task.misfit(output, broken, len(outputs)))

    def test_answers_have_the_named_columns(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        assert answers.shape == (len(images), len(task.answer_columns(images.classes)))
        assert np.isfinite(answers).all()
        assert task.describe(answers[0], images.classes)

    def test_right_answers_are_right_and_like_themselves(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        assert task.right(answers, task.truths(images), images.classes).all()
        assert task.same(answers, answers).all()
        assert task.agreement("itself", answers, answers).labels.value == 1
        assert not task.divergence(answers, answers).any()

    def test_what_is_decided_without_a_threshold_is_what_was_answered(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        decided = task.decided(answers, images.classes, None)
        assert decided.shape == answers.shape and task.same(decided, answers).all()
        assert task.right(decided, task.truths(images), images.classes).all()

    def test_marks_are_in_the_image_and_where_the_truth_is(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        for answer, truth in zip(answers, task.truths(images), strict=True):
            marks, true = task.marks(answer, images.classes), task.marks(truth, images.classes)
            assert len(marks) == len(true), "the answers are right: they mark what the labels mark"
            assert all(0 <= mark.x <= 1 and 0 <= mark.y <= 1 for mark in (*marks, *true))

    def test_answers_to_other_images_are_worse(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        truths, others = task.truths(images), answers[::-1]
        right = task.right(others, truths, images.classes)
        assert not right.all(), "all answers are right in any order: the labels must differ"
        better, worse = task.losses(answers, truths), task.losses(others, truths)
        assert (worse[~right] > better[~right]).all()

    def test_errors_are_within_their_limits_and_smaller_for_right_answers(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        truths, measure = task.truths(images), task.error_measure
        errors, others = task.errors(answers, truths), task.errors(answers[::-1], truths)
        if errors is None or others is None or measure is None:
            assert errors is others is measure is None
            return
        assert measure.title and measure.unit and measure.meaning and measure.margin > 0
        assert errors.values.shape == errors.limits.shape == (len(images),)
        for known in (errors, others):
            values, limits = known.values[known.known], known.limits[known.known]
            assert len(values) and (values >= 0).all() and (values <= limits).all()
        assert np.nanmean(errors.values) < np.nanmean(others.values)

    def test_compared_numbers_are_finite_and_vary(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        numbers = task.comparable(answers)
        assert numbers.ndim == 2 and len(numbers) == len(images)
        assert np.isfinite(numbers).all() and np.ptp(numbers, axis=0).max() > 0

    def test_metrics_of_right_answers_are_perfect(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        metrics = task.metrics(answers, task.truths(images), self.settings(images))
        assert metrics.accuracy.value == 1 and metrics.images == len(images)
        for figure in metrics.figures:
            assert figure.estimate.low <= figure.estimate.value <= figure.estimate.high
        assert len({figure.name for figure in metrics.figures}) == len(metrics.figures)

    def test_metrics_of_no_images_are_refused(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        with pytest.raises(PupilaError):
            task.metrics(answers[:0], task.truths(images)[:0], self.settings(images))

    def test_answers_of_another_shape_are_refused(
        self, task: TaskMethods, images: Dataset, answers: NDArray[np.float32]
    ) -> None:
        truths = task.truths(images)
        assert task.check(answers, truths, images.classes, "these").shape == answers.shape
        with pytest.raises(PupilaError, match="shape"):
            task.check(answers[1:], truths, images.classes, "these")

    def test_other_names_are_refused(self, task: TaskMethods, images: Dataset) -> None:
        width = len(task.answer_columns(images.classes))
        assert task.columns_of(images.classes, images.classes) == list(range(width))
        with pytest.raises(PupilaError, match="must have the same"):
            task.columns_of(images.classes, [*images.classes[1:], "something else"])

    def test_targets_of_views_have_the_label_columns(
        self, training: TaskTraining, images: Dataset
    ) -> None:
        views = training.labels_of_views(images, Augmentation(views=2))
        shape = (len(images), training.label_columns)
        assert [view.shape for view in views] == [shape, shape]
        assert np.array_equal(views[0], training.labels(images), equal_nan=True)

    def test_a_student_with_its_head_learns_the_labels(
        self, training: TaskTraining, images: Dataset
    ) -> None:
        keras = import_keras()
        keras.utils.set_random_seed(0)
        image = keras.Input((32, 32, 3))
        features = keras.layers.Conv2D(4, 3, strides=4, padding="same", name="features")(image)
        raw = training.head(features, 8, free_name({"features"}))
        student = keras.Model(image, raw)
        weighted = [layer for layer in student.layers if layer.weights]
        assert len(weighted) == 1 + training.head_layers(8)
        kernels: list[Any] = [
            weight for layer in weighted[1:] for weight in layer.weights if weight.ndim > 1
        ]
        assert sum(math.prod(kernel.shape) for kernel in kernels) == sum(
            weights for weights, _ in training.head_kernels(4, 8)
        )
        pixels = np.random.default_rng(0).uniform(0, 255, (len(images), 32, 32, 3))
        targets = training.labels(images)
        outputs = student(pixels.astype(np.float32), training=False)
        loss, right = training.label_loss()(targets, outputs), training.right()(targets, outputs)
        assert tuple(loss.shape) == tuple(right.shape) == (len(images),)
        assert np.isfinite(np.asarray(loss)).all() and set(np.asarray(right).tolist()) <= {0.0, 1.0}
        model, output = training.finish(student)
        assert output.task == self.plugin and output.classes == images.classes
        shape: tuple[int, ...] = model.output_shape[1:]
        assert np.prod(shape) == output.columns
        assert training.output_in_training(student).columns == np.prod(raw.shape[1:])
