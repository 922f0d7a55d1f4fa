"""What the report's script does in a real browser, and how the page folds and prints."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sample_runs import PUPIL, TWELVE, sample_run

from pupila.predictive_values import predictive_values
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.page import write_report
from pupila_flows.results import RunResult

pytestmark = pytest.mark.slow

UNREACHABLE = """[...document.querySelectorAll("main *")].filter(part =>
    part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX === "auto"
    && part.tabIndex < 0).map(part => part.outerHTML.slice(0, 80))"""
"""Returns the parts that scroll sideways but cannot be focused by keyboard."""
ALL_OPEN = """[...document.querySelectorAll("details")].every(part =>
    part.lastElementChild.checkVisibility({ contentVisibilityAuto: true }))"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    """Return a run with pictures, and its report."""
    folder = tmp_path_factory.mktemp("read")
    images = [folder / f"{row}.png" for row in range(60)]
    for path in images:
        Image.new("RGB", (64, 48), "red").save(path)
    history = {"loss": [0.7, 0.3], "validation_loss": [0.6, 0.4], "validation_accuracy": [0.8, 0.9]}
    trained = {"best_epoch": 2, "epochs": 2, "history": history}
    nodes = [replace(node, measured=trained) if node is PUPIL else node for node in TWELVE]
    run = sample_run(folder, nodes, images=images)
    return run, write_report(run, folder)


@pytest.fixture
def page(browser: Any, sample: tuple[RunResult, Path]) -> Generator[Any]:
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    complaints: list[str] = []

    def note_message(message: Any) -> None:
        complaints.append(message.text)

    def note_error(error: Any) -> None:
        complaints.append(str(error))

    opened.on("console", note_message)
    opened.on("pageerror", note_error)
    opened.goto(sample[1].as_uri())
    yield opened
    assert complaints == []
    opened.close()


def _shown(page: Any) -> list[str]:
    """Return the names of the entries that the results show, from the top."""
    rows = page.query_selector_all("#results-table tbody tr[data-record]")
    visible = [row for row in rows if row.is_visible()]
    return [row.query_selector("th").inner_text().split("\n")[0] for row in visible]


def test_the_results_are_sorted_filtered_and_given_as_csv(
    page: Any, sample: tuple[RunResult, Path]
) -> None:
    run, _ = sample
    evaluated = [(entry.name, entry.evaluation) for entry in run.entries if entry.evaluation]
    sizes = {name: evaluation.cost.size_bytes for name, evaluation in evaluated}
    assert _shown(page) == [entry.name for entry in run.entries]
    page.click("th[data-sort=size_bytes] button")
    assert _shown(page) == sorted(sizes, key=lambda name: sizes[name])
    assert page.get_attribute("th[data-sort=size_bytes]", "aria-sort") == "ascending"
    page.select_option("#results-sort", "size_bytes -1")
    assert _shown(page)[0] == "xception"
    page.fill("#results-filter", "INT8 pupil")
    assert _shown(page) == ["pupil-int8"]
    assert page.inner_text("#results-state") == f"1 of {len(run.entries)} shown"
    with page.expect_download() as download:
        page.click("#results-csv")
    (row,) = csv.DictReader(io.StringIO(download.value.path().read_text()))
    assert row["name"] == "pupil-int8" and int(row["size_bytes"]) == sizes["pupil-int8"]
    page.fill("#results-filter", "")
    page.select_option("#results-sort", "")
    assert _shown(page) == [entry.name for entry in run.entries]


@pytest.mark.parametrize("prevalence", [1.5, 40])
def test_predictive_values_follow_the_prevalence_that_is_typed(
    page: Any, sample: tuple[RunResult, Path], prevalence: float
) -> None:
    name = page.inner_text("#predictive tbody th")
    evaluation = Lineage.of(sample[0].entries).entries[name].evaluation
    assert evaluation and evaluation.metrics.point
    page.fill("#prevalence", str(prevalence))
    shown = page.query_selector_all("#predictive tbody tr:first-child td.number > div")
    values = predictive_values(evaluation.metrics.point, prevalence / 100)
    for cell, estimate in zip(shown, values, strict=True):
        numbers = [100 * value for value in (estimate.value, estimate.low, estimate.high)]
        expected = "{:.1f} % {:.1f}–{:.1f}".format(*numbers)
        assert " ".join(cell.inner_text().split()) == expected
    assert page.inner_text("[data-prevalence]").split() == [f"{prevalence:g}", "%"]
    page.fill("#prevalence", "300")
    assert page.get_attribute("#prevalence", "aria-invalid") == "true"
    assert "between 0.01 and 99.99" in page.inner_text("#prevalence-note")


def test_a_picture_opens_large_and_closes_by_keyboard(page: Any) -> None:
    picture = page.locator(".photo img").first
    small = picture.bounding_box()["width"]
    page.locator(".photo .open").first.focus()
    page.keyboard.press("Enter")
    assert picture.bounding_box()["width"] > 5 * small
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "close"
    page.keyboard.press("Escape")
    assert picture.bounding_box()["width"] == small


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_the_page_never_scrolls_sideways_and_what_does_can_be_focused(
    page: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(UNREACHABLE) == []


def test_details_are_printed_open_and_tools_are_not_printed(page: Any) -> None:
    page.emulate_media(media="print")
    assert not page.is_visible("#results-filter")
    assert page.evaluate(ALL_OPEN)
