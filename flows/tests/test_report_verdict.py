"""What a run found, as Prefect's pages show it: in Markdown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from publishable_runs import gate_of
from report_pages import Page
from sample_runs import HOSTILE, PUPIL, VGG, sample_run
from sample_sweeps import sample_sweep, sweep_nodes

from pupila_flows.report.terminal import NO_GATE
from pupila_flows.report.verdict import metrics_markdown, verdict_markdown
from pupila_flows.results import Publication, RunResult

READER = MarkdownIt("commonmark").enable("table")
NODES = [VGG, replace(PUPIL, inputs=("vgg16",), control=None)]


def shown(markdown: str) -> Page:
    return Page(READER.render(markdown))


def publication(outcome: str, **changes: object) -> Publication:
    published = {
        "registry": "/srv/models",
        "name": "clinic",
        "outcome": outcome,
        "version": None if outcome == "withheld" else 3,
        "reason": "Version 3 is current now, by its gate.",
    }
    return Publication.model_validate(published | changes)


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_the_headline_is_that_of_the_report_and_the_gate_stands_below(
    verdict: str, tmp_path: Path
) -> None:
    gate = gate_of(verdict, entry="pupil")  # pyright: ignore[reportArgumentType]
    result = sample_run(tmp_path, NODES, gate=gate)
    page = shown(verdict_markdown(result, tmp_path))
    title = "passes the release gate" if verdict == "pass" else "Nothing passes the release gate"
    assert title in page.text and f"Gate: {verdict.upper()}" in page.text
    assert len(page.all("table")) == 1
    reason = "accuracy is 1.0 points below that of vgg16, and 3 are allowed"
    assert (reason in page.text) == (verdict != "pass")
    withheld = "Nothing is published: the gate cannot tell yet whether pupil is good enough"
    assert (withheld in page.text) == (verdict == "inconclusive")


def test_without_a_gate_that_is_said(tmp_path: Path) -> None:
    result = sample_run(tmp_path, NODES)
    assert "Gate: none in the recipe." in shown(verdict_markdown(result, tmp_path)).text
    asks = result.model_copy(update={"recipe_text": "publish: {}\n"})
    text = shown(verdict_markdown(asks, tmp_path)).text
    assert NO_GATE in text.replace("gate: {}", "`gate: {}`").replace("``", "`")


@pytest.mark.parametrize(
    ("outcome", "heading"),
    [
        ("published", "Published: clinic, version 3"),
        ("unchanged", "Published before: clinic, version 3"),
        ("withheld", "Nothing of clinic is published"),
    ],
)
def test_what_was_published_stands_with_its_reason(
    outcome: str, heading: str, tmp_path: Path
) -> None:
    result = sample_run(tmp_path, NODES, publication=publication(outcome))
    text = shown(verdict_markdown(result, tmp_path)).text
    assert heading in text and "Version 3 is current now, by its gate." in text
    assert ("/srv/models" in text) == (outcome != "withheld")


def test_a_sweep_tells_its_best_point(tmp_path: Path) -> None:
    page = shown(verdict_markdown(sample_sweep(tmp_path, sweep_nodes()), tmp_path))
    assert "Best on the validation images: " in page.text
    assert "Gate" not in page.text


def hostile_run(folder: Path) -> RunResult:
    name = f"{HOSTILE} ![x](http://example.org/x.png) | [a](javascript:alert(1))"
    nodes = [replace(VGG, name=name), replace(NODES[1], name=f"pupil {name}", inputs=(name,))]
    published = publication("published", reason=name, name=name, registry=name)
    gate = gate_of("fail", entry=f"pupil {name}").model_copy(update={"untraced": (name,)})
    return sample_run(folder, nodes, gate=gate, publication=published)


def test_texts_of_others_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    result = hostile_run(tmp_path)
    markdown = f"{verdict_markdown(result, tmp_path)}\n\n{metrics_markdown(result)}"
    page = shown(markdown)
    assert not page.all("script") and not page.all("img") and not page.all("a")
    assert page.text.count('<script>alert("x")</script>') > 5
    assert len(page.all("table")) == 3
