from __future__ import annotations

import numpy as np
from average_weights.results import Soup, wrong_and_sure

from pupila.testing import ConditionContract, MetricContract, SectionContract

SOUP = Soup(
    ingredients=("a" * 64, "b" * 64),
    validation_accuracy=0.9,
    validation_accuracy_of_inputs=(0.8, 0.85),
    validation_images=40,
)


class TestTrueClassProbability(MetricContract):
    plugin = "true_class_probability"


class TestWrongAndSure(ConditionContract):
    plugin = "wrong_and_sure"

    def test_only_wrong_answers_count(self):
        model = self.make_model()
        assert wrong_and_sure(model).value == 0
        swapped = type(model)(**{**vars(model), "truths": 1 - np.asarray(model.truths)})
        sure = np.asarray(model.answers).max(axis=1) > 0.9
        assert wrong_and_sure(swapped).value == sure.mean() > 0


class TestSoups(SectionContract):
    plugin = "soups"
    measured = SOUP


class TestBytesForAccuracy(SectionContract):
    plugin = "bytes-for-accuracy"

    def test_bytes_are_divided_by_points(self):
        assert self.make_drawing().rows == [("model", "10")]
