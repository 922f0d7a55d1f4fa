"""Single commands: what they are given is checked before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pupila.errors import PupilaError
from pupila_flows.execution.child import ChildFailed
from pupila_flows.results import DataSummary, Entry, RunResult
from pupila_flows.run import single
from pupila_flows.run.evaluate_models import EvaluationRequest, evaluate_models
from pupila_flows.run.given_models import parse_classes
from pupila_flows.workspace import Workspace


@pytest.mark.parametrize(
    ("text", "classes"),
    [(None, None), ("ill,well", ("ill", "well")), (" well , ill ", ("well", "ill"))],
)
def test_classes_are_names_with_commas(text: str | None, classes: tuple[str, ...] | None):
    assert parse_classes(text) == classes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "needs 2 or more entries, and has 1|a class has an empty name"),
        ("square", "needs 2 or more entries, and has 1"),
        ("square,,triangle", "a class has an empty name"),
        ("square,", "a class has an empty name"),
        ("square,circle,square", "class 'square' is named twice"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(text: str, reason: str):
    with pytest.raises(PupilaError, match=rf"The classes \[.*\] are not valid: ({reason})\."):
        parse_classes(text)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for label in ("circle", "square", "triangle"):
        file = tmp_path / "images" / "test" / label / "0.png"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (40, 40), (len(label), 0, 0)).save(file)
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("classes", "output", "positive", "message"),
    [
        (None, "sofmax", None, "output is 'sofmax': give one of .* Did you mean 'softmax'?"),
        (None, "sigmoid", None, "The classes .*: a sigmoid tells two classes apart, not 3"),
        (("square",), "softmax", None, r"The classes \['square'\] .*needs 2 or more entries"),
        (("square", "square"), "softmax", None, "class 'square' is named twice"),
        (None, "softmax", "sqare", "positive is 'sqare', .* Did you mean 'square'?"),
    ],
)
def test_an_evaluation_that_cannot_be_made_is_refused_first(
    images: Path,
    tmp_path: Path,
    classes: tuple[str, ...] | None,
    output: str,
    positive: str | None,
    message: str,
):
    workspace, model = Workspace.at(tmp_path / "workspace"), tmp_path / "nowhere.keras"
    with pytest.raises(PupilaError, match=message):
        evaluate_models(
            workspace,
            EvaluationRequest((model,), images, classes=classes, output=output, positive=positive),
        )


FAILED = RunResult(
    name="failed",
    recipe_path="recipe.yaml",
    recipe_text="name: failed",
    seed=0,
    synthetic=False,
    started="2024-01-31T10:00:00+00:00",
    seconds=1,
    data=DataSummary(
        path="images",
        fingerprint="0" * 64,
        classes=("ill", "well"),
        positive="ill",
        counts={"test": {"ill": 1, "well": 1}},
        checks=(),
        data_docs=None,
    ),
    entries=(Entry(name="small", kind="step", uses="train", error="It had no memory left."),),
    specificity=0.85,
    machine="a machine",
    versions={},
)


def test_a_report_is_drawn_again_and_the_old_one_stays_until_then(tmp_path: Path):
    workspace, folder = Workspace.at(tmp_path / "workspace"), tmp_path / "run"
    folder.mkdir()
    result, page = folder / "result.json", folder / "report.html"
    page.write_text("old")
    result.write_text("no result")
    with pytest.raises(ChildFailed):
        single.report(workspace, str(folder))
    assert page.read_text() == "old"
    result.write_text(FAILED.model_dump_json())
    for _ in range(2):
        page.write_text("old")
        assert single.report(workspace, str(folder)) == page
        assert "It had no memory left." in page.read_text()
