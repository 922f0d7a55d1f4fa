"""The images on which pupils and teachers disagree."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image
from report_pages import Page, read
from sample_runs import VGG, Node, sample_run

from pupila_flows.report import predictions
from pupila_flows.report.page import write_report
from pupila_flows.results import RunResult
from pupila_flows.thumbnails import thumbnail


def read_disagreements(result: RunResult, folder: Path) -> Page:
    _, _, rest = write_report(result, folder).read_text().partition('id="disagreements"')
    return Page(rest.partition("</section>")[0])


def test_disagreeing_images_are_shown_once_with_every_opinion(tmp_path: Path) -> None:
    images = _pictures(tmp_path, 90)
    nodes = [VGG, Node("a", "x", ("vgg16",), 2.5), Node("b", "x", ("vgg16",), 2.5)]
    result = sample_run(tmp_path, nodes, images=images)
    page = read_disagreements(result, tmp_path)
    read_back = predictions.read_predictions(result, tmp_path)
    differing = ~(read_back.same("a", "vgg16") & read_back.same("b", "vgg16"))
    shown = [str(tag["alt"]) for tag in page.all("img")]
    assert 0 < len(shown) == len(set(shown)) == int(differing.sum())
    picture = str(page.all("img")[0]["src"])
    stored = Image.open(
        io.BytesIO(base64.b64decode(picture.removeprefix("data:image/jpeg;base64,")))
    )
    assert stored.size == (200, 160), "small enough to be shown large as it is"


def _pictures(folder: Path, number: int) -> list[Path]:
    paths = [folder / f"{row:03d}.jpg" for row in range(number)]
    for row, path in enumerate(paths):
        Image.new("RGB", (200, 160), (row, 80, 200 - row)).save(path)
    return paths


def test_no_more_than_24_images_of_one_pupil_are_shown(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, Node("noise", "x", ("vgg16",), 30.0)])
    page = read_disagreements(result, tmp_path)
    assert len([tag for tag in page.all("div") if tag.get("class") == "placeholder"]) == 24
    assert "more not shown" in page.text


def test_missing_and_unreadable_images_have_a_placeholder(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    assert thumbnail(broken) is None and thumbnail(None) is None
    page = read(sample_run(tmp_path, [VGG, Node("a", "x", ("vgg16",), 3.0)]), tmp_path)
    missing = [tag for tag in page.all("div") if tag.get("class") == "placeholder"]
    assert missing and "is missing" in str(missing[0]["aria-label"])
