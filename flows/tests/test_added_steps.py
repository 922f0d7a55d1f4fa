"""Steps that settings of others ask for, models with own classes, and warnings of steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pupila.plugin_registry import installed
from pupila.testing import draw_images
from pupila_flows.cli.main import app
from pupila_flows.plan.expand import expand
from pupila_flows.plan.form import settings_of
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.graph import Graph
from pupila_flows.recipe.source import RecipeError
from pupila_flows.results import Entry

RECIPE = """\
name: filtered
data: {path: images}
teachers:
  big: {path: model.keras, classes: [square, triangle]}
steps:
  pupil: {use: train, with: {student: conv-32-64-8}}
  lite: {use: export-tflite, from: pupil}
  page: {use: site, from: lite, with: {filter: auto}}
"""
PUBLISHED = """\
gate: {limits: {size_bytes: 99999}}
publish: {artifacts: [lite, page]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filtered")
    draw_images(folder / "images", images=2)
    (folder / "model.keras").write_bytes(b"PK")
    return folder


def read(folder: Path, *changes: tuple[str, str], more: str = "") -> Plan:
    """Read the recipe with changes, `(old, new)` each."""
    text = RECIPE + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "recipe.yaml").write_text(text)
    return read_plan(folder / "recipe.yaml")


def test_a_filter_that_a_page_asks_for_is_a_step_like_any_other(folder: Path):
    plan = read(folder)
    nodes = {node.name: node for node in expand(plan)}
    learner = nodes["page-filter-keras"]
    assert (learner.plugin.name, learner.inputs) == ("one-class-distance", ("pupil",))
    assert nodes["page-filter"].inputs == ("page-filter-keras",)
    assert nodes["page"].inputs == ("lite", "page-filter")
    assert list(plan.recipe.steps)[-3:] == ["page-filter-keras", "page-filter", "page"]
    assert not plan.warnings


def test_the_gate_does_not_check_a_filter_and_its_page_can_be_published(folder: Path):
    plan = read(folder, ("train, with: {", "distill, from: big, with: {"), more=PUBLISHED)
    assert plan.graph.default_gate_steps() == ("lite",)
    failed = [
        Entry(
            name=node.name,
            kind="step",
            uses=node.plugin.name,
            inputs=node.inputs,
            own_classes=node.config.own_classes is not None,
            error="its process was killed",
        )
        for node in expand(plan)
    ]
    assert Graph.of_entries(failed, installed()).default_gate_steps() == ("lite",)


def test_the_form_of_a_run_has_only_the_steps_of_the_recipe(folder: Path):
    steps = {name.split(".")[1] for name in settings_of(read(folder)) if name.startswith("steps.")}
    assert steps == {"pupil", "lite", "page"}


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ((("lite:", "page-filter:"), ("from: lite", "from: page-filter")), 8, "name already"),
        (
            (
                (
                    "pupil:",
                    "extra: {use: distill, from: page-filter-keras, "
                    "with: {student: conv-32-64-8}}\n  pupil:",
                ),
            ),
            6,
            "distill works on the answers of 'page-filter-keras' to these images, and its classes "
            "are known, other",
        ),
        ((("filter: auto", "filter: auto, names: [a, b, c]"),), 8, "'c'], for 2 inputs"),
    ],
    ids=["a name that is taken", "learning from a filter", "names"],
)
def test_what_does_not_fit_is_refused_on_the_line_of_the_step(
    folder: Path, changes: tuple[tuple[str, str], ...], line: int, words: str
):
    with pytest.raises(RecipeError) as caught:
        read(folder, *changes)
    assert [problem.line for problem in caught.value.problems if words in problem.message] == [line]


def test_check_warns_of_a_page_without_a_filter_with_its_line(folder: Path):
    (warning,) = read(folder, (", with: {filter: auto}", "")).warnings
    assert warning.line == 8 and warning.message.startswith("page: The page has no filter")
    command = ["check", str(folder / "recipe.yaml")]
    printed = CliRunner().invoke(app, command)
    assert "recipe.yaml:8: page: The page has no filter" in printed.stderr.replace("\n", "")
    as_json = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert as_json["warnings"] == [{"line": 8, "message": warning.message}]
