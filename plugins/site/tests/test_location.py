"""The page's decoding of locators' outputs compared with Python's, on random outputs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import OutputSpec
from pupila.task import answers_of_outputs
from pupila.web import npm
from pupila_site import page

DRIVER = Path(__file__).with_name("locate.mjs")
MODULE = page.SOURCES / "src" / "location.ts"
PARTS = ("x", "y", "halfWidth", "halfHeight", "presence")
NAMES = ("disc", "fovea")
IMAGES = 5


def located_in_page(output: OutputSpec, outputs: NDArray[np.float32]) -> list[dict[str, Any]]:
    spec = output.model_dump(mode="json")
    cases = json.dumps([{"output": spec, "values": row} for row in outputs.tolist()])
    command = [npm.node(), DRIVER, MODULE]
    return json.loads(
        subprocess.run(command, input=cases, capture_output=True, check=True, text=True).stdout
    )


@pytest.mark.parametrize("names", [1, 2])
@pytest.mark.parametrize(
    ("kind", "size", "parts", "spread"),
    [
        ("heat-map", (6, 9), 3, 1),
        ("heat-map", (6, 9), 4, 8),
        ("heat-map", (24, 32), 4, 60),
        ("heat-map", (1, 1), 4, 400),  # exp alone would overflow
        ("coordinates", (), 4, 0.4),
        ("coordinates", (), 5, 1),
    ],
)
def test_the_page_decodes_outputs_as_python_does(
    kind: str, size: tuple[int, ...], parts: int, spread: float, names: int
):
    output = OutputSpec(
        task="localization", kind=kind, classes=NAMES[:names], size=(*size, parts * names)
    )
    random = np.random.default_rng(0)
    outputs = random.normal(0.3, spread, (IMAGES, output.columns)).astype(np.float32)
    expected = answers_of_outputs(output, outputs).reshape(IMAGES, names, len(PARTS))
    assert np.ptp(expected[..., :4], axis=0).max() > 1e-3, "all outputs have one answer"
    for answer, places in zip(located_in_page(output, outputs), expected, strict=True):
        parts_found = [[spot[part] for part in PARTS] for spot in answer["places"]]
        np.testing.assert_allclose(parts_found, places, rtol=1e-5, atol=1e-5)
        assert answer["absent"] == (parts == (4 if kind == "heat-map" else 5))
