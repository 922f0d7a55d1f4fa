"""Teachers by name: stored permanently, current once a loader has read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pupila import Artifact, PupilaError
from pupila.store import Store
from pupila.testing import draw_images, keras_artifact, keras_model, save_scaled_teacher
from pupila_flows.cli.main import app
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.run.add_teacher import add_teacher
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import Workspace

Stored = Callable[[str], Artifact]

RECIPE = """\
name: stored
data: {path: images}
teachers:
  teacher: {path: "teacher:big"}
steps:
  lite: {use: export-tflite, from: teacher}
"""


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Store a tiny model by name: of the same name it is the same artifact."""
    known: dict[str, Artifact] = {}

    def add(weights: str) -> Artifact:
        if weights not in known:
            known[weights] = keras_artifact(Store(tmp_path / "elsewhere"), seed=len(known))
        return known[weights]

    return add


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    draw_images(tmp_path / "images", images=2)
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


def _run(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["teacher", *arguments, "--workspace", str(workspace.root)])


def test_a_teacher_is_kept_by_name_and_a_recipe_gets_the_latest(
    workspace: Workspace, recipe: Path, stored: Stored
):
    teacher_store = TeacherStore.of(workspace.root)
    for version, weights in enumerate(["first", "second"], start=1):
        artifact = stored(weights)
        added = add_teacher(workspace, "big", artifact.path)
        assert added.changed
        assert (added.teacher.version, teacher_store.current("big")) == (version, added.teacher)
        (teacher,) = read_plan(recipe, teacher_store=teacher_store).teachers
        added = (teacher.path / "model.keras").read_bytes()
        assert added == artifact.file(".keras").read_bytes()
        assert teacher.spec.classes == ("square", "triangle")
    assert [teacher.version for teacher in teacher_store.versions("big")] == [1, 2]


@pytest.mark.long
def test_the_same_bytes_change_nothing_and_older_ones_come_back(
    workspace: Workspace, stored: Stored
):
    first, second = stored("first").path, stored("second").path
    add_teacher(workspace, "big", first)
    again = add_teacher(workspace, "big", first)
    assert (again.changed, again.teacher.version) == (False, 1)
    add_teacher(workspace, "big", second)
    back = add_teacher(workspace, "big", first)
    assert (back.changed, back.teacher.version) == (True, 1)
    assert [teacher.version for teacher in TeacherStore.of(workspace.root).versions("big")] == [
        1,
        2,
    ]


def test_what_no_loader_reads_never_becomes_current(
    workspace: Workspace, tmp_path: Path, stored: Stored
):
    good = add_teacher(workspace, "big", stored("first").path).teacher
    (tmp_path / "notes.keras").write_text("no model")
    with pytest.raises(PupilaError, match="not a complete zip archive") as refused:
        add_teacher(workspace, "big", tmp_path / "notes.keras", ("a", "b"))
    assert str(tmp_path / "notes.keras") in str(refused.value)
    altered = stored("second").path
    (altered / "model.keras").write_text("altered")
    with pytest.raises(PupilaError, match="altered"):
        add_teacher(workspace, "big", altered)
    teacher_store = TeacherStore.of(workspace.root)
    assert teacher_store.current("big") == good
    assert [
        folder.name for folder in (teacher_store.root / "big").iterdir() if folder.is_dir()
    ] == ["1"]


@pytest.mark.long
def test_a_model_file_is_read_by_its_loader_and_keeps_the_classes_it_had(
    workspace: Workspace, tmp_path: Path
):
    for seed in (1, 2):
        keras_model(2, seed=seed).save(tmp_path / f"{seed}.keras")
    with pytest.raises(PupilaError, match="--classes"):
        add_teacher(workspace, "big", tmp_path / "1.keras")
    add_teacher(workspace, "big", tmp_path / "1.keras", ("b", "a"))
    later = add_teacher(workspace, "big", tmp_path / "2.keras").teacher
    assert later.record.classes == ("b", "a")
    assert later.path.read_bytes() == (tmp_path / "2.keras").read_bytes()
    assert not later.path.stat().st_mode & 0o222, "it may be written to"
    imported = [
        workspace.store.open(folder.name) for folder in (workspace.root / "store/objects").iterdir()
    ]
    assert {artifact.record.origin.source for artifact in imported} == {
        teacher.record.sha256 for teacher in TeacherStore.of(workspace.root).versions("big")
    }


@pytest.mark.slow
def test_a_scaling_of_pixels_is_kept_with_the_file_and_built_in_by_later_runs(
    workspace: Workspace, tmp_path: Path, recipe: Path
):
    file = save_scaled_teacher(tmp_path / "scaled.keras")
    options = ["--name", "big", "--classes", "square,triangle", "--preprocess", "scale"]
    added = _run(workspace, "add", str(file), *options)
    assert added.exit_code == 0, added.output
    teacher_store = TeacherStore.of(workspace.root)
    assert teacher_store.current("big").record.preprocess == "scale"
    (planned,) = read_plan(recipe, teacher_store=teacher_store).teachers
    assert planned.preprocess == "scale"
    assert not add_teacher(workspace, "big", file).changed, "the scaling is that of the version"
    raw = add_teacher(workspace, "big", file, preprocess="none")
    assert (raw.changed, raw.teacher.version) == (True, 2)
    assert "preprocess" not in (raw.teacher.folder / "teacher.json").read_text()


def test_an_artifact_is_added_without_a_scaling(workspace: Workspace, stored: Stored):
    with pytest.raises(PupilaError, match="built in when it was made: leave --preprocess out"):
        add_teacher(workspace, "big", stored("first").path, preprocess="center")


def test_a_draft_that_a_killed_process_left_is_removed(workspace: Workspace, stored: Stored):
    left = TeacherStore.of(workspace.root).root / "big" / ".incoming-1"
    left.mkdir(parents=True)
    assert add_teacher(workspace, "big", stored("first").path).teacher.version == 1
    assert not left.exists()


def test_a_version_that_was_sealed_before_a_kill_is_used_by_the_next_try(
    workspace: Workspace, stored: Stored
):
    added = add_teacher(workspace, "big", stored("first").path).teacher
    (added.path.parents[2] / "current").unlink()
    assert TeacherStore.of(workspace.root).names() == []
    again = add_teacher(workspace, "big", stored("first").path)
    assert (again.changed, again.teacher) == (True, added)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("teacher:big", "teacher:bgi", "No teacher 'bgi' in the store"),
        ("teacher:big", "teacher:bgi", "Did you mean 'big'?"),
        ("teacher:big", "teacher:../big", "cannot be a teacher's name"),
        ('big"', 'big", classes: [a, b]', "is not what the teacher store's record says"),
        ('big"', 'big", output: sigmoid', "is not what the teacher store's record says"),
        ('big"', 'big", preprocess: scale', "the teacher store's model takes raw RGB 0"),
    ],
)
def test_a_recipe_that_does_not_fit_the_teacher_store_is_refused(
    workspace: Workspace, recipe: Path, tmp_path: Path, old: str, new: str, said: str
):
    (tmp_path / "big.keras").write_bytes(b"PK")
    teacher_store = TeacherStore.of(workspace.root)
    _put_unread(teacher_store, tmp_path / "big.keras")
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(RecipeError, match=said):
        read_plan(recipe, teacher_store=teacher_store)


def _put_unread(teacher_store: TeacherStore, source: Path) -> None:
    """Put a file in the teacher store that nobody has read."""
    from pupila_flows.teachers import TeacherRecord

    record = TeacherRecord(
        source=source.name,
        sha256="0" * 64,
        added="2026-01-01T00:00:00+00:00",
        output="softmax",
        classes=("square", "triangle"),
    )
    with teacher_store.locked("big"), teacher_store.draft("big", source) as copy:
        teacher_store.make_current(teacher_store.seal("big", copy, record))


def test_a_recipe_without_a_workspace_has_no_teacher_store(recipe: Path):
    with pytest.raises(RecipeError, match="lies in the teacher store of a workspace"):
        read_plan(recipe)


def test_the_commands_say_what_changed_and_that_nobody_was_told(
    workspace: Workspace, stored: Stored, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(workspace.root / "prefect"))
    added = _run(workspace, "add", str(stored("first").path), "--name", "big")
    assert "big, version 1 is what runs use from now on; no Prefect server" in added.stdout
    again = _run(workspace, "add", str(stored("first").path), "--name", "big", "--json")
    answer = json.loads(again.stdout)
    assert (answer["changed"], answer["notified"], answer["version"]) == (False, False, 1)
    (listed,) = json.loads(_run(workspace, "list", "--json").stdout)["teachers"]
    assert (listed["name"], listed["current"], listed["sha256"]) == ("big", True, answer["sha256"])


@pytest.mark.parametrize("name", ["", "../big", "a b", "-x"])
def test_a_name_that_could_lead_elsewhere_is_refused(
    workspace: Workspace, stored: Stored, name: str
):
    with pytest.raises(PupilaError, match="cannot be a teacher's name"):
        add_teacher(workspace, name, stored("first").path)
