"""Readers of data sets: which one reads, what it is given, and what it must not yield."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pupila import DatasetReader, ReaderChoice, layout, manifest
from pupila.dataset_readers import reader_of
from pupila.errors import PluginFailed, PupilaError
from pupila.plugin_registry import installed
from pupila.testing import ignore_progress, plugin_installed

READER = """
import json
from pydantic import Field
from pupila import Config, DatasetReader, ListedImage, hookimpl


class Lines(Config):
    split: str = Field(default="train", description="Split of all images.")


@hookimpl
def pupila_datasets():
    yield DatasetReader(
        name="{name}",
        summary="A .jsonl file with an object for each image",
        recognises=lambda path: path.suffix == ".jsonl",
        config=Lines,
        implementation=f"{{__name__}}:read",
    )


def read(source):
    for number, line in enumerate(source.path.read_text().splitlines(), start=1):
        values = json.loads(line)
        if "png" in values:
            values["path"] = source.write_image(bytes.fromhex(values.pop("png")), ".png")
        if values.get("raises"):
            raise PupilaErrorOf(values)
        values = {{"split": source.config.split}} | values
        yield values if values.get("bare") else ListedImage(f"line {{number}}", values)
"""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[None]:
    with plugin_installed(
        tmp_path / "path", "lines-dist", "lines", READER.format(name="lines"), "2.1"
    ):
        yield


def listing(folder: Path, *images: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4)).save(folder / name)
    path = folder / "eyes.jsonl"
    path.write_text("\n".join(map(json.dumps, images)))
    return path


@pytest.mark.usefixtures("reader")
def test_a_package_reads_what_it_recognises(tmp_path: Path):
    path = listing(
        tmp_path / "eyes",
        {"path": "a.png", "label": "ill", "patient": "7", "split": "val"},
        {"path": "b.png", "label": "well", "patient": "", "split": "test"},
    )
    frame = manifest.read(path)
    assert frame["path"].tolist() == [str(path.parent / name) for name in ("a.png", "b.png")]
    assert frame["split"].tolist() == ["validation", "test"]
    assert frame["patient"].tolist() == ["7", ""]
    assert layout.labels(path) == ("ill", "well")
    assert [image["label"] for image in layout.labelled_images(path, "test")] == ["well"]


@pytest.mark.usefixtures("reader")
def test_settings_reach_the_reader(tmp_path: Path):
    path = listing(tmp_path / "eyes", {"path": "a.png", "label": "ill"})
    frame = manifest.read(path, choice=ReaderChoice(settings={"split": "test"}))
    assert frame["split"].tolist() == ["test"]


@pytest.mark.usefixtures("reader")
def test_images_that_a_reader_writes_are_named_by_their_content(tmp_path: Path):
    listing(tmp_path / "eyes")
    png = (tmp_path / "eyes" / "a.png").read_bytes()
    path = listing(tmp_path / "eyes", {"png": png.hex(), "label": "ill"})
    choice = ReaderChoice(cache=tmp_path / "cache")
    (written,) = manifest.read(path, choice=choice)["path"]
    assert Path(written).read_bytes() == png
    before = Path(written).stat()
    assert manifest.read(path, choice=choice)["path"].tolist() == [written]
    assert Path(written).stat().st_mtime_ns == before.st_mtime_ns
    Path(written).write_bytes(png[:9])
    manifest.read(path, choice=choice)
    assert Path(written).read_bytes() == png
    with pytest.raises(PupilaError, match="must be written as files, and there is no folder"):
        manifest.read(path)


WHO = "Reader 'lines' of lines-dist 2.1 raised"


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], PupilaError, r"eyes\.jsonl' has no images"),
        ([{"path": "a.png"}], PupilaError, r"eyes\.jsonl, line 1 has no column 'label': found"),
        ([{"label": "ill"}], PupilaError, r"eyes\.jsonl, line 1 has no column 'path'"),
        (
            [{"path": "a.png", "label": "ill", "split": "tran"}],
            PupilaError,
            r"jsonl, line 1: unknown split 'tran'; .* Did you mean 'train'",
        ),
        (
            [{"path": "a.png", "label": "ill"}, {"path": "b.png", "label": "ill", "site": "x"}],
            PupilaError,
            r"line 2 has the columns .*'site'.*, and the first image has .*: give all images the",
        ),
        (
            [{"path": "a.png", "label": "ill"}, {"path": "./a.png", "label": "well"}],
            PupilaError,
            r"line 2: './a.png' is listed a second time, after line 1, with the label 'well'",
        ),
        (
            [{"path": "c.png", "label": "ill"}],
            PupilaError,
            r"jsonl, line 1: the file 'c.png' does not exist in .*eyes'. 1 of 1 rows",
        ),
        ([{"path": "a.png", "label": 3}], PluginFailed, f"{WHO} TypeError: it gave 'label' the"),
        ([{"path": "a", "bare": "x"}], PluginFailed, f"{WHO} TypeError: it yielded {{'split'"),
        ([{"path": "a", "raises": "x"}], PluginFailed, f"{WHO} NameError"),
    ],
)
def test_what_a_reader_must_not_yield_is_refused(
    tmp_path: Path, images: list[dict[str, object]], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        manifest.read(listing(tmp_path / "eyes", *images))


def test_a_reader_of_a_package_is_asked_before_those_of_core(tmp_path: Path):
    code = READER.format(name="csv-of-mine").replace(".jsonl", ".csv")
    path = tmp_path / "eyes.csv"
    path.touch()
    with plugin_installed(tmp_path / "path", "mine-dist", "mine", code):
        assert reader_of(path).name == "csv-of-mine"
        assert reader_of(path, ReaderChoice("csv")).name == "csv"
    assert reader_of(path).name == "csv"


def test_two_readers_of_one_file_are_refused_unless_one_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = listing(tmp_path / "eyes")
    codes = {name: READER.format(name=name) for name in ("first", "second")}
    with (
        plugin_installed(tmp_path / "1", "first-dist", "first_reader", codes["first"]),
        plugin_installed(tmp_path / "2", "second-dist", "second_reader", codes["second"]),
    ):
        with pytest.raises(PupilaError, match=r"2 readers recognise .*: 'first' of .*PUPILA_READ"):
            reader_of(path)
        monkeypatch.setenv("PUPILA_READERS", "second")
        assert reader_of(path).name == "second"


def test_what_nothing_reads_is_refused_with_what_is_installed(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_text("path,label,split\n")
    with pytest.raises(PupilaError, match=r"list.txt' is neither a folder of images nor a \.csv f"):
        manifest.read(path)
    names = {reader.name for reader in installed().all(DatasetReader)}
    assert {"folder", "csv"} <= names
    with pytest.raises(PupilaError, match=r"No reader named 'cvs'\. Did you mean 'csv'"):
        reader_of(path, ReaderChoice("cvs"))


def code_of(section: str) -> str:
    """Return the Python code in a section of the page on plugins."""
    page = Path(__file__).parents[2] / "docs" / "plugins.md"
    text = page.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return code


def test_the_examples_in_the_docs_read_data(tmp_path: Path):
    folder = tmp_path / "eyes"
    folder.mkdir()
    for number, split in enumerate(("train", "validation", "test")):
        np.save(folder / f"{number}.npy", np.full((8, 9), 50 * number, np.uint8))
        (folder / f"{split}.txt").write_text(f"{number}.npy well\n")
    with (
        plugin_installed(tmp_path / "1", "npy-dist", "npy_images", code_of("Formats of images")),
        plugin_installed(
            tmp_path / "2", "lists-dist", "text_lists", code_of("Readers of data sets")
        ),
    ):
        frame = manifest.scan(manifest.read(folder), tmp_path / "cache", ignore_progress)
    assert frame["split"].tolist() == ["train", "validation", "test"]
    assert frame["brightness"].tolist() == [0, 50, 100]
    assert set(frame["error"]) == {""}
