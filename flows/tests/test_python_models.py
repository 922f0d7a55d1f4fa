"""`load`, `predict` and `evaluate`: what they are given, and what they show."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.requirements import CORE
from pupila.testing import colour_teacher, draw_colours
from pupila_flows import Evaluated, PupilaError, evaluate, load
from pupila_flows.data.external.reading import ExternalImages
from pupila_flows.jobs.compare_external import ExternalDifferences
from pupila_flows.results import SkippedImage
from pupila_flows.run.evaluate_models import EvaluatedModels, EvaluationRequest
from pupila_flows.workspace import Workspace


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return colour_teacher(Workspace.at(tmp_path_factory.mktemp("teacher")).store)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_colours(tmp_path_factory.mktemp("data") / "images", images=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preprocess": "scaled"}, "preprocess is 'scaled': give one of .*Did you mean 'scale'"),
        ({"classes": ("red", "")}, "The classes .* are not valid: a class has an empty name"),
        ({"classes": (1, 2)}, r"The classes \[1, 2\] are not valid: must be text"),
        ({"classes": "red", "task": "classification"}, "needs 2 or more entries, and has 1"),
        ({"task": "classificaton"}, "No task named 'classificaton'. Did you mean 'classif"),
        ({"classes": ["blue,red", "green"]}, r"classes: \['blue,red', 'green'\] is not what"),
    ],
)
def test_what_is_said_of_a_model_is_checked_alike(
    options: dict[str, Any], message: str, teacher: Artifact, images: Path, tmp_path: Path
):
    with pytest.raises(PupilaError, match=message):
        load(teacher.path, workspace=tmp_path, **options)
    with pytest.raises(PupilaError, match=message):
        evaluate(teacher.path, images, workspace=tmp_path, **options)


def test_a_task_that_an_artifact_has_not_learned_is_refused(teacher: Artifact, tmp_path: Path):
    with pytest.raises(PupilaError, match=r"task is 'localization'.*has learned classification"):
        load(teacher.path, task="pupila-localization/localization", workspace=tmp_path)


def test_options_of_an_evaluation_are_those_of_the_command_line(
    teacher: Artifact, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    requests: list[EvaluationRequest] = []

    def remember(workspace: Workspace, request: EvaluationRequest) -> None:
        del workspace
        requests.append(request)

    monkeypatch.setattr("pupila_flows.api.evaluate.evaluate_models", remember)
    for classes in ("blue, red", ["blue", "red"]):
        evaluate(
            teacher.path,
            images,
            map={1: "red"},
            groups="site",
            classes=classes,
            task=f"{CORE}/classification",
            workspace=tmp_path,
        )
    for request in requests:
        assert request.renamed == {"1": "red"}
        assert request.groups == ("site",)
        assert request.classes == ("blue", "red")
        assert request.task == "classification"


def given(rows: list[Any], evaluated: EvaluatedModels) -> list[Any]:
    del evaluated
    return rows


class Warned:
    """A model with a warning."""

    name = "small.tflite"
    warnings: ClassVar[list[str]] = ["small.tflite was trained on 12 of these images."]


def test_an_evaluation_shows_its_warnings_and_not_every_file_that_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    skipped = tuple(SkippedImage(path=f"{number}.png", reason="empty") for number in range(13))
    dataset = Dataset(pd.DataFrame({"path": []}), ("blue", "red"), tmp_path)
    read = ExternalImages("images", tmp_path, dataset, True, skipped)
    models: Any = (Warned(),)
    evaluated = Evaluated(
        EvaluatedModels(read, models, None, ExternalDifferences(by_place={}, by_group={})), ()
    )
    assert len(evaluated.warnings) == 14
    tables: dict[str, list[Any]] = {
        "model_rows": [{"name": "small"}],
        "group_rows": [],
        "not_compared_lines": ["no difference"],
    }
    for name, rows in tables.items():
        monkeypatch.setattr(f"pupila_flows.api.evaluate.{name}", partial(given, rows))
    page = evaluated._repr_html_()  # pyright: ignore - what notebooks call
    for shown in (repr(evaluated), page):
        assert "Warning: small.tflite was trained on 12 of these images." in shown
        assert shown.count("Left out: ") == 11
        assert "no difference" in shown
        assert "Left out: 9.png: empty" in shown
        assert "Warning: Left out: 3 more files that cannot be read" in shown


def fields(*contents: tuple[int, bytes]) -> bytes:
    """Return a message of protocol buffers with these numbers of fields and contents."""
    return b"".join(
        bytes([number << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content
        for number, content in contents
    )


def write_tfrecord(file: Path, image: bytes, label: str) -> Path:
    """Write an image as `tf.train.Example`; readers leave out the checksums, which are 0."""
    values = {"image": image, "label": label.encode()}
    features = [
        fields((1, name.encode()), (2, fields((1, fields((1, value))))))
        for name, value in values.items()
    ]
    record = fields((1, fields(*((1, feature) for feature in features))))
    file.write_bytes(len(record).to_bytes(8, "little") + bytes(4) + record + bytes(4))
    return file


@pytest.mark.slow
def test_a_data_set_that_a_reader_unpacks_is_answered(
    teacher: Artifact, images: Path, tmp_path: Path
):
    image = images / "test" / "red" / "0.png"
    packed = tmp_path / "packed"
    packed.mkdir()
    file = write_tfrecord(packed / "test.tfrecord", image.read_bytes(), "red")
    model = load(teacher.path, workspace=tmp_path / "workspace")
    one, folder, alone = (
        model.predict(path).reset_index(drop=True) for path in (image, packed, file)
    )
    assert one["answer"].tolist() == ["red"]
    pd.testing.assert_frame_equal(folder, one)
    pd.testing.assert_frame_equal(alone, one)
