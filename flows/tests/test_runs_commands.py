"""`pupila runs`, `open`, `compare` and `export` get at the results of past runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from publishable_runs import publishable_run, read_run
from typer.testing import CliRunner

from pupila.errors import PupilaError
from pupila_flows.cli.main import app
from pupila_flows.cli.runs import compare
from pupila_flows.recipe.differences import setting_changes
from pupila_flows.report.comparison import compare_runs
from pupila_flows.report.past_runs import find_run
from pupila_flows.run.export_model import export_model
from pupila_flows.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / ".pupila")


def write_run(folder: Path, time: str, weights: bytes = b"first", **changes: object) -> Path:
    """Write a run with a time for its name, and predictions of its own."""
    made = publishable_run(folder, weights)
    run = made.rename(made.with_name(time))
    result = read_run(run).model_copy(update=changes)
    rows, columns = len(result.test_labels), len(result.data.classes)
    for number, entry in enumerate(result.entries):
        assert entry.evaluation
        kept = Path(entry.evaluation.probabilities)
        kept.parent.mkdir(parents=True, exist_ok=True)
        answers = np.full((rows, columns), 0.2)
        answers[np.arange(rows), result.test_labels] = 0.8
        wrong = int.from_bytes(weights[-1:]) % 7 + number
        answers[:wrong] = 1 - answers[:wrong]
        np.save(kept, answers)
    (run / "result.json").write_text(result.model_dump_json())
    return run


def invoke(workspace: Workspace, *arguments: str) -> str:
    ran = CliRunner().invoke(app, [*arguments, "--workspace", str(workspace.root)])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_run_is_called_by_its_name_its_time_or_its_folder(workspace: Workspace, tmp_path: Path):
    old = write_run(tmp_path, "20261128T010000Z")
    new = write_run(tmp_path, "20261129T010000Z", b"second")
    assert find_run(workspace) == find_run(workspace, "clinic") == new
    assert find_run(workspace, "clinic/latest") == new
    assert find_run(workspace, "clinic/20261128") == old
    assert find_run(workspace, str(old)) == old
    with pytest.raises(PupilaError, match=r"No run 'clinc' in .* Did you mean 'clinic'"):
        find_run(workspace, "clinc")
    with pytest.raises(PupilaError, match="No run 'clinic/2025' in"):
        find_run(workspace, "clinic/2025")
    empty = workspace.runs / "clinic" / "20261130T010000Z"
    empty.mkdir()
    assert find_run(workspace, "clinic") == new, "a run without a result has not finished"


def test_a_workspace_without_runs_says_how_to_make_one(workspace: Workspace):
    assert "`pupila run RECIPE` makes one" in invoke(workspace, "runs")
    with pytest.raises(PupilaError, match="`pupila run RECIPE` makes one"):
        find_run(workspace, "clinic")


def test_runs_are_listed_from_new_to_old_with_their_verdicts(workspace: Workspace, tmp_path: Path):
    write_run(tmp_path, "20261128T010000Z")
    write_run(tmp_path, "20261129T010000Z", b"second", gate=None)
    unreadable = workspace.runs / "clinic" / "20261127T010000Z"
    unreadable.mkdir()
    (unreadable / "result.json").write_text("{}")
    rows = json.loads(invoke(workspace, "runs", "--json"))["runs"]
    times = ["clinic/20261129T010000Z", "clinic/20261128T010000Z"]
    assert [row["run"] for row in rows] == times
    assert [row["gate"] for row in rows] == ["no gate", "PASS"]
    assert all("int8" in row["result"] for row in rows)
    assert "PASS" in invoke(workspace, "runs", "clinic")


def test_two_runs_are_compared_by_settings_sizes_and_image_by_image(tmp_path: Path):
    recipe = "name: clinic\nseed: 7\nsteps:\n  pupil: {use: train, with: {epochs: 40}}\n"
    changed = (
        "# a comment\nname: clinic\nsteps: {pupil: {with: {epochs: 4}, use: train}}\nseed: 7\n"
    )
    old = write_run(tmp_path, "20261128T010000Z", bytes([1]), recipe_text=recipe)
    new = write_run(tmp_path, "20261129T010000Z", bytes([2]), recipe_text=changed)
    comparison = compare_runs(old, new)
    assert [str(change) for change in comparison.settings] == ["steps.pupil.with.epochs: 40 → 4"]
    assert comparison.same_images
    int8 = next(entry for entry in comparison.entries if entry.name == "int8")
    images = len(read_run(new).test_labels)
    assert int8.difference
    assert int8.difference.value == pytest.approx(-1 / images)
    assert int8.difference.low < int8.difference.value < int8.difference.high
    (row,) = [row for row in comparison.rows if row["name"] == "int8"]
    assert "points" in row["difference"]


def test_runs_of_other_images_are_not_compared_image_by_image(tmp_path: Path):
    old = write_run(tmp_path, "20261128T010000Z")
    data = read_run(old).data.model_copy(update={"fingerprint": "0" * 64})
    new = write_run(tmp_path, "20261129T010000Z", b"second", data=data)
    comparison = compare_runs(old, new)
    assert not comparison.same_images
    assert any("nothing is compared in pairs" in line for line in comparison.lines)
    assert all(entry.difference is None for entry in comparison.entries)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("a: {b: 1}", "a: {b: 2}", ["a.b: 1 → 2"]),
        ("a: [1, 2]", "a: [1, 3]", ["a: [1, 2] → [1, 3]"]),
        ("a: x", "a: x\nb: {c: {}}", ["b.c: — → {}"]),
        ("a: 010", "a: 10", []),
        ("a: true", "a: false", ["a: true → false"]),
    ],
)
def test_settings_are_compared_by_value(before: str, after: str, changes: list[str]):
    assert [str(change) for change in setting_changes(before, after)] == changes


def test_a_model_is_exported_with_its_card_and_nothing_is_overwritten(
    workspace: Workspace, tmp_path: Path
):
    run = write_run(tmp_path, "20261128T010000Z", b"weights")
    paths = invoke(workspace, "export", "clinic", "int8", str(tmp_path / "model")).split()
    assert (tmp_path / "model" / "model.tflite").read_bytes() == b"weights"
    names = {Path(path).relative_to(tmp_path / "model").as_posix() for path in paths}
    assert names == {"model.tflite", "labels/en.txt", "card.md", "card.html"}
    card = (tmp_path / "model" / "card.md").read_text()
    assert card.startswith("# clinic: int8, not published\n")
    assert str(read_run(run).entries[-1].artifact) in card
    assert str(tmp_path) not in card, "a card goes to others: no paths of this machine"
    with pytest.raises(PupilaError, match="exists already"):
        export_model(workspace, run, "int8", tmp_path / "model")
    with pytest.raises(PupilaError, match=r"no model 'int4'.* Did you mean 'int8'"):
        export_model(workspace, run, "int4", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_report_of_a_run_is_opened(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = write_run(tmp_path, "20261128T010000Z")
    opened: list[str] = []

    def open_page(address: str) -> bool:
        opened.append(address)
        return len(opened) == 1

    monkeypatch.setattr("webbrowser.open", open_page)
    assert invoke(workspace, "open", "clinic").strip() == str(run / "report.html")
    assert opened == [(run / "report.html").as_uri()]
    assert str(run / "report.html") in invoke(workspace, "open"), "without a browser too"
    (run / "report.html").unlink()
    refused = CliRunner().invoke(app, ["open", "--workspace", str(workspace.root)])
    assert isinstance(refused.exception, PupilaError)
    assert f"pupila report {run}" in str(refused.exception)


def test_a_comparison_is_printed_for_people_and_for_programs(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_run(tmp_path, "20261128T010000Z", b"a")
    write_run(tmp_path, "20261129T010000Z", b"b")
    compare("clinic/20261128", "clinic", workspace.root)
    printed = capsys.readouterr().out
    assert "clinic/20261128T010000Z → clinic/20261129T010000Z" in printed
    assert "The recipes do not differ." in printed
    compare("clinic/20261128", "clinic", workspace.root, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert {entry["name"] for entry in answer["entries"]} == {"vgg16", "pupil", "int8"}


def test_results_of_another_version_are_named(workspace: Workspace, tmp_path: Path):
    run = write_run(tmp_path, "20261128T010000Z")
    (run / "result.json").write_text('{"name": "clinic"}')
    with pytest.raises(PupilaError, match="written by another version of Pupila"):
        compare_runs(run, run)


def test_the_history_without_a_name_lists_every_registry_that_runs_published_to(
    workspace: Workspace, tmp_path: Path
):
    assert "Nothing was published yet" in invoke(workspace, "history")
    here, elsewhere = str(workspace.root / "registry"), str(tmp_path / "elsewhere")
    for address, weights in ((here, b"first"), (elsewhere, b"second")):
        run = write_run(tmp_path, f"20261128T01000{len(weights)}Z", weights)
        invoke(workspace, "publish", str(run), "--registry", address)
    rows = json.loads(invoke(workspace, "history", "--json"))["published"]
    assert [(row["name"], row["version"], row["registry"]) for row in rows] == [
        ("clinic", "1", here),
        ("clinic", "1", elsewhere),
    ]
    assert rows[0]["registry"] in invoke(workspace, "history", "--registry", here)
