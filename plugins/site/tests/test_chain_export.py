"""What the exporter writes for chains, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pupila import Artifact, Dataset, PupilaError
from pupila.artifact import Threshold
from pupila.evaluator import evaluate
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import colour_teacher, disc_locator, ignore_progress

Run = Callable[..., Artifact]
NAMES = ("filter", "locator", "classifier")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(built: Path, chain: Artifact, stages: Any, photographs: Dataset, run: Run) -> Artifact:
    other = run("chain", *stages[1:], size=128)
    return run("site", chain, other, data=photographs, names=("whole", "unfiltered"))


@pytest.fixture(scope="module")
def content(site: Artifact) -> dict[str, Any]:
    return json.loads((site.path / "site.json").read_text())


def test_the_stages_of_a_chain_stand_in_its_entry(content: dict[str, Any], chain: Artifact):
    entry, other = content["models"]
    about = json.loads((chain.path / "chain.json").read_text())
    assert (content["task"], content["chained"], content["filter"]) == (
        "classification",
        True,
        None,
    )
    assert [entry[name]["name"] for name in NAMES] == [f"whole: {name}" for name in NAMES]
    assert (entry["width"], entry["height"], other["width"]) == (256, 256, 128)
    assert entry["routes"] == about["routes"] == {"photograph": "locator", "crop": "classifier"}
    assert (entry["presentFrom"], entry["margin"]) == (about["present_from"], about["margin"])
    assert (entry["filter"]["kind"], entry["filter"]["threshold"]) == ("softmax", None)
    assert (entry["locator"]["kind"], entry["locator"]["size"]) == ("heat-map", [6, 9, 4])
    assert entry["bytes"] == sum(entry[name]["bytes"] for name in NAMES)
    assert (other["filter"], other["routes"]) == (None, {})


def test_the_files_of_a_stage_are_copied_once_and_unchanged(
    site: Artifact, content: dict[str, Any], stages: tuple[Artifact, ...]
):
    entry, other = content["models"]
    for name, model in zip(NAMES, stages, strict=True):
        copied = (site.path / entry[name]["file"]).read_bytes()
        assert copied == model.file(".tflite").read_bytes()
    assert [other[name]["file"] for name in NAMES[1:]] == [
        entry[name]["file"] for name in NAMES[1:]
    ]
    assert len([*(site.path / "models").iterdir()]) == len(NAMES)


def test_figures_and_threshold_are_those_of_the_chain_on_whole_photographs(
    content: dict[str, Any], chain: Artifact, photographs: Dataset, tmp_path: Path
):
    metrics = evaluate(
        chain,
        photographs,
        positive="blue",
        specificity=0.85,
        predictions=Predictions(tmp_path),
        progress=ignore_progress,
        latency_repeats=1,
    ).metrics
    entry = content["models"][0]
    assert metrics.auc and metrics.point
    assert entry["auc"]["value"] == metrics.auc.value == 1
    assert (entry["positive"], entry["threshold"]) == ("blue", metrics.point.threshold)


def test_the_threshold_that_ships_with_the_filter_comes_along(
    built: Path, stages: tuple[Artifact, ...], store: Store, photographs: Dataset, run: Run
):
    image_filter, *others = stages
    with store.draft() as folder:
        shutil.copy(image_filter.file(".tflite"), folder)
        threshold = Threshold(positive="photograph", value=0.25, chosen_on="nothing")
        fields = dict(image_filter.record) | {"threshold": threshold}
        del fields["files"]
        strict = store.add(folder, **fields)
    chain = run("chain", strict, *others, photograph="photograph", size=128)
    (entry,) = run("site", chain, data=photographs).record.measured["models"]
    assert entry["filter"]["threshold"] == {"positive": "photograph", "value": 0.25}


def test_a_chain_with_a_stage_that_browsers_do_not_run_is_refused(
    built: Path, store: Store, stages: tuple[Artifact, ...], photographs: Dataset, run: Run
):
    chain = run("chain", disc_locator(store), stages[2], size=128)
    with pytest.raises(
        PupilaError, match=r"The locator of the chain 'whole' has the format keras, and the page"
    ):
        run("site", chain, data=photographs, names=("whole",))


@pytest.mark.long
def test_a_stage_with_8_bit_input_and_output_is_refused_with_advice(
    built: Path, stages: tuple[Artifact, ...], photographs: Dataset, run: Run
):
    *others, classifier = stages
    small = run("quantize-int8", classifier, io_type="int8", calibration_images=6, data=photographs)
    chain = run("chain", *others, small, photograph="photograph", size=128)
    with pytest.raises(PupilaError, match=r"takes or returns int8.*`io_type: float`"):
        run("site", chain, data=photographs)


def test_a_chain_beside_a_single_model_is_refused(
    built: Path, chain: Artifact, stages: tuple[Artifact, ...], photographs: Dataset, run: Run
):
    with pytest.raises(PupilaError, match=r"'a' is a chain and 'b' is a single model, and a page"):
        run("site", chain, stages[2], data=photographs, names=("a", "b"))


def test_a_chain_that_was_not_evaluated_is_not_shown(
    built: Path, store: Store, stages: tuple[Artifact, ...], photographs: Dataset, run: Run
):
    classifier = run("export-tflite", colour_teacher(store, classes=("cold", "warm")))
    chain = run("chain", stages[1], classifier, size=128)
    with pytest.raises(PupilaError, match=r"without its figures: it must tell the data's classes"):
        run("site", chain, data=photographs)
