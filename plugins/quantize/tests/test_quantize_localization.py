"""A student that ends in a heat map loses little in fewer bits, after training and during it."""

from __future__ import annotations

from typing import Any

import pytest

from pupila import Artifact
from pupila.measured import FloatComparison
from pupila.testing import DiscSteps


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="module")
def flatbuffer(discs: DiscSteps) -> Artifact:
    return discs.run("export-tflite").artifact


@pytest.mark.parametrize(
    ("step", "settings", "shift"),
    [
        ("quantize-float16", {}, 0.02),
        ("quantize-dynamic", {}, 0.15),
        ("quantize-int16x8", {}, 0.3),
        ("quantize-int8", {}, 0.4),
        ("quantize-int8", {"io_type": "int8"}, 0.4),
        ("quantize-mixed", {}, 0.4),
        ("quantize-int4", {}, 0.8),
    ],
)
def test_the_centre_moves_little_in_fewer_bits(
    discs: DiscSteps, flatbuffer: Artifact, step: str, settings: dict[str, Any], shift: float
):
    made = discs.run(step, flatbuffer, **settings)
    assert made.artifact.record.output == discs.student.record.output
    assert 0 < discs.shift(made.artifact) < shift
    comparison = made.result.measured.read(FloatComparison)
    if comparison:
        assert comparison.agreement > 0.9
        assert comparison.divergence is not None
        assert 0 < comparison.divergence < 1e-3
        assert (comparison.tied, comparison.float_tied) == (0, 0)


@pytest.mark.long
@pytest.mark.parametrize(
    "settings", [{}, {"io_type": "int8", "choose_by": "fidelity", "temperature": 1}]
)
def test_a_heat_map_is_trained_for_int8(discs: DiscSteps, settings: dict[str, Any]):
    quick = {"epochs": 2, "batch_size": 6, "augmentation": {"views": 1}}
    made = discs.run("qat", **quick, **settings)
    assert made.artifact.record.output == discs.student.record.output
    assert discs.shift(made.artifact) < 0.4
    measured = made.result.measured
    assert measured["export_agreement"] == 1
    assert measured["export_largest_difference"] < 0.01
    if settings:
        assert measured["validation_fidelity"] > 0.9
