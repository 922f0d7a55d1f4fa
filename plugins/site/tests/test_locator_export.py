"""What the exporter writes for models that find something, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pupila import Artifact, Dataset, OutputSpec, PupilaError
from pupila.cropping import MARGIN
from pupila.evaluator import evaluate
from pupila.keras_files import import_keras
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import ignore_progress, store_locator
from pupila_site.config import Site

Run = Callable[..., Artifact]

pytestmark = pytest.mark.slow


def content_of(site: Artifact) -> dict[str, Any]:
    return json.loads((site.path / "site.json").read_text())


def test_figures_of_a_locator_are_those_of_its_evaluation_as_fractions(
    built: Path, locator: Artifact, discs: Dataset, run: Run, tmp_path: Path
):
    content = content_of(run("site", locator, data=discs))
    metrics = evaluate(
        locator,
        discs,
        positive="",
        specificity=0.85,
        predictions=Predictions(tmp_path),
        progress=ignore_progress,
        latency_repeats=1,
    ).metrics
    (entry,) = content["models"]
    assert (content["task"], content["margin"], content["filter"]) == ("localization", MARGIN, None)
    assert (entry["kind"], entry["size"]) == ("heat-map", list(locator.record.output.size or ()))
    assert (entry["presentFrom"], entry["images"], entry["byPatient"]) == (0.5, 16, False)
    shown = {figure.pop("name"): figure for figure in entry["figures"]}
    assert list(shown) == ["found", "error", "error_p95", "within_half", "size_error", "absent"]
    ends = {"value", "low", "high"}
    assert shown["found"] == metrics.accuracy.model_dump(include=ends)
    measured = {figure.name: figure.estimate for figure in metrics.figures}
    assert shown["within_half"] == measured["within_half"].model_dump(include=ends)
    assert shown["error"]["value"] == pytest.approx(measured["error"].value / 100)
    assert 0 < shown["error"]["low"] < shown["error"]["high"] < 0.2


def test_a_classifier_beside_a_locator_is_its_filter(
    built: Path, locator: Artifact, image_filter: Artifact, discs: Dataset, run: Run
):
    site = run("site", locator, image_filter, data=discs, filter="fundus", margin=2.5)
    content = content_of(site)
    assert content["margin"] == 2.5
    assert content["filter"]["accepts"] == "fundus"
    assert [entry["classes"] for entry in content["models"]] == [["disc"]]


def test_models_of_two_tasks_are_refused(built: Path, locator: Artifact, model: Artifact, run: Run):
    with pytest.raises(PupilaError, match=r"'a' is a model of classification and 'b' of localiz"):
        run("site", model, locator, names=("a", "b"))


def test_a_locator_is_no_filter(built: Path, locator: Artifact, model: Artifact, run: Run):
    with pytest.raises(
        PupilaError, match=r"`filter: disc` makes the last input a filter, and that"
    ):
        run("site", model, locator, filter="disc")


def test_a_margin_that_cuts_the_thing_is_refused():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Site(margin=0.5)


def test_a_locator_that_was_not_evaluated_is_not_shown(built: Path, locator: Artifact, run: Run):
    with pytest.raises(PupilaError, match=r"without its figures: it must find what the data's"):
        run("site", locator)


def test_a_locator_of_two_things_is_refused(built: Path, store: Store, discs: Dataset, run: Run):
    two = run("export-tflite", _of_two_things(store))
    with pytest.raises(PupilaError, match=r"'two' finds 2 things, \['disc', 'fovea'\], and the"):
        run("site", two, data=discs, names=("two",))


def _of_two_things(store: Store) -> Artifact:
    layers = import_keras().layers
    image = import_keras().Input((32, 32, 3), name="image")
    heat = layers.Conv2D(6, 8, 8, name="heat")(image)
    one = store_locator(store, import_keras().Model(image, heat, name="two"))
    names = OutputSpec(
        task="localization", kind="heat-map", classes=("disc", "fovea"), size=(4, 4, 6)
    )
    with store.draft() as folder:
        for file in one.path.iterdir():
            if file.name in one.record.files:
                (folder / file.name).write_bytes(file.read_bytes())
        fields = dict(one.record) | {"output": names}
        del fields["files"]
        return store.add(folder, **fields)
