"""`pupila evaluate` on locators: their errors beside their teacher's, image by image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pupila import keras_files
from pupila.artifact import Artifact
from pupila.store import Store
from pupila.testing import disc_dataset, disc_locator
from pupila.testing.discs import store_locator
from pupila_flows.cli.main import app


def shifted(locator: Artifact, store: Store, columns: float) -> Artifact:
    """Store a locator of coordinates whose answers lie to the right by a fraction of the width."""
    keras = keras_files.import_keras()
    model = keras_files.load(locator)
    moved = keras.ops.add(model.outputs[0], np.array([columns, 0, 0, 0], np.float32))
    return store_locator(store, keras.Model(model.inputs, moved, name="shifted"), "coordinates")


@pytest.mark.long
def test_the_mean_error_is_compared_with_the_teachers(tmp_path: Path):
    frame = disc_dataset(tmp_path / "discs", images=40, splits=("test",)).frame
    lines = ["path,split,x,y,half_width,half_height"]
    for path, split, label in zip(frame["path"], frame["split"], frame["label"], strict=True):
        lines.append(",".join([path, split, *label.split()]))
    (tmp_path / "discs.csv").write_text("\n".join(lines))
    store = Store(tmp_path / "store")
    teacher = disc_locator(store, kind="coordinates")
    worse = shifted(teacher, store, 0.08)
    command = ["evaluate", str(worse.path), str(tmp_path / "discs.csv")]
    command += ["--against", str(teacher.path), "--workspace", str(tmp_path / "workspace")]
    evaluated = CliRunner().invoke(app, [*command, "--json"])
    assert evaluated.exit_code == 0, evaluated.output
    _, model = json.loads(evaluated.stdout.splitlines()[-1])["models"]
    assert set(model["differences"]) == {"accuracy", "error"}
    assert model["not_compared"] == []
    error = model["differences"]["error"]
    assert 0 < error["low"] < error["value"] < error["high"] < 5, "of half a radius, 3 to 5 %"
    said = CliRunner().invoke(app, command).output
    assert "error minus teacher's" in said
    assert ": mean error +" in said
    (line,) = (line for line in said.splitlines() if ": mean error +" in line)
    assert line.endswith(": worse.")
