"""Artifacts as teachers, filters among them, and steps with excluded images."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from pupila import Artifact, PupilaError, manifest
from pupila.artifact import Origin, Threshold
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store
from pupila.testing import draw_images, keras_artifact, read_images
from pupila_flows.data import exclude
from pupila_flows.data.reading import read_data
from pupila_flows.data.validation.screening import check_probabilities
from pupila_flows.execution.job import JobResult
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.check_data import CheckedData
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import expand
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.progress import Silent, current_display
from pupila_flows.recipe.source import RecipeError
from pupila_flows.run import prepare
from pupila_flows.run.context import Run
from pupila_flows.run.evaluate_models import EvaluationRequest, evaluate_models
from pupila_flows.run.recall import Recall
from pupila_flows.workspace import Workspace

Stored = Callable[..., Artifact]

RECIPE = """\
name: gated
data: {path: data.csv}
teachers:
  big: {path: BIG}
  gate: {path: GATE}
steps:
  pupil: {use: distill, from: big, with: {student: conv-32-64-8}}
  lite: {use: export-tflite, from: pupil}
  page: {use: site, from: [lite, gate], with: {filter: fundus}}
"""

POSITIVE = "with: {positive"
SET = f"set: {{use: threshold, from: lite, {POSITIVE}"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of drawn images of three sources; what device took one tells its class."""
    folder = tmp_path_factory.mktemp("images")
    dataset = read_images(draw_images(folder / "drawn", images=6), folder / "cache")
    with (folder / "data.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split", "source", "device"])
        for row in dataset.frame.to_dict("records"):
            number = int(Path(row["path"]).stem)
            device = "old" if row["label"] == "square" else "new"
            source = ["here", "there", "elsewhere"][number % 3]
            writer.writerow([row["path"], row["label"], row["split"], source, device])
    return folder / "data.csv"


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Store an artifact, in a workspace of its own, that no runtime was asked to open."""

    def add(format: str = "tflite", classes: tuple[str, ...] = ("fundus", "other")) -> Artifact:
        store = Store(tmp_path / "elsewhere" / "store")
        with store.draft() as folder:
            (folder / f"model.{format}").write_bytes(b"weights")
            return store.add(
                folder,
                format=format,
                input=InputSpec(height=32, width=32),
                output=OutputSpec(kind="softmax", classes=classes),
                origin=Origin(plugin="tiny", distribution="tiny", version="1"),
                threshold=Threshold(positive=classes[0], value=0.9, chosen_on="validation"),
            )

    return add


@pytest.fixture
def read(tmp_path: Path, images: Path, stored: Stored) -> Callable[..., Plan]:
    """Read the recipe with changes, `(old, new)` each; with paths of artifacts in it."""
    shutil.copy(images, tmp_path / "data.csv")
    (tmp_path / "model.keras").write_bytes(b"PK")
    paths = {"BIG": stored("keras", ("square", "triangle")).path, "GATE": stored().path}

    def plan(*changes: tuple[str, str]) -> Plan:
        text = RECIPE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        for name, path in paths.items():
            text = text.replace(name, str(path))
        (tmp_path / "recipe.yaml").write_text(text)
        return read_plan(tmp_path / "recipe.yaml")

    return plan


def test_an_artifact_is_a_teacher_with_what_its_record_says(
    read: Callable[..., Plan], tmp_path: Path
):
    plan = read(("BIG}", "BIG, classes: [square, triangle], output: softmax}"))
    big, gate = plan.teachers
    assert (big.format, big.spec.classes) == ("keras", ("square", "triangle"))
    assert (gate.format, gate.spec.classes) == ("tflite", ("fundus", "other"))
    assert gate.artifact and gate.artifact.record.threshold
    workspace = Workspace.at(tmp_path / "workspace")
    job = ImportTeacher.of(workspace, gate)
    assert isinstance(job, AdoptArtifact)
    adopted = workspace.store.adopt(job.path)
    assert (adopted.digest, adopted.record) == (gate.artifact.digest, gate.artifact.record)


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        (("BIG}", "BIG, classes: [triangle, square]}"), 4, ["record says, ['square', 'triangle']"]),
        (("GATE}", "GATE, output: sigmoid}"), 5, ["output: 'sigmoid' is not", "'softmax'"]),
        (
            ("BIG}", "model.keras}"),
            4,
            ["teachers.big.classes is missing."],
        ),
        (
            ("from: big", "from: gate"),
            5,
            ["since 'pupil' (distill) works on it with these images"],
        ),
        (
            (
                "page: {use: site, from: [lite, gate], with: {filter: fundus}}",
                "int8: {use: quantize-int8, from: gate}",
            ),
            5,
            ["['fundus', 'other']", "['square', 'triangle']", "'int8' (quantize-int8) works on it"],
        ),
        (
            (
                "page: {use: site, from: [lite, gate], with: {filter: fundus}}",
                "half: {use: quantize-float16, from: gate}",
            ),
            5,
            ["since what 'half' (quantize-float16) makes of it is evaluated on these images"],
        ),
        (("[lite, gate], with: {filter: fundus}", "lite"), 5, ["as no step works on it"]),
        (
            ("data.csv}", "data.csv, screen: {teacher: gat, accepts: fundus}}"),
            2,
            ["'gat' is not a teacher. Did you mean 'gate'?"],
        ),
        (
            ("data.csv}", "data.csv, screen: {teacher: gate, accepts: fundas}}"),
            2,
            ["'gate' tells ['fundus', 'other'] apart. Did you mean 'fundus'?"],
        ),
        (
            ("data.csv}", "data.csv, screen: {teacher: gate, acepts: fundus}}"),
            2,
            ["data.screen.acepts is not a known field. Did you mean 'accepts'?"],
        ),
        (("from: big,", "from: big, exclude: {sauce: [here]},"), 7, ["mean 'source'?", "device"]),
        (
            ("from: big,", "from: big, exclude: {source: [here, ther]},"),
            7,
            ["steps.pupil.exclude: no image has source 'ther'", "Did you mean 'there'?"],
        ),
        (
            ("from: big,", "from: big, exclude: {device: [old]},"),
            7,
            ["no image of 'square' would be left in the split 'train'"],
        ),
        (("from: big,", "from: big, exclude: {split: [train]},"), 7, ["no column 'split' beside"]),
        (("from: pupil", "from: pupil, exclude: {source: [here]}"), 8, ["uses no images"]),
        (("from: big,", "from: big, exclude: {source: here},"), 7, ["must be a list"]),
        (("from: big,", "from: big, exclude: {source: []},"), 7, ["needs 1 or more"]),
        (
            ("  page:", f"  {SET}: sqare}}}}\n  page:"),
            9,
            ["positive is 'sqare', which is not one of", "Did you mean 'square'?"],
        ),
        (
            ("  page:", f"  one: {{use: one-class, from: big, {POSITIVE}: triangel}}}}\n  page:"),
            9,
            ["positive is 'triangel', which is not one of", "Did you mean 'triangle'?"],
        ),
        (
            (
                RECIPE[RECIPE.index("data:") :],
                RECIPE[RECIPE.index("data:") :].replace("csv}", "csv, classes: [square, a, b]}")
                + f"  one: {{use: one-class, from: big, {POSITIVE}: square}}}}\n",
            ),
            10,
            ["The data has 3 classes, ['square', 'a', 'b']", "label everything else alike"],
        ),
    ],
)
def test_a_mistake_is_reported_with_its_line(
    read: Callable[..., Plan], changes: tuple[str, str], line: int, words: list[str]
):
    with pytest.raises(RecipeError) as caught:
        read(changes)
    problems = [(problem.line, problem.message) for problem in caught.value.problems]
    assert any(
        number == line and all(word in message for word in words) for number, message in problems
    ), problems


def test_a_value_of_a_sweep_that_is_not_a_class_is_reported(read: Callable[..., Plan]):
    with pytest.raises(RecipeError, match=r"recipe.yaml:2: .*'triangel'.*mean 'triangle'"):
        read(
            ("  page:", f"  {SET}: square}}}}\n  page:"),
            ("name: gated", "name: gated\nsweep: {set.positive: [square, triangel]}"),
        )


def test_the_data_is_read_once_and_only_where_a_setting_speaks_of_it(
    read: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
):
    asked: list[Path] = []

    def counted(path: Path, *settings: Any, **more: Any) -> pd.DataFrame:
        asked.append(path)
        return whole(path, *settings, **more)

    whole = manifest.read
    monkeypatch.setattr(manifest, "read", counted)
    screen = ", screen: {teacher: gate, accepts: fundus}}"
    read(
        ("  page: {use: site, from: [lite, gate], with: {filter: fundus}}\n", ""),
        ("csv}", f"csv{screen}"),
    )
    assert not asked
    read(
        ("from: big,", "from: big, exclude: {source: [here]},"),
        ("data.csv}", "data.csv, hard_negatives: {label: square, images: 10}}"),
        ("  page:", f"  {SET}: square}}}}\n  page:"),
    )
    assert len(asked) == 1


def test_an_altered_artifact_is_reported_with_the_line_of_its_path(
    read: Callable[..., Plan], stored: Stored
):
    (stored().path / "model.tflite").write_bytes(b"weightz")
    with pytest.raises(RecipeError, match=r"recipe.yaml:5: .*model\.tflite was altered or lost"):
        read()


def test_a_gate_may_be_the_screen_alone(read: Callable[..., Plan]):
    plan = read(
        ("[lite, gate], with: {filter: fundus}", "lite"),
        ("data.csv}", "data.csv, screen: {teacher: gate, accepts: fundus}}"),
    )
    assert plan.bound("gate") is None
    assert plan.bound("big") == "'pupil' (distill) works on it with these images"


def test_a_step_and_its_control_are_not_shown_what_is_left_out(
    read: Callable[..., Plan], tmp_path: Path
):
    plan = read(("from: big,", "from: big, exclude: {source: [here, there]},"))
    nodes = {node.name: node for node in expand(plan)}
    dataset = read_data(plan.data, None, tmp_path / "cache")
    workspace = Workspace.at(tmp_path / "workspace")
    jobs = {
        name: RunStep.of(workspace, nodes[name], dataset) for name in ("pupil", "pupil (control)")
    }
    for name, job in jobs.items():
        seen = exclude.images_for_step(dataset, nodes[name].exclude)
        assert set(seen.frame["source"]) == {"elsewhere"}
        assert set(seen.frame["split"]) == {"train", "validation"}
        assert job.identity()["images"] == seen.fingerprint
    whole = replace(nodes["pupil"], exclude={})
    assert RunStep.of(workspace, whole, dataset).key != jobs["pupil"].key
    assert whole.made_by != nodes["pupil"].made_by
    assert nodes["lite"].exclude == {}


def test_what_is_under_the_threshold_is_listed_the_worst_first():
    probabilities = np.linspace(0.2, 0.95, 30, dtype=np.float32)[::-1]
    paths = [f"{number}.png" for number in range(30)]
    check = check_probabilities(
        probabilities, paths, teacher="gate", accepts="fundus", threshold=0.9
    )
    assert check.name == "Every image looks like 'fundus' to 'gate'"
    assert (check.severity, check.passed) == ("warning", False)
    assert check.images == tuple(paths[:9:-1])
    assert check.observed.startswith(
        "28 of 30 images have a probability below 0.9; the lowest: 0.200"
    )
    fine = check_probabilities(
        probabilities, paths, teacher="gate", accepts="fundus", threshold=0.1
    )
    assert fine.passed and not fine.images and not fine.advice


class _Messages(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def finish(self, title: str, outcome: str) -> None:
        self.lines.append((title, outcome))


class _Imported:
    """A teacher that was read, into a store from which its artifact has gone."""

    made = True
    result = JobResult(StoredArtifact(artifact="0" * 64, format="keras"))

    def wait(self) -> _Imported:
        return self


def test_a_filter_that_cannot_be_run_is_reported_at_once_and_ends_nothing(
    read: Callable[..., Plan], tmp_path: Path
):
    plan = read(("data.csv}", "data.csv, screen: {teacher: gate, accepts: fundus}}"))
    dataset = read_data(plan.data, None, tmp_path / "cache")
    workspace = Workspace.at(tmp_path / "workspace")
    run = Run(plan, workspace, dataset, expand(plan), Recall(threads=1))
    checked = CheckedData(checks=(), data_docs="index.html")
    data = checked.summary(dataset, plan.recipe.data, "data.csv")
    display, teachers = _Messages(), cast("Any", {"gate": _Imported()})
    token = current_display.set(display)
    try:
        summary = prepare.screen(run, data, teachers)
    finally:
        current_display.reset(token)
    (check,) = summary.checks
    assert (check.severity, check.passed) == ("warning", False)
    assert check.observed.startswith("'gate' was not asked: No artifact '000")
    ((title, said),) = display.lines
    assert title == "screen" and check.name in said and "was not asked" in said


@pytest.mark.slow
def test_an_artifact_is_evaluated_without_its_classes_being_given(images: Path, tmp_path: Path):
    model = keras_artifact(Store(tmp_path / "elsewhere"), ("triangle", "square"))
    workspace = Workspace.at(tmp_path / "workspace")
    (evaluated,) = evaluate_models(workspace, EvaluationRequest((model.path,), images)).models
    assert evaluated.artifact.digest == model.digest
    assert evaluated.result.figures.images == 12


def test_what_a_record_does_not_say_of_an_artifact_is_refused(
    images: Path, stored: Stored, tmp_path: Path
):
    workspace, gate = Workspace.at(tmp_path / "workspace"), stored().path
    for classes, output, said in [
        (("square", "triangle"), "softmax", r"classes: \['square', 'triangle'\] is not what"),
        (None, "sigmoid", r"output: 'sigmoid' is not what the artifact's record says"),
    ]:
        with pytest.raises(PupilaError, match=said):
            evaluate_models(
                workspace, EvaluationRequest((gate,), images, classes=classes, output=output)
            )
