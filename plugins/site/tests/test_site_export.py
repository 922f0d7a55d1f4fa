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
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import ExporterContract, ignore_progress, run_step
from pupila_site import page, study
from pupila_site.config import Site

Made = Any


class TestSiteKeepsTheContract(ExporterContract):
    plugin = "site"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def page_built(cls, built: Path) -> None:
        """Skip where there is no page."""


@pytest.fixture(scope="module")
def said(site: Artifact) -> dict[str, Any]:
    return json.loads((site.path / "site.json").read_text())


def test_figures_and_threshold_are_those_of_the_evaluation_on_the_test_images(
    said: dict[str, Any], model: Artifact, dataset: Dataset, tmp_path: Path
):
    """The page showed the specificity of the images that chose the threshold."""
    metrics = evaluate(
        model,
        dataset,
        positive=dataset.classes[0],
        specificity=0.85,
        predictions=Predictions(tmp_path),
        progress=ignore_progress,
        latency_repeats=1,
    ).metrics
    point, told = metrics.operating_points[0], said["models"][0]
    assert point.chosen_on == "validation"
    assert (told["threshold"], told["chosenOnImages"], told["chosenOn"]) == (
        point.threshold,
        len(dataset.select("validation")),
        "",
    )
    assert told["images"] == len(dataset.select("test")) == metrics.images
    assert metrics.auc is not None and point.accuracy is not None
    (hits, _), (_, rejected) = metrics.confusion
    assert point.accuracy.value == (hits + rejected) / metrics.images
    for name, estimate in (
        ("sensitivity", point.sensitivity),
        ("specificity", point.specificity),
        ("accuracy", point.accuracy),
        ("auc", metrics.auc),
    ):
        assert told[name] == estimate.model_dump(include={"value", "low", "high"})
        assert told[name]["low"] < told[name]["high"]
    assert told["byPatient"] is False


def test_models_lie_in_the_site_as_they_were(
    site: Artifact, said: dict[str, Any], model: Artifact, gate: Artifact
):
    entries = [said["models"][0], said["gate"]]
    for artifact, entry in zip((model, gate), entries, strict=True):
        assert (site.path / entry["file"]).read_bytes() == artifact.file(".tflite").read_bytes()
    assert [entry["name"] for entry in said["models"]] == ["as it is", "float16"]
    assert (said["gate"]["accepts"], said["gate"]["threshold"]) == ("fundus", 0.5)
    assert site.record.measured["models"] == said["models"]


def test_the_threshold_of_a_gate_is_that_which_it_ships(
    built: Path, model: Artifact, strict_gate: Artifact, run: Made
):
    for accepts, threshold in (("fundus", 1), ("other", pytest.approx(0))):
        made = run("site", model, strict_gate, gate=accepts)
        said = json.loads((made.path / "site.json").read_text())
        assert said["gate"]["threshold"] == threshold


def test_a_model_that_ships_a_threshold_of_the_positive_class_keeps_it(
    built: Path, model: Artifact, dataset: Dataset, store: Store, run: Made, tmp_path: Path
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

    told, other = shipping("square"), shipping("triangle")
    called, squares = probabilities[:, 0] >= value, test.labels == 0
    assert (told["threshold"], told["chosenOn"]) == (value, "four photographs")
    assert told["sensitivity"]["value"] == pytest.approx(called[squares].mean())
    assert told["specificity"]["value"] == pytest.approx((~called[~squares]).mean())
    assert told["accuracy"]["value"] == pytest.approx((called == squares).mean())
    assert (other["threshold"], other["chosenOn"]) == (pytest.approx(1 - value), "four photographs")


def test_every_file_is_kept_for_offline_use(site: Artifact):
    kept = json.loads((site.path / "precache.js").read_text().split("=", 1)[1].rstrip(";\n"))
    unkept = {"_headers", "sw.js", "precache.js", "index.html"}
    assert set(kept["files"]) == set(site.record.files) - unkept | {"./"}


def test_the_headers_say_what_the_page_says_itself(site: Artifact):
    headers = (site.path / "_headers").read_text()
    policy = re.search(r"Content-Security-Policy: (.+)", headers)
    assert policy is not None
    stated = policy[1].removesuffix("; frame-ancestors 'none'")
    assert f'content="{stated}"' in (site.path / "index.html").read_text()
    assert "default-src 'none'" in stated and "connect-src 'self'" in stated
    assert "unsafe-eval" not in stated.replace("'wasm-unsafe-eval'", "")


def test_the_page_is_small(built: Path):
    scripts = [file for file in built.rglob("*.js") if "litert" not in file.parts]
    assert sum(file.stat().st_size for file in scripts) < 60_000


def test_the_table_of_the_study_is_whole(said: dict[str, Any]):
    assert len(said["study"]["rows"]) == 8
    assert {len(row["ms"]) for row in said["study"]["rows"]} == {len(study.COLUMNS)}


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"gate": "fundsu"}, r"let 'fundsu' through.*\['fundus', 'other'\].*fundus"),
    ],
)
def test_a_class_that_is_none_is_refused(
    built: Path, model: Artifact, gate: Artifact, run: Made, settings: Any, refused: str
):
    with pytest.raises(PupilaError, match=refused):
        run("site", model, gate, **settings)


@pytest.mark.slow
def test_a_model_with_8_bit_borders_is_refused_with_what_to_do(
    built: Path, model: Artifact, run: Made
):
    quantised = run("quantize-int8", model, io_type="int8")
    with pytest.raises(PupilaError, match=r"takes or gives int8.*`io_type: float`"):
        run("site", quantised)


def test_a_gate_needs_a_model_beside_it():
    with pytest.raises(PupilaError, match="makes the last input a gate"):
        Site(gate="fundus").check_inputs(1)


def test_there_are_as_many_names_as_inputs():
    with pytest.raises(PupilaError, match=r"2 names.*for 3 inputs"):
        Site(names=("one", "other")).check_inputs(3)


def test_a_page_that_was_not_built_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "none"))
    with pytest.raises(PupilaError, match=r"run `python -m pupila_site\.install`"):
        page.PAGES.find()


def test_the_lock_file_names_no_registry():
    lock = (page.SOURCES / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "registry" not in lock


def test_a_threshold_that_only_the_test_images_chose_is_not_shown(
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


def test_a_model_that_was_not_judged_is_not_shown(built: Path, gate: Artifact, run: Made):
    with pytest.raises(PupilaError, match=r"without its figures: it must tell the data's classes"):
        run("site", gate)
