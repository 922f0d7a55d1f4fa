"""What reads the images is the same in every command, and a recipe may say which it is."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila.testing import draw_images, plugin_installed
from pupila_flows.data.external.listing import list_images
from pupila_flows.data.reading import read_data
from pupila_flows.plan.reach import reach_of_plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.progress import current_display
from pupila_flows.recipe.source import RecipeError
from pupila_flows.run import single
from pupila_flows.workspace import Workspace

CODE = """
import json

from pydantic import Field

from pupila import Config, DatasetReader, ListedImage, hookimpl


class Records(Config):
    label: str = Field(default="label", description="Key of the label.")


@hookimpl
def pupila_datasets():
    yield DatasetReader(
        name="records",
        summary="A .records file",
        recognises=lambda path: path.suffix == ".records",
        config=Records,
        implementation=f"{__name__}:read",
    )


def read(source):
    for number, record in enumerate(json.loads(source.path.read_text()), start=1):
        path = source.write_image(bytes.fromhex(record["png"]), ".png")
        label, split = record[source.config.label], record["split"]
        yield ListedImage(f"record {number}", {"path": path, "label": label, "split": split})
"""
RECIPE = """\
name: eyes
data:
  path: {path}
{reader}
steps:
  pupil: {{use: train, with: {{student: conv-32-64-8, size: 32, epochs: 1}}}}
gate: {{margins: {{accuracy: 0.2}}}}
"""


class Lines:
    """Display that keeps the lines of what is finished."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def update(self, title: str, done: int, total: int, what: str) -> None:
        del title, done, total, what

    def finish(self, title: str, outcome: str) -> None:
        self.lines.append(f"{title} {outcome}")


@pytest.fixture
def display() -> Generator[Lines]:
    lines = Lines()
    token = current_display.set(lines)
    yield lines
    current_display.reset(token)


@pytest.fixture
def reader(tmp_path: Path) -> Generator[None]:
    with plugin_installed(tmp_path / "path", "records-dist", "records_reader", CODE):
        yield


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images", images=6)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def records(images: Path, tmp_path: Path) -> Path:
    rows = [
        {
            "png": file.read_bytes().hex(),
            "split": file.parent.parent.name,
            "label": file.parent.name,
            "reversed": file.parent.name[::-1],
        }
        for file in sorted(images.rglob("*.png"))
    ]
    path = tmp_path / "eyes.records"
    path.write_text(json.dumps(rows))
    return path


def recipe(folder: Path, path: Path, reader: str = "") -> Path:
    file = folder / "recipe.yaml"
    file.write_text(RECIPE.format(path=path, reader=reader))
    return file


def test_a_file_that_is_not_a_csv_is_refused_by_every_command(
    images: Path, workspace: Workspace, tmp_path: Path
):
    listing = tmp_path / "list.txt"
    rows = [f"{file},{file.parent.name},{file.parent.parent.name}" for file in images.rglob("*.p*")]
    listing.write_text("\n".join(["path,label,split", *rows]))
    refused = r"list\.txt' is neither a folder of images nor a \.csv file, and no installed reader"
    with pytest.raises(RecipeError, match=refused):
        read_plan(recipe(tmp_path, listing))
    with pytest.raises(PupilaError, match=refused):
        single.validate(workspace, listing, None, None)
    with pytest.raises(PupilaError, match=refused):
        list_images(listing)


def test_files_that_nothing_reads_are_counted_in_one_line(
    images: Path, workspace: Workspace, display: Lines
):
    count = len(list(images.rglob("*.png")))
    first = next(images.rglob("*.png"))
    for name in ("a.xyz", "b.xyz", "c.nii", ".hidden"):
        first.with_name(name).write_bytes(first.read_bytes())
    read_data(images, None, workspace.cache)
    assert display.lines == [f"data {count} images; 3 other files left out: 2 .xyz, 1 .nii"]
    assert list_images(images).left_out == {".xyz": 2, ".nii": 1}


@pytest.mark.usefixtures("reader")
def test_a_recipe_reads_what_a_package_recognises(
    records: Path, images: Path, workspace: Workspace, tmp_path: Path
):
    plan = read_plan(recipe(tmp_path, records), cache=workspace.cache)
    data = plan.recipe.data
    dataset = read_data(plan.data, data.classes, workspace.cache, data.task, plan.reader)
    assert dataset.fingerprint == read_data(images, None, workspace.cache).fingerprint
    assert {path.parent.parent for path in dataset.paths} == {workspace.cache / "images"}
    of_folder = read_plan(recipe(tmp_path, images))
    assert reach_of_plan(plan) == reach_of_plan(of_folder)


@pytest.mark.usefixtures("reader")
def test_a_recipe_names_the_reader_and_its_settings(
    records: Path, workspace: Workspace, tmp_path: Path
):
    section = "  reader: {use: records-dist/records, with: {label: reversed}}"
    plan = read_plan(recipe(tmp_path, records, section), cache=workspace.cache)
    dataset = read_data(plan.data, None, workspace.cache, choice=plan.reader)
    plain = read_data(records, None, workspace.cache)
    assert dataset.classes == tuple(sorted(name[::-1] for name in plain.classes))


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("section", "problems"),
    [
        (
            "  reader: {use: record}",
            [(4, "No reader named 'record'. Did you mean 'records'?")],
        ),
        (
            "  reader:\n    use: records\n    with: {lable: x}",
            [(6, "data.reader.with.lable is not a known field. Did you mean 'label'?")],
        ),
        ("  reader: {with: {}}", [(4, "data.reader.use is missing")]),
        ("  reader: {use: records, with: {label: 3}}", [(4, "data.reader.with.label: must be")]),
    ],
)
def test_a_wrong_reader_is_reported_with_its_line(
    records: Path, tmp_path: Path, section: str, problems: list[tuple[int, str]]
):
    with pytest.raises(RecipeError) as raised:
        read_plan(recipe(tmp_path, records, section), cache=tmp_path / "cache")
    listed = [(problem.line, problem.message) for problem in raised.value.problems]
    for (line, message), (expected_line, expected) in zip(listed, problems, strict=True):
        assert (line, message[: len(expected)]) == (expected_line, expected)


@pytest.mark.usefixtures("reader")
def test_external_sets_and_evaluations_take_the_same_readers(
    records: Path, images: Path, workspace: Workspace, tmp_path: Path
):
    section = (
        f"external:\n  clinic: {{path: {records}, reader: {{use: records, with: {{}}}}, "
        f"split: train}}"
    )
    file = recipe(tmp_path, images)
    file.write_text(f"{file.read_text()}{section}\n")
    (clinic,) = read_plan(file, cache=workspace.cache).external
    expected = list_images(images).of_split("train")
    assert [row["label"] for row in clinic.listing.rows] == [row["label"] for row in expected.rows]
    assert all(Path(row["path"]).is_file() for row in clinic.listing.rows)
    file.write_text(file.read_text().replace("with: {}", "with: {lable: x}"))
    with pytest.raises(RecipeError, match=r"external\.clinic\.reader\.with\.lable is not a known"):
        read_plan(file, cache=workspace.cache)
