"""Contracts of what packages add to results: metrics, conditions of the gate, report sections."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import BaseModel

from pupila.condition import CheckedModel
from pupila.drawing import Drawing
from pupila.evaluation import Cost, Estimate, Evaluation, Latency
from pupila.fragments import checked
from pupila.measured import Measured
from pupila.plugin import CLASSIFICATION
from pupila.plugin_metrics import metrics_of_answers, values_of_images
from pupila.reported import ReportedEntry, ReportedRun
from pupila.result_plugins import GateCondition, MeasuredSection, Metric, ReportSection
from pupila.task import MetricSettings, Truths
from pupila.testing.plugin_contract import PluginContract

Floats = NDArray[np.float64]
_IMAGES = 40
_CLASSES = ("normal", "glaucoma")


class _ResultContract(PluginContract):
    """Tests that all of these plugins have in common."""

    task: ClassVar[str] = CLASSIFICATION
    """Task of the answers that it is tested with."""
    classes: ClassVar[tuple[str, ...]] = _CLASSES
    """What the answers are about."""
    positive: ClassVar[str] = _CLASSES[1]
    """Positive class; empty in a task without classes."""

    @classmethod
    def make_answers(cls) -> tuple[Floats, Truths]:
        """Return answers `(images, columns)` that are all right, and truths; override in a task."""
        truths = np.arange(_IMAGES) % 2
        right = np.random.default_rng(0).uniform(0.6, 0.99, _IMAGES)
        return np.where(np.eye(2)[truths] == 1, right[:, None], 1 - right[:, None]), truths

    @classmethod
    def make_metrics(cls) -> Evaluation:
        """Return an evaluation with the metrics of `make_answers`."""
        answers, truths = cls.make_answers()
        settings = MetricSettings(classes=cls.classes, positive=cls.positive)
        return Evaluation(
            artifact="0" * 64,
            format="keras",
            runtime="a test",
            cpu="a test",
            cost=Cost(
                size_bytes=1000,
                gzip_bytes=900,
                parameters=200,
                macs=3000,
                latency=Latency(median_ms=2.0, p95_ms=3.0, repeats=50, threads=1),
                peak_memory_bytes=10_000_000,
            ),
            split="test",
            metrics=metrics_of_answers(cls.task, answers, truths, settings),
            probabilities="answers.npy",
        )


class MetricContract(_ResultContract):
    """Tests of a metric: inherit as `class TestMine(MetricContract)` and set `plugin`.

    In another task than classification, set `task`, `classes` and `positive` too, and define
    `make_answers`.
    """

    kind = Metric

    @pytest.fixture
    def metric(self) -> Metric:
        return self.descriptor(Metric)

    def values(self, metric: Metric, answers: Floats, truths: Truths) -> Floats:
        """Return the values of images."""
        if not metric.per_image:
            pytest.skip("it has one value for a set")
        return values_of_images(metric, answers, truths, self.classes)

    def test_its_title_begins_small_for_use_in_sentences(self, metric: Metric) -> None:
        first = metric.title.split()[0]
        assert first[0].islower() or first.upper() == first, "only an abbreviation may not"
        assert metric.fits(self.task), f"it does not measure {self.task}: set `task`"

    def test_it_has_a_figure_with_an_interval(self, metric: Metric) -> None:
        figures = {figure.name: figure for figure in self.make_metrics().metrics.added}
        assert metric.name in figures, "it has no value on these images: define `make_answers`"
        estimate = figures[metric.name].estimate
        assert estimate.low <= estimate.value <= estimate.high

    def test_right_answers_are_at_least_as_good_as_those_of_other_images(
        self, metric: Metric
    ) -> None:
        answers, truths = self.make_answers()
        better, worse = (
            float(np.nanmean(np.asarray(metric.load()(given, truths, self.classes), np.float64)))
            for given in (answers, np.roll(answers, 1, axis=0))
        )
        gain = worse - better if metric.lower_is_better else better - worse
        assert gain >= 0, "swap `lower_is_better`"

    def test_it_leaves_its_arguments_as_they_are(self, metric: Metric) -> None:
        answers, truths = self.make_answers()
        for given in (answers, truths):
            given.setflags(write=False)
        metric.load()(answers, truths, self.classes)

    def test_the_value_of_an_image_does_not_depend_on_the_others(self, metric: Metric) -> None:
        answers, truths = self.make_answers()
        rows = np.arange(1, len(truths), 3)
        whole = self.values(metric, answers, truths)[rows]
        np.testing.assert_allclose(self.values(metric, answers[rows], truths[rows]), whole)

    def test_whether_an_image_has_a_value_depends_on_its_label_alone(self, metric: Metric) -> None:
        answers, truths = self.make_answers()
        first, second = (
            np.isnan(self.values(metric, given, truths))
            for given in (answers, np.roll(answers, 1, axis=0))
        )
        assert (first == second).all(), "two models could not be compared on the same images"


class ConditionContract(_ResultContract):
    """Tests of a condition of the gate: inherit it and set `plugin`.

    In another task than classification, set `task`, `classes` and `positive` too, and define
    `make_answers`.
    """

    kind = GateCondition

    @classmethod
    def make_model(cls) -> CheckedModel:
        """Return the model that is checked; it is its own teacher, if it needs one."""
        answers, truths = cls.make_answers()
        model = CheckedModel(
            name="model",
            evaluation=cls.make_metrics(),
            answers=answers,
            decided=answers,
            truths=truths,
            classes=cls.classes,
            positive=cls.positive,
            patients=None,
        )
        if not cls.descriptor(GateCondition).needs_teacher:
            return model
        return replace(model, teacher=model)

    def test_it_returns_what_it_declares(self) -> None:
        condition = self.descriptor(GateCondition)
        value = condition.load()(self.make_model())
        if condition.has_interval:
            assert isinstance(value, Estimate), "return an Estimate, or drop `has_interval`"
            assert value.low <= value.value <= value.high
            assert value.low < value.high, (
                "an interval from images has a width: see `pupila.intervals.share` and "
                "`pupila.plugin_metrics.mean_estimate`"
            )
        else:
            assert np.isfinite(float(value))

    def test_the_same_model_has_the_same_value(self) -> None:
        check = self.descriptor(GateCondition).load()
        assert check(self.make_model()) == check(self.make_model())


class SectionContract(_ResultContract):
    """Tests of a section of the report: inherit it and set `plugin`.

    For a `MeasuredSection`, set `measured` to a model with values.
    """

    kind = ReportSection
    measured: ClassVar[Any] = None
    """A model of measured values that draws itself: see `pupila.drawing.Drawable`."""

    @classmethod
    def make_run(cls) -> ReportedRun:
        """Return the run that is drawn; override it if the section needs another one."""
        parts = () if cls.measured is None else (cls.measured,)
        entry = ReportedEntry(
            name="model", uses="a test", measured=Measured(*parts), evaluation=cls.make_metrics()
        )
        return ReportedRun(entries=(entry,), result={"name": "a test", "entries": []})

    @classmethod
    def make_drawing(cls) -> Drawing:
        """Return what the section draws."""
        section = cls.descriptor(ReportSection)
        if isinstance(section, MeasuredSection):
            assert cls.measured is not None, "set `measured` to a model with values"
            return cls.measured.drawing()
        return section.load()(cls.make_run())

    def test_it_draws_what_a_report_can_show(self) -> None:
        drawing = self.make_drawing()
        assert isinstance(drawing, Drawing)
        assert all(len(row) == len(drawing.columns) for row in drawing.rows)
        assert all(isinstance(cell, str) for row in drawing.rows for cell in row)
        checked(drawing.svg)

    def test_the_same_run_is_drawn_alike(self) -> None:
        assert self.make_drawing() == self.make_drawing()

    def test_measured_values_are_read_back_and_not_from_others(self) -> None:
        section = self.descriptor(ReportSection)
        if isinstance(section, MeasuredSection) and self.measured is not None:
            values: BaseModel = self.measured
            model = type(values)
            assert section.load() is model
            assert Measured(values).read(model) == values
            assert Measured().read(model) is None, "give a field without a default"
