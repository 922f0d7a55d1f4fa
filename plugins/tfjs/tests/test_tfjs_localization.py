"""A student that ends in a heat map is exported, and TF.js gives the same answers."""

from __future__ import annotations

import pytest

from pupila.testing import DiscSteps


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


@pytest.mark.long
@pytest.mark.usefixtures("javascript")
@pytest.mark.parametrize(
    ("weights", "shift"), [("float32", 1e-3), ("float16", 0.02), ("uint8", 0.3)]
)
def test_a_heat_map_is_exported_to_tfjs(discs: DiscSteps, weights: str, shift: float):
    exported = discs.run("export-tfjs", weights=weights).artifact
    assert exported.record.output == discs.student.record.output
    assert discs.shift(exported) < shift
