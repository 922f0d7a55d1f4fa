"""`pupila init` finds out how a model is read, and writes a recipe that runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from pupila import keras_files
from pupila.errors import PupilaError
from pupila.testing import draw_colours
from pupila_flows.cli.main import app
from pupila_flows.plan.reading import read_plan

keras = keras_files.import_keras()
layers = keras.layers
FACTOR = {"none": 1 / 255, "scale": 1.0, "center": 0.5}
"""What pixels are multiplied with inside of the file, by what was done outside of it."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder for each class, without a split."""
    drawn = draw_colours(tmp_path / "drawn")
    for path in drawn.glob("*/*/*.png"):
        folder = tmp_path / "photos" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{path.parent.parent.name}-{path.name}")
    return tmp_path / "photos"


def colour_model(preprocess: str = "none", output: str = "softmax", red_first: bool = False) -> Any:
    """Return a model that tells red from blue by the mean colour, of pixels scaled outside."""
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(FACTOR[preprocess])(image)
    x = layers.GlobalAveragePooling2D()(x)
    columns = 1 if output == "sigmoid" else 2
    activation = None if output == "logits" else output
    model = keras.Model(image, layers.Dense(columns, activation=activation)(x))
    sign = -1 if red_first else 1
    towards_red = np.array([[40.0], [0.0], [-40.0]]) * sign
    kernel = towards_red if columns == 1 else np.concatenate([-towards_red, towards_red], axis=1)
    model.set_weights([kernel, np.zeros(columns)])
    return model


Init = Callable[..., dict[str, Any]]


@pytest.fixture
def init(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    """Return a function that runs the command in a folder of its own, and reads the recipe."""
    monkeypatch.chdir(tmp_path)

    def run(model: Any, *options: str, name: str = "model.keras") -> dict[str, Any]:
        model.export(name) if name == "saved" else model.save(name)
        ran = CliRunner().invoke(app, ["init", "photos", name, "eyes", *options, "-w", "ws"])
        if ran.exception and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        assert ran.exit_code == 0, ran.output
        recipe: dict[str, Any] = yaml.safe_load((tmp_path / "eyes.yaml").read_text())
        assert read_plan(tmp_path / "eyes.yaml").steps
        return recipe

    return run


@pytest.mark.long
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logits"])
def test_the_kind_of_output_and_the_order_of_classes_are_found(init: Init, output: str):
    teacher = init(colour_model(output=output, red_first=True))["teachers"]["teacher"]
    assert teacher["output"] == output
    assert teacher["classes"] == ["red", "blue"]
    assert teacher["preprocess"] == "none"


@pytest.mark.long
@pytest.mark.parametrize(("name", "preprocess"), [("model.h5", "scale"), ("saved", "center")])
def test_a_scaling_outside_of_the_file_is_found(init: Init, name: str, preprocess: str):
    teacher = init(colour_model(preprocess), "--yes", name=name)["teachers"]["teacher"]
    assert teacher["path"] == name
    assert teacher["classes"] == ["blue", "red"]


@pytest.mark.slow
def test_budget_patients_and_targets_are_in_the_recipe(init: Init, tmp_path: Path):
    options = ("--size", "200kB", "--positive", "red", "--patient", "-([0-9]+)[.]", "--browser")
    recipe = init(colour_model(), *options)
    assert recipe["steps"]["pupil"]["with"]["student"] == "mobile-xs"
    assert recipe["gate"]["limits"] == {"size_bytes": 200_000}
    assert recipe["data"]["positive"] == "red"
    assert "tfjs" in recipe["steps"]
    assert "patient" in (tmp_path / "eyes.csv").read_text().splitlines()[0]


def test_what_exists_already_is_not_overwritten(init: Init, tmp_path: Path):
    (tmp_path / "eyes.yaml").write_text("mine")
    with pytest.raises(PupilaError, match=r"'eyes\.yaml' exists already"):
        init(colour_model())
    assert (tmp_path / "eyes.yaml").read_text() == "mine"


def test_a_model_that_no_loader_reads_is_refused_before_anything_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"nothing")
    ran = CliRunner().invoke(app, ["init", "photos", "model.bin", "-w", "ws"])
    assert isinstance(ran.exception, PupilaError)
    assert "is in no known model format" in str(ran.exception)
    assert not (tmp_path / "photos.csv").exists()
