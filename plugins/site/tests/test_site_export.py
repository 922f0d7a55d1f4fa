"""What the exporter writes, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import Artifact, Dataset, PupilaError
from pupila.artifact import Threshold
from pupila.evaluator import evaluate
from pupila.plugin import GivenModel
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import ExporterContract, ignore_progress, run_step
from pupila_site import page, study
from pupila_site.config import Site

Run = Any


class TestSiteKeepsTheContract(ExporterContract):
    plugin = "site"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def page_built(cls, built: Path) -> None:
        """Skip if the page is not built."""


@pytest.fixture(scope="module")
def content(site: Artifact) -> dict[str, Any]:
    return json.loads((site.path / "site.json").read_text())


def test_metrics_and_threshold_are_those_of_the_evaluation_on_the_test_images(
    content: dict[str, Any], model: Artifact, dataset: Dataset, tmp_path: Path
):
    metrics = evaluate(
        model,
        dataset,
        positive=dataset.classes[0],
        specificity=0.85,
        predictions=Predictions(tmp_path),
        progress=ignore_progress,
        latency_repeats=1,
    ).metrics
    point, entry = metrics.operating_points[0], content["models"][0]
    assert point.chosen_on == "validation"
    assert (entry["threshold"], entry["chosenOnImages"], entry["chosenOn"]) == (
        point.threshold,
        len(dataset.select("validation")),
        "",
    )
    assert entry["images"] == len(dataset.select("test")) == metrics.images
    assert metrics.auc is not None and point.accuracy is not None
    (hits, _), (_, rejected) = metrics.confusion
    assert point.accuracy.value == (hits + rejected) / metrics.images
    for name, estimate in (
        ("sensitivity", point.sensitivity),
        ("specificity", point.specificity),
        ("accuracy", point.accuracy),
        ("auc", metrics.auc),
    ):
        assert entry[name] == estimate.model_dump(include={"value", "low", "high"})
        assert entry[name]["low"] < entry[name]["high"]
    assert entry["byPatient"] is False


def test_models_are_copied_unchanged(
    site: Artifact, content: dict[str, Any], model: Artifact, image_filter: Artifact
):
    entries = [content["models"][0], content["filter"]]
    for artifact, entry in zip((model, image_filter), entries, strict=True):
        assert (site.path / entry["file"]).read_bytes() == artifact.file(".tflite").read_bytes()
    assert [entry["name"] for entry in content["models"]] == ["unchanged", "float16"]
    assert (content["filter"]["accepts"], content["filter"]["threshold"]) == ("fundus", 0.5)
    assert site.record.measured["models"] == content["models"]


def test_the_threshold_of_a_filter_is_the_one_that_it_ships(
    built: Path, model: Artifact, strict_filter: Artifact, run: Run
):
    for accepts, threshold in (("fundus", 1), ("other", pytest.approx(0))):
        site = run("site", model, strict_filter, filter=accepts)
        content = json.loads((site.path / "site.json").read_text())
        assert content["filter"]["threshold"] == threshold


def test_a_model_that_ships_a_threshold_of_the_positive_class_keeps_it(
    built: Path, model: Artifact, dataset: Dataset, store: Store, run: Run, tmp_path: Path
):
    test = dataset.select("test")
    probabilities = Predictions(tmp_path).of(model, test, ignore_progress).astype(np.float64)
    value = float(np.sort(probabilities[:, 0])[3:5].mean())

    def shipping(positive: str) -> dict[str, Any]:
        with store.draft() as folder:
            shutil.copy(model.file(".tflite"), folder)
            threshold = Threshold(positive=positive, value=value, chosen_on="four photographs")
            fields = dict(model.record) | {"threshold": threshold}
            del fields["files"]
            artifact = store.add(folder, **fields)
        return run("site", artifact).record.measured["models"][0]

    entry, other = shipping("square"), shipping("triangle")
    called, squares = probabilities[:, 0] >= value, test.labels == 0
    assert (entry["threshold"], entry["chosenOn"]) == (value, "four photographs")
    assert entry["sensitivity"]["value"] == pytest.approx(called[squares].mean())
    assert entry["specificity"]["value"] == pytest.approx((~called[~squares]).mean())
    assert entry["accuracy"]["value"] == pytest.approx((called == squares).mean())
    assert (other["threshold"], other["chosenOn"]) == (pytest.approx(1 - value), "four photographs")


def test_every_file_is_kept_for_offline_use(site: Artifact):
    kept = json.loads((site.path / "precache.js").read_text().split("=", 1)[1].rstrip(";\n"))
    unkept = {"_headers", "sw.js", "precache.js", "index.html"}
    assert set(kept["files"]) == set(site.record.files) - unkept | {"./"}


def test_the_headers_state_the_policy_of_the_page(site: Artifact):
    headers = (site.path / "_headers").read_text()
    policy = re.search(r"Content-Security-Policy: (.+)", headers)
    assert policy is not None
    stated = policy[1].removesuffix("; frame-ancestors 'none'")
    assert f'content="{stated}"' in (site.path / "index.html").read_text()
    assert "default-src 'none'" in stated and "connect-src 'self'" in stated
    assert "unsafe-eval" not in stated.replace("'wasm-unsafe-eval'", "")


def test_the_page_is_small(built: Path):
    scripts = [file for file in built.rglob("*.js") if "litert" not in file.parts]
    assert sum(file.stat().st_size for file in scripts) < 70_000


def test_the_table_of_the_study_is_complete_and_only_there_where_asked_for(
    content: dict[str, Any],
):
    assert content["study"] is None
    rows = study.table()["rows"]
    assert len(rows) == 8
    assert {len(row["ms"]) for row in rows} == {len(study.COLUMNS)}


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"filter": "fundsu"}, r"filter: fundsu. is not a class .*\['fundus', 'other'\].*fundus"),
    ],
)
def test_an_unknown_class_is_refused(
    built: Path, model: Artifact, image_filter: Artifact, run: Run, settings: Any, refused: str
):
    with pytest.raises(PupilaError, match=refused):
        run("site", model, image_filter, **settings)


@pytest.mark.slow
def test_a_model_with_8_bit_input_and_output_is_refused_with_advice(
    built: Path, model: Artifact, run: Run
):
    quantised = run("quantize-int8", model, io_type="int8")
    with pytest.raises(PupilaError, match=r"takes or returns int8.*`io_type: float`"):
        run("site", quantised)


def test_a_filter_needs_a_model_beside_it():
    with pytest.raises(PupilaError, match="makes the last input a filter"):
        Site(filter="fundus").check_inputs(1)


def test_there_are_as_many_names_as_inputs_but_that_of_a_filter():
    with pytest.raises(PupilaError, match=r"`names` is \['one', 'other'\], for 3 inputs: give"):
        Site(names=("one", "other")).check_inputs(3)
    Site(names=("one", "other"), filter="fundus").check_inputs(3)
    with pytest.raises(PupilaError, match=r"the filter that `filter: auto` adds needs none"):
        Site(names=("one", "filter"), filter="auto").check_inputs(1)


@pytest.mark.parametrize(
    ("settings", "model", "message"),
    [
        ({"filter": "red"}, {"format": "chain"}, r"`filter: red` is for pages of single.*first in"),
        ({"filter": "auto"}, {"format": "chain"}, r"`filter: auto` is for pages of single models"),
        ({"margin": 2}, {"format": "chain"}, r"`margin: 2` is for pages of single models.*set it"),
        ({"margin": 2}, {"task": "classification"}, r"`margin: 2` is for pages that cut out what"),
        ({"verdicts": ("yes", "no")}, {"task": "localization"}, r"`verdicts` are said of a class"),
    ],
)
def test_settings_that_do_nothing_for_such_a_model_are_refused_before_a_run(
    settings: dict[str, Any], model: dict[str, Any], message: str
):
    with pytest.raises(PupilaError, match=message):
        Site(**settings).check_models([GivenModel("pupil", **model)])


def model_of(*formats: str) -> list[GivenModel]:
    return [GivenModel(f"{name}-{number}", name) for number, name in enumerate(formats)]


def test_an_automatic_filter_learns_from_the_nearest_keras_model():
    learner, exported = Site(filter="auto").added_steps(
        "page", model_of("tflite", "keras", "keras")
    )
    assert (learner.use, learner.inputs, learner.config) == (
        "one-class-distance",
        ("keras-1",),
        {"positive": None},
    )
    assert (exported.use, exported.inputs) == ("export-tflite", (learner.name,))
    assert Site(filter="fundus").added_steps("page", model_of("tflite", "keras")) == ()


@pytest.mark.parametrize(
    ("formats", "refused"),
    [
        (("chain", "tflite"), "'chain-0' is a chain: leave it out, and give the filter"),
        (("tflite", "onnx"), "'tflite-0' is made from none: give a filter as the last input"),
    ],
)
def test_an_automatic_filter_is_refused_where_it_cannot_be_made(
    formats: tuple[str, ...], refused: str
):
    with pytest.raises(PupilaError, match=refused):
        Site(filter="auto").added_steps("page", model_of(*formats))


@pytest.mark.parametrize(
    ("settings", "format", "warned"),
    [
        ({}, "tflite", True),
        ({"filter": "auto"}, "tflite", False),
        ({"filter": "fundus"}, "tflite", False),
        ({}, "chain", False),
    ],
)
def test_a_page_without_a_filter_warns_before_a_run(
    settings: dict[str, Any], format: str, warned: bool
):
    assert bool([*Site(**settings).warnings(model_of(format))]) == warned


def test_a_page_that_is_not_built_is_reported_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "none"))
    with pytest.raises(PupilaError, match=r"run `python -m pupila_site\.install`"):
        page.PAGES.find()


def test_the_lock_file_names_no_registry():
    lock = (page.SOURCES / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "registry" not in lock


def test_a_threshold_chosen_only_on_the_test_images_is_not_shown(
    built: Path, model: Artifact, dataset: Dataset, store: Store, tmp_path: Path
):
    with pytest.raises(PupilaError, match="Give validation images, or a model that ships"):
        run_step(
            installed().step("site"),
            Site(),
            [model],
            tmp_path / "run",
            store=store,
            dataset=dataset.without("validation"),
        )


def test_a_model_that_was_not_evaluated_is_not_shown(built: Path, image_filter: Artifact, run: Run):
    with pytest.raises(PupilaError, match=r"without its figures: it must tell the data's classes"):
        run("site", image_filter)
