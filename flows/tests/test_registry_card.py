"""The card of a version: what it says to those who read it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from publishable_runs import published_text, release

from pupila.chance import check_chance
from pupila.intervals import proportion
from pupila_flows.markdown import code, stated
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.card import card_page
from pupila_flows.registry.manifest import CARD, CARD_PAGE
from pupila_flows.registry.publishing import publish


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry"))


def test_the_card_says_what_a_reader_must_know(folder: Registry, tmp_path: Path):
    stated = PublishSection(
        artifacts=("int8",),
        intended_use="Sorting of images before a physician reads them.",
        limits="One camera.",
        licence="CC-BY-4.0",
    )
    publish(folder, release(tmp_path, section=stated))
    card = published_text(folder, 1, CARD)
    sentences = (
        *("# clinic, version 1", "Sorting of images before", "* One camera.", "CC-BY-4.0"),
        *("Not stated by the publisher. Not for clinical use.", "### By site", "Verdict: **pass**"),
        "* A possible shortcut: Mean colour alone separates the classes with AUC 0.90.\n",
        "accuracy is 1.0 points below that of vgg16",
        *("`vgg16`", "pupila verify clinic --version 1"),
    )
    assert [sentence for sentence in sentences if sentence not in card] == []


def test_conditions_are_called_as_in_the_report(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    assert given.result.gate
    (first, *_), floor = given.result.gate.artifacts, {"condition": "chance", "against": None}
    findings = tuple(finding.model_copy(update=floor) for finding in first.findings)
    gate = given.result.gate.model_copy(
        update={"artifacts": (first.model_copy(update={"findings": findings}),)}
    )
    publish(folder, replace(given, result=given.result.model_copy(update={"gate": gate})))
    card = published_text(folder, 1, CARD)
    assert "| above chance |" in card
    assert "| chance |" not in card


def test_the_card_says_what_may_have_seen_the_test_images(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    assert given.result.gate
    gate = given.result.gate.model_copy(update={"untraced": ("vgg16",)})
    publish(folder, replace(given, result=given.result.model_copy(update={"gate": gate})))
    card = published_text(folder, 1, CARD)
    assert "Whether vgg16 saw test images in training is unknown: no record says which" in card


def test_the_card_says_first_that_a_teacher_is_unproven(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    chance = check_chance([[0.9, 0.1], [0.1, 0.9]], [0, 1], ("normal", "glaucoma"))
    entries = [
        entry.model_copy(update={"chance": chance}) if entry.kind == "teacher" else entry
        for entry in given.result.entries
    ]
    result = given.result.model_copy(update={"entries": tuple(entries)})
    publish(folder, replace(given, result=result))
    card = published_text(folder, 1, CARD)
    sentence = (
        "> **Teacher vgg16 is not shown to be above chance on 2 validation images (1 normal, 1 "
        "glaucoma): it takes at least 2 of each class to show anything.**"
    )
    assert 0 < card.index(sentence) < card.index("Made by Pupila")


def test_the_card_gives_sensitivity_at_the_threshold_that_ships(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    entries = {entry.name: entry for entry in given.result.entries}
    measured = entries["int8"].evaluation
    assert measured and measured.metrics.point
    point = measured.metrics.point.model_copy(
        update={
            "threshold": 0.668,
            "chosen_on": "validation images, for 95 %",
            "sensitivity": proportion(57, 59),
        }
    )
    metrics = measured.metrics.model_copy(update={"shipped": point})
    evaluation = measured.model_copy(update={"metrics": metrics})
    entries["int8"] = entries["int8"].model_copy(update={"evaluation": evaluation})
    result = given.result.model_copy(update={"entries": tuple(entries.values())})
    publish(folder, replace(given, result=result))
    card = published_text(folder, 1, CARD)
    assert "`int8` at its shipped threshold, 0.668 (validation images, for 95 %)." in card
    assert "96.6" in card[card.index("## Metrics") : card.index("## Gate")]


def test_the_card_as_a_page_shows_no_markup_of_others(folder: Registry, tmp_path: Path):
    hostile = ("<script>alert(1)</script>", "a | b")
    publish(folder, release(tmp_path, verdict="fail", override=hostile))
    page = published_text(folder, 1, "card.html")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<td>a | b</td>" in page


class _Page(HTMLParser):
    """What a page has: its elements, with what they name, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.named: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.named += [value or "" for name, value in attrs if name in ("src", "href", "style")]

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = (
    "![tracker](https://example.org/x.png)",
    "![tracker][1]",
    "<img src=https://example.org/x.png onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[a link](javascript:alert(1))",
    "<https://example.org>",
    "&lt;b&gt; stays as it is",
    "# Gate: pass",
    "```",
    "| a | b |",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["intended_use", "out_of_scope", "limits", "licence"])
def test_what_a_recipe_states_is_shown_as_it_is_written(
    folder: Registry, tmp_path: Path, field: str, text: str
):
    given = release(tmp_path, section=PublishSection.model_validate({field: text}))
    publish(folder, replace(given, artifacts={"int8": given.artifacts["int8"]}))
    page = _Page(published_text(folder, 1, CARD_PAGE))
    assert text in page.text
    assert not {"img", "script", "a", "pre"} & {*page.elements}
    assert page.elements.count("h1") == 1
    assert not page.named


def test_names_in_the_card_are_shown_as_they_are(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    entries = [
        entry.model_copy(update={"uses": "a`![x](https://example.org/x)`|b.h5"})
        if entry.kind == "teacher"
        else entry
        for entry in given.result.entries
    ]
    data = given.result.data.model_copy(update={"path": "/srv/`<img src=x>`"})
    result = given.result.model_copy(update={"entries": tuple(entries), "data": data})
    publish(folder, replace(given, result=result))
    page = _Page(published_text(folder, 1, CARD_PAGE))
    assert "a`![x](https://example.org/x)`|b.h5" in page.text
    assert "`<img src=x>`" in page.text
    assert "img" not in page.elements


def test_lists_of_a_recipe_stay_lists():
    assert stated("For:\n- eyes\n  * ears\n\nNot for -1 or 2 * 3.") == (
        "For:\n* eyes\n* ears\n\nNot for -1 or 2 \\* 3."
    )
    assert (stated(None), stated("---"), code("a``b")) == ("", "\\---", "``` a``b ```")


def test_the_page_of_a_card_loads_nothing_whatever_the_card_says():
    page = card_page("![x](https://example.org/x.png) <img src=y>", "<script>")
    assert "img" not in _Page(page).elements
    assert "default-src 'none'" in page
