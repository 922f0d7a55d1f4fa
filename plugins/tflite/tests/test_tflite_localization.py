"""A student that ends in a heat map is exported, and LiteRT gives the same answers."""

from __future__ import annotations

import pytest

from pupila.testing import DiscSteps


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


def test_a_heat_map_is_exported_to_tflite(discs: DiscSteps):
    exported = discs.run("export-tflite").artifact
    assert exported.record.output == discs.student.record.output
    assert discs.detection_rate(discs.student) > 0.9
    assert discs.shift(exported) < 1e-3
