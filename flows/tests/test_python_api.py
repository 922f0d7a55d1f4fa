"""The Python API: what the command line does, from a program."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image
from pydantic import BaseModel

import pupila_flows
from pupila.testing import colour_teacher, draw_colours
from pupila_flows import Model, PupilaError, Recipe, Result, evaluate, load, run
from pupila_flows.api import html
from pupila_flows.api.progress import Notebook
from pupila_flows.api.recipe import PATHS, write_recipe
from pupila_flows.recipe.schema import Recipe as Schema
from pupila_flows.recipe.schema import model_in
from pupila_flows.recipe.source import parse_source, write_text
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace


def test_the_public_names_are_one_list_and_cost_nothing_until_they_are_used():
    tree = ast.parse(Path(pupila_flows.__file__).read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = [
        name.name
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    assert sorted(pupila_flows.__all__) == sorted(typed) == sorted(dir(pupila_flows))
    program = """
import sys, pupila_flows
print(sorted({"pandas", "pydantic", "numpy", "prefect", "tensorflow"} & set(sys.modules)))
import pupila_flows.run.given_models
from pupila_flows import *
print(callable(run), sorted({"prefect", "tensorflow", "great_expectations"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["[]", "True []"], ran.stderr


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        _ = pupila_flows.runs  # pyright: ignore - it does not exist


def test_a_recipe_in_code_takes_every_section_of_a_file():
    assert set(inspect.signature(Recipe).parameters) == set(Schema.model_fields)


STEPS: dict[str, Any] = {"tflite": {"use": "export-tflite", "from": "big"}}
COLOURS: dict[str, Any] = {"name": "colours", "data": {"path": "images"}, "steps": STEPS}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"pth": "images"}}, "data.pth is not a known field. Did you mean 'path'?"),
        ({"name": "A"}, "name is 'A': must be at most 64 lower-case letters"),
        ({"steps": {}}, "steps: needs 1 or more entries, and has 0."),
        ({"seed": "one"}, "seed is 'one': must be a whole number."),
        ({"data": {"path": object()}}, "In the recipe, 'data' is"),
    ],
)
def test_a_mistake_in_a_recipe_names_the_setting_and_no_line(
    sections: dict[str, Any], message: str
):
    with pytest.raises(PupilaError) as refused:
        Recipe(**(COLOURS | sections))
    assert str(refused.value).startswith(message) or f"\n{message}" in str(refused.value)
    assert "recipe:1" not in str(refused.value)


def test_what_a_run_finds_in_a_recipe_names_the_setting(tmp_path: Path):
    recipe = Recipe(name="colours", data={"path": tmp_path / "nowhere"}, steps=STEPS)
    with pytest.raises(PupilaError) as refused:
        run(recipe, workspace=tmp_path / "workspace")
    first, *_ = str(refused.value).splitlines()
    assert first == f"data.path: no images at {str(tmp_path / 'nowhere')!r}: give an existing path."
    assert ".yaml" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["1e-3", "010", "yes", "1:30", "0o10", ".5", "~", "<<", "2024-01-01", "", "a: b", "ü"]
)
def test_a_text_in_a_recipe_stays_a_text(text: str):
    value = {"name": text, "list": [text, 1e-5, None, True], text: {"1": 2}}
    assert parse_source(Path("recipe"), write_text(value)).value == value


def test_relative_paths_of_a_recipe_are_those_of_the_folder_where_it_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ELSEWHERE", "/elsewhere")
    recipe = Recipe(
        name="colours",
        data={"path": "${NOWHERE:-images}"},
        teachers={"big": {"path": "teacher:big"}, "other": {"path": "${ELSEWHERE}/other.keras"}},
        steps=STEPS,
        publish={"to": "s3://bucket/models"},
    )
    monkeypatch.chdir(tmp_path)
    written = Recipe.from_file(write_recipe(recipe, Workspace.at(tmp_path / "workspace"))).to_yaml()
    value = parse_source(Path("recipe"), written).value
    assert value["data"]["path"] == str(tmp_path / "here" / "images")
    assert value["teachers"]["big"]["path"] == "teacher:big"
    assert value["teachers"]["other"]["path"] == "${ELSEWHERE}/other.keras"
    assert value["publish"]["to"] == "s3://bucket/models"


def paths_in(model: type[BaseModel], location: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the location of every path in a section, `*` for names that a user gives."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        names = "dict[" in str(field.annotation)
        here = (*location, name)
        if inner:
            yield from paths_in(inner, (*here, "*") if names else here)
        elif name in ("path", "folder") or location[-1:] == ("tls",):
            yield here


def test_every_path_of_a_recipe_is_known_to_be_one():
    paths = {(*where[:-1], "*") if "tls" in where else where for where in paths_in(Schema)}
    assert len(paths) > 4
    assert paths <= set(PATHS)


def test_a_result_is_tables_paths_and_a_page(run: RunResult, run_folder: Path):
    result = Result(run_folder, run)
    entry = next(entry for entry in run.entries if entry.kind == "step" and entry.evaluation)
    assert entry.evaluation
    row = result.models.loc[entry.name]
    accuracy = entry.evaluation.metrics.accuracy
    assert [row["accuracy"], row["accuracy_low"], row["accuracy_high"], row["size_bytes"]] == [
        accuracy.value,
        accuracy.low,
        accuracy.high,
        entry.evaluation.cost.size_bytes,
    ]
    assert list(result.models.index) == [entry.name for entry in run.entries]
    page = result._repr_html_()  # pyright: ignore - what notebooks call
    assert f"<h3>{result.headline}</h3>" in page
    assert f">{entry.name}</td>" in page
    with pytest.raises(PupilaError, match="has no model 'nothing'"):
        result.model_path("nothing")


def test_a_past_result_is_read_from_the_folder_that_is_latest_now(run: RunResult, tmp_path: Path):
    folder, latest = tmp_path / "20240131T100000Z", tmp_path / "latest"
    folder.mkdir()
    (folder / "result.json").write_text(run.model_dump_json())
    latest.symlink_to(folder)
    result = Result.read(str(latest))
    assert (result.path, result.name) == (folder.resolve(), run.name)
    assert Result.read(latest).path == result.path


def test_a_folder_without_a_result_is_refused(tmp_path: Path):
    folder = tmp_path / "nowhere"
    with pytest.raises(PupilaError) as refused:
        Result.read(str(folder))
    assert str(refused.value) == (
        f"No result of a run in {str(folder)!r} (No such file or directory): give the folder of a "
        "finished run, as in '.pupila/runs/clinic/latest'."
    )
    folder.mkdir()
    for damaged in (b"", b'{"name": ', b"\xff"):
        (folder / "result.json").write_bytes(damaged)
        with pytest.raises(PupilaError, match=r"result\.json' was written by another version"):
            Result.read(folder)


def test_what_others_have_written_is_text_in_a_notebook():
    rows = [{"<b>name</b>": "<script>alert(1)</script>\x1b[2J"}]
    page = html.table(rows) + html.heading("a & b") + html.paragraphs(["<i>"])
    assert "<script>" not in page and "<b>" not in page and "<i>" not in page
    assert "\x1b" not in page and "a &amp; b" in page
    output = Drawn()
    shown = Notebook(output)
    shown.finish("<img>", "[red]failed[/]")
    shown.update("<img>", 1, 2, "<b>\nmore")
    shown.end()
    assert output.pages and not any("<img>" in page for page in output.pages)
    assert output.pages[-1] == "<small>1 jobs in 0 s, &lt;img&gt; failed</small>"


class Drawn:
    """Keeps what is drawn in a notebook."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.pages.append(str(data["text/html"]))


@dataclass(frozen=True)
class Ran:
    """A small run, and what it changed in this process."""

    result: Result
    images: Path
    workspace: Path
    variables: set[tuple[str, str]]
    children: list[list[str]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("python")
    images = draw_colours(folder / "images")
    teacher = colour_teacher(Workspace.at(folder / "teachers").store)
    recipe = Recipe(
        name="colours",
        data={"path": images},
        teachers={"big": {"path": teacher.path}},
        steps={"tflite": {"use": "export-tflite", "from": "big"}},
        gate={"margins": {"accuracy": 0.2}, "limits": {"size_bytes": 10}, "fidelity": None},
    )
    before = dict(os.environ)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        result = run(recipe, workspace=folder / "workspace")
    changed = set(before.items()) ^ set(os.environ.items())
    left = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    return Ran(result, images, folder / "workspace", changed, left)


@pytest.mark.slow
def test_a_run_leaves_no_process_and_no_variable_and_its_verdict_is_a_result(ran: Ran):
    assert (ran.variables, ran.children) == (set(), [])
    assert (ran.result.verdict, ran.result.passed) == ("fail", False)
    failed = ran.result.gate.query("verdict == 'fail'")
    assert failed["condition"].tolist() == ["size_bytes"]
    assert ran.result.report and "10" in ran.result.report.read_text()
    assert set(ran.result.paths) == {"big", "tflite"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["big", "tflite"])
def test_a_model_answers_images_as_its_run_did(ran: Ran, name: str):
    details = ran.result.details
    entry = next(entry for entry in details.entries if entry.name == name)
    assert entry.evaluation
    stored = np.load(entry.evaluation.probabilities)
    model = load(ran.result.model_path(name), workspace=ran.workspace)
    answered = model.predict(details.test_images)
    assert answered.index.tolist() == list(details.test_images)
    assert np.array_equal(np.asarray(answered[list(details.data.classes)], np.float32), stored)
    right = answered["answer"] == [Path(path).parent.name for path in details.test_images]
    assert right.mean() == entry.evaluation.metrics.accuracy.value


@pytest.mark.slow
def test_arrays_and_files_get_the_same_answers_in_the_order_they_are_given_in(
    ran: Ran, tmp_path: Path
):
    files = sorted((ran.images / "test" / "red").iterdir())[:3]
    model: Model = load(ran.result.model_path("tflite") / "model.tflite", workspace=ran.workspace)
    assert model.digest == load(model.digest, workspace=ran.workspace).digest
    of_files = model.predict([*files[::-1], files[0]])
    assert of_files.index.tolist() == [*map(str, files[::-1]), str(files[0])]
    arrays = np.stack([np.asarray(Image.open(file)) for file in files])
    of_arrays = model.predict(arrays)
    assert of_arrays.index.tolist() == [0, 1, 2]
    pd.testing.assert_frame_equal(
        of_arrays.reset_index(drop=True), of_files[2::-1].reset_index(drop=True)
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGBA", (8, 4), (200, 0, 90, 128)).save(tmp_path / "turned.png", exif=turned)
    Image.new("I;16", (8, 4), 32896).save(tmp_path / "grey.png")
    others = [tmp_path / "turned.png", tmp_path / "grey.png"]
    opened = model.predict([Image.open(file) for file in others])
    pd.testing.assert_frame_equal(
        opened.reset_index(drop=True), model.predict(others).reset_index(drop=True)
    )
    (tmp_path / "broken.png").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"broken\.png"):
        some = model.predict([tmp_path / "broken.png", files[0]])
    assert some["answer"].isna().tolist() == [True, False]


@pytest.mark.slow
def test_models_are_compared_with_a_teacher_as_by_the_command(ran: Ran):
    small, big = (ran.result.model_path(name) for name in ("tflite", "big"))
    compared = evaluate(small, ran.images, against=big, workspace=ran.workspace)
    assert compared.models.index.tolist() == ["big", "tflite"]
    assert compared.models["accuracy"]["tflite"] == ran.result.models["accuracy"]["tflite"]
    assert compared.differences["metric"].tolist()[:2] == ["accuracy", "auc"]
    assert (compared.answers["label"] == compared.answers["tflite"]).all()
    page = compared._repr_html_()  # pyright: ignore - what notebooks call
    assert "against big" in page and "not shown to differ" in page


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from pupila_flows import run
import psutil

def interrupt():
    while len(psutil.Process().children(recursive=True)) < 2:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
threading.Thread(target=interrupt, daemon=True).start()
try:
    run(sys.argv[1], workspace=sys.argv[2])
except KeyboardInterrupt:
    print(psutil.Process().children(recursive=True))
"""


@pytest.mark.slow
def test_an_interrupted_run_has_ended_when_the_interrupt_arrives(ran: Ran, tmp_path: Path):
    (recipe,) = (ran.workspace / "recipes").iterdir()
    command = [sys.executable, "-c", INTERRUPTED, str(recipe), str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == "[]\n", done.stderr
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []


def test_a_model_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(PupilaError, match="No model at 'nowhere': give the folder of an artifact"):
        load("nowhere", workspace=tmp_path)
    with pytest.raises(PupilaError, match="No artifact"):
        load("0" * 64, workspace=tmp_path)


def test_an_image_of_a_damaged_file_is_refused(tmp_path: Path):
    workspace = Workspace.at(tmp_path)
    artifact = colour_teacher(workspace.store)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-900])
    with pytest.raises(PupilaError, match=r"^Image 0 cannot be read: .*truncated.*\. Open another"):
        Model(artifact.path, artifact, workspace).predict(Image.open(tmp_path / "cut.png"))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "There are no images to answer"),
        ("nowhere.png", "No image at 'nowhere.png'"),
        (np.zeros((4, 4), np.uint8), r"Image 0 is uint8 of shape \(4,\)"),
        (np.zeros((4, 4, 3)), r"Image 0 is float64 of shape \(4, 4, 3\): give raw RGB"),
    ],
)
def test_what_is_not_an_image_is_refused_before_a_model_is_opened(
    images: Any, message: str, tmp_path: Path
):
    workspace = Workspace.at(tmp_path)
    artifact = colour_teacher(workspace.store)
    with pytest.raises(PupilaError, match=message):
        Model(artifact.path, artifact, workspace).predict(images)
