"""A recipe says which packages it needs, and one that is missing is named in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila.testing import draw_images, plugin_installed
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import Problem, RecipeError

RECIPE = """
name: gentle
requires: [pupila-core, {requires}]
data:
  path: images
  expectations: {{checks: {{gentle-check: {{maximum: 1}}}}}}
steps:
  pupil: {{use: train, with: {{student: conv-32-64-8, size: 32}}}}
  pruned: {{use: {use}, from: pupil}}
gate: {{limits: {{gentleness: 3}}}}
"""
SHIFT = """
from pupila import Shift, hookimpl


@hookimpl
def pupila_shifts():
    yield Shift(name="gentle", summary="Gentle alterations", implementation="gentle:nothing")
"""


def problems(folder: Path, requires: str, use: str = "gentle-pruning") -> list[Problem]:
    draw_images(folder / "images")
    (folder / "recipe.yaml").write_text(RECIPE.format(requires=requires, use=use))
    with pytest.raises(RecipeError) as refused:
        read_plan(folder / "recipe.yaml")
    return refused.value.problems


def test_a_missing_package_is_the_only_thing_said(tmp_path: Path):
    (problem,) = problems(tmp_path, "gentle-package>=1.2")
    assert problem.line == 3
    assert problem.message == (
        "the recipe requires the package 'gentle-package', which is not installed: pip "
        "install 'gentle-package>=1.2'."
    )


def test_a_package_of_another_version_is_named_with_both(tmp_path: Path):
    with plugin_installed(tmp_path / "path", "gentle-package", "gentle", SHIFT, version="1.1"):
        (problem,) = problems(tmp_path, "gentle-package>=1.2")
    assert "requires 'gentle-package>=1.2', but 1.1 is installed" in problem.message


def test_with_the_package_the_other_mistakes_are_listed(tmp_path: Path):
    with plugin_installed(tmp_path / "path", "gentle-package", "gentle", SHIFT):
        messages = [problem.message for problem in problems(tmp_path, "gentle-package")]
    assert any("No technique or exporter named 'gentle-pruning'" in m for m in messages)
    assert any("gentleness" in message for message in messages)
    assert not any("requires" in message for message in messages)


def test_what_is_not_a_requirement_is_refused(tmp_path: Path):
    messages = [problem.message for problem in problems(tmp_path, "'not a package!'")]
    assert any(
        "'not a package!' is not a requirement: write a package's name" in m for m in messages
    )


def test_a_name_of_a_package_that_is_missing_names_the_package(tmp_path: Path):
    messages = [p.message for p in problems(tmp_path, "pupila-flows", "gentle-package/pruning")]
    assert any(
        "The package 'gentle-package' of 'gentle-package/pruning' is not installed" in message
        for message in messages
    )
