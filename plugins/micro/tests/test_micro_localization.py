"""A heat map in int8 is exported to C sources, and TFLite Micro gives the same answers."""

from __future__ import annotations

import pytest

from pupila.testing import DiscSteps


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


@pytest.mark.long
@pytest.mark.parametrize("io_type", ["float", "int8"])
def test_a_heat_map_is_exported_to_tflite_micro(discs: DiscSteps, io_type: str):
    quantised = discs.run("quantize-int8", discs.run("export-tflite").artifact, io_type=io_type)
    exported = discs.run("export-tflite-micro", quantised.artifact)
    assert discs.shift(exported.artifact, quantised.artifact) < 0.1
    assert exported.result.measured["label_agreement"] > 0.9
    assert "warning" not in exported.result.measured
    header = (exported.artifact.path / "model.h").read_text()
    assert "/* heat-map, numbers of shape (8, 12, 3), the last axis fastest. */" in header
    assert "#define PUPILA_OUTPUT_COLUMNS 288" in header
