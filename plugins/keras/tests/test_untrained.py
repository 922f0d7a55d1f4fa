"""Architectures with random weights, built small."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from pupila.testing import TechniqueContract
from pupila_keras.architectures import build
from pupila_keras.config import Backbone, UntrainedModel

SMALL = {"backbone": "MobileNetV2", "size": 96}


class TestUntrained(TechniqueContract):
    plugin = "untrained"
    config = SMALL


@pytest.mark.slow
@pytest.mark.parametrize("backbone", get_args(Backbone))
def test_every_backbone_returns_probabilities(backbone: Any):
    model = build(UntrainedModel(backbone=backbone, size=96), 3)
    answer = np.asarray(model(np.full((2, 96, 96, 3), 128, np.float32)))
    assert answer.shape == (2, 3)
    np.testing.assert_allclose(answer.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("head", "parameters"),
    [
        ({}, 20_024_384 + 512 * 2 + 2),
        ({"hidden": [16]}, 20_024_384 + 512 * 16 + 16 + 16 * 2 + 2),
        ({"pooling": "flatten"}, 20_024_384 + 3 * 3 * 512 * 2 + 2),
    ],
)
def test_the_head_is_as_configured(head: dict[str, Any], parameters: int):
    config = UntrainedModel.model_validate({"backbone": "VGG19", "size": 96, **head})
    assert build(config, 2).count_params() == parameters


def test_an_unknown_backbone_is_refused_with_a_list_of_all():
    with pytest.raises(ValidationError, match="'VGG16', 'VGG19'"):
        UntrainedModel.model_validate({"backbone": "VGG91"})
