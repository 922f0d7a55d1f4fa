"""`pupila evaluate`: models on images in whatever form, beside a teacher."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from command_line import run_pupila
from PIL import Image

from pupila.artifact import Artifact
from pupila.errors import PupilaError
from pupila.testing import colour_teacher, draw_colours, save_scaled_teacher
from pupila_flows.cli.evaluate import parse_mapping
from pupila_flows.run.evaluate_models import EvaluatedModel, EvaluationRequest, evaluate_models
from pupila_flows.run.evaluation_text import not_compared_lines
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class Clinic:
    """Pictures of two colours, a teacher and two pupils."""

    workspace: Workspace
    images: Path
    teacher: Artifact
    weak: Artifact
    """Leans to red."""
    blind: Artifact

    def file(self, artifact: Artifact) -> Path:
        (file,) = artifact.path.glob("*.keras")
        return file


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    folder = tmp_path_factory.mktemp("clinic")
    workspace, elsewhere = (
        Workspace.at(folder / "workspace"),
        Workspace.at(folder / "elsewhere").store,
    )
    return Clinic(
        workspace,
        draw_colours(folder / "images"),
        colour_teacher(elsewhere),
        colour_teacher(elsewhere, slope=0.5, bias=2.5),
        colour_teacher(elsewhere, slope=0.0),
    )


@pytest.mark.long
def test_a_model_below_chance_is_warned_of_with_the_order_that_would_reach_more(clinic: Clinic):
    def evaluated(model: Path, *classes: str) -> EvaluatedModel:
        asked = EvaluationRequest((model,), clinic.images, classes=classes or None)
        (model_result,) = evaluate_models(clinic.workspace, asked).models
        return model_result

    file = clinic.file(clinic.teacher)
    assert evaluated(file).warnings == []
    turned = evaluated(file, "red", "blue")
    metrics = turned.result.figures.metrics
    assert metrics and metrics.auc and metrics.auc.value == 0
    assert turned.warnings == [
        f"{file.name} is not shown to be above chance on 24 test images (12 red, 12 blue): AUC "
        "0.000, p = 1 in the one-sided rank test, wanted 0.025. With the classes in the order "
        "blue, red it would reach 1.000: give `--classes blue,red`."
    ]


@pytest.mark.slow
def test_a_model_of_scaled_pixels_is_evaluated_with_the_scaling_named(
    clinic: Clinic, tmp_path: Path
):
    file = save_scaled_teacher(tmp_path / "scaled.keras")
    asked = EvaluationRequest((file,), clinic.images, preprocess="scale")
    (evaluated,) = evaluate_models(clinic.workspace, asked).models
    metrics = evaluated.result.figures.metrics
    assert metrics and metrics.accuracy.value == 1


def test_an_artifact_takes_no_scaling(clinic: Clinic):
    asked = EvaluationRequest((clinic.teacher.path,), clinic.images, preprocess="caffe")
    with pytest.raises(PupilaError, match="preprocess: the artifact's model takes raw RGB 0"):
        evaluate_models(clinic.workspace, asked)


@pytest.mark.long
def test_several_models_are_compared_with_a_teacher_by_group_into_a_csv(
    clinic: Clinic, tmp_path: Path
):
    rows = [
        (path, {"blue": "BLUE", "red": "rouge"}[path.parent.name], "north" if row % 2 else "south")
        for row, path in enumerate(sorted((clinic.images / "test").glob("*/*.png")))
    ]
    manifest, broken, answers = (tmp_path / name for name in ("m.csv", "bad.png", "answers.csv"))
    broken.write_text("no image")
    with manifest.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "site"])
        writer.writerows([*rows, (broken, "rouge", "north")])
    models = [clinic.weak.path, clinic.blind.path]
    options = ["--against", clinic.teacher.path, "--map", "Rouge=red", "--group", "site"]
    options += ["--csv", answers, "--json", "-w", clinic.workspace.root]
    done = run_pupila(tmp_path, "evaluate", *models, manifest, *options)
    result = json.loads(done.stdout)
    teacher, weak, blind = result["models"]
    assert result["teacher"] == teacher["name"]
    assert [Path(file["path"]).name for file in result["images"]["skipped"]] == ["bad.png"]
    assert teacher["differences"] == {} and teacher["figures"]["fidelity"] is None
    assert set(weak["differences"]) == {"accuracy", "auc"}  # no images choose a threshold
    assert weak["not_compared"] == ["sensitivity", "specificity"]
    assert weak["differences"]["accuracy"]["value"] < 0
    assert weak["figures"]["fidelity"]["correlation"]["value"] > 0.95
    assert weak["figures"]["fidelity"]["labels"]["value"] < 1
    assert blind["figures"]["fidelity"]["correlation"]["value"] == 0
    assert set(weak["groups"]["site"]) == {"north", "south"}
    assert weak["groups"]["site"]["north"]["images"] == 12
    assert weak["measurement"]["cost"]["size_bytes"] > 0
    with answers.open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 24
    assert {line["label"] for line in lines} == {"blue", "red"}
    right = np.mean([line["label"] == line[weak["name"]] for line in lines])
    assert right == pytest.approx(weak["figures"]["metrics"]["accuracy"]["value"])
    probabilities = [float(lines[0][f"{weak['name']}: {name}"]) for name in ("blue", "red")]
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)


@pytest.mark.long
def test_what_cannot_be_compared_is_told_once_with_its_reason(clinic: Clinic, tmp_path: Path):
    models = (clinic.weak.path, clinic.blind.path)

    def lines(images: Path) -> list[str]:
        evaluated = evaluate_models(
            clinic.workspace, EvaluationRequest(models, images, clinic.teacher.path)
        )
        return not_compared_lines(evaluated)

    both = ", ".join(path.name for path in models)
    assert lines(clinic.images / "test") == [
        f"{both}: no difference of sensitivity, specificity, as that needs thresholds that "
        f"validation images chose for both; data with a split `validation` has some."
    ]
    alone = tmp_path / "there"
    shutil.copytree(clinic.images / "test" / "red", alone / "Red")
    assert lines(alone) == [
        f"{both}: no difference of AUC, sensitivity, specificity, as that needs images of all "
        f"classes."
    ]
    assert lines(clinic.images) == lines(alone / "Red") == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("folder", "images", "labelled"), [("test", 24, True), ("test/red", 12, False)]
)
def test_a_folder_is_taken_as_it_is(clinic: Clinic, folder: str, images: int, labelled: bool):
    asked = EvaluationRequest(
        (clinic.weak.path,), clinic.images / folder, against=clinic.teacher.path
    )
    evaluated = evaluate_models(clinic.workspace, asked)
    (weak,) = evaluated.models
    assert weak.result.figures.images == images
    assert (weak.result.figures.metrics is not None) == labelled
    assert weak.result.figures.fidelity and weak.result.figures.fidelity.images == images
    assert bool(evaluated.differences(weak.name)) == labelled


@pytest.mark.long
def test_one_class_alone_leaves_out_what_needs_both(clinic: Clinic, tmp_path: Path):
    class_folder = tmp_path / "there" / "Red"
    class_folder.mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (32, 32), (150, 80, 80 - number)).save(class_folder / f"{number}.png")
    asked = EvaluationRequest((clinic.weak.path,), class_folder.parent, against=clinic.teacher.path)
    evaluated = evaluate_models(clinic.workspace, asked)
    metrics = evaluated.models[0].result.figures.metrics
    assert metrics and metrics.auc is None and metrics.point is None
    assert metrics.accuracy.value == 1
    assert set(evaluated.differences(evaluated.models[0].name)) == {"accuracy"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ("site",)}, "no column 'site' to group by"),
        ({"split": "tset"}, r"no images of the split 'tset'.*Did you mean 'test'"),
        ({"renamed": {"blue": "green"}}, "map is 'green', which is not one of the classes"),
        ({"positive": "green"}, "positive is 'green', which is not one of the classes"),
        ({"classes": ("red", "blue")}, "is not what the artifact's record says"),
    ],
)
def test_a_mistake_is_one_sentence(clinic: Clinic, changes: dict[str, object], message: str):
    asked = EvaluationRequest(models=(clinic.weak.path,), data=clinic.images, **changes)  # pyright: ignore[reportArgumentType]
    with pytest.raises(PupilaError, match=message):
        evaluate_models(clinic.workspace, asked)


def test_images_without_labels_need_a_teacher_and_files_their_classes(clinic: Clinic):
    there = clinic.images / "test" / "red"
    with pytest.raises(PupilaError, match="name a teacher with `--against`"):
        evaluate_models(clinic.workspace, EvaluationRequest((clinic.weak.path,), there))
    file = clinic.file(clinic.weak)
    with pytest.raises(PupilaError, match="name the class of each output column"):
        evaluate_models(
            clinic.workspace, EvaluationRequest((file,), there, against=clinic.teacher.path)
        )


@pytest.mark.parametrize("text", ["a", "=b", "a=", " = "])
def test_a_map_says_label_and_class(text: str):
    assert parse_mapping("POAG = glaucoma") == ("POAG", "glaucoma")
    with pytest.raises(PupilaError, match="names no class"):
        parse_mapping(text)
