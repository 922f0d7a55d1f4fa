"""A heat map is the same in LiteRT.js and TF.js in a browser as in the runtime of its format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pupila.task import answers_of_outputs
from pupila.testing import DiscSteps, ignore_progress, mean_shift


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("runner", "steps", "shift"),
    [
        ("litertjs-wasm", ["export-tflite"], 1e-3),
        ("litertjs-wasm", ["export-tflite", "quantize-int8"], 0.1),
        ("tfjs-wasm", ["export-tfjs"], 1e-3),
    ],
)
def test_a_heat_map_is_the_same_in_a_browser(
    open_in_browser: Callable[..., Any],
    discs: DiscSteps,
    runner: str,
    steps: list[str],
    shift: float,
):
    artifact = discs.student
    for step in steps:
        artifact = discs.run(step, artifact).artifact
    pixels = discs.dataset.select("test").pixels(artifact.record.input)
    with open_in_browser(runner, artifact) as model:
        outputs = model.predict(
            np.stack([pixels[row] for row in range(len(pixels))]), ignore_progress
        )
    answers = answers_of_outputs(artifact.record.output, outputs)
    assert mean_shift(answers, discs.answers(artifact)) < shift
