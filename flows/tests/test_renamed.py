"""Settings and values that were renamed: a recipe with the old word is told the new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from pupila.plugin import StepPlugin
from pupila.plugin_registry import installed
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.errors import former
from pupila_flows.recipe.overrides import parse_changes
from pupila_flows.recipe.schema import Recipe, model_in
from pupila_flows.recipe.source import RecipeError, read_source

RECIPE = """\
name: renamed
data: {path: images}
teachers:
  big: {path: big.keras, classes: [a, b]}
steps:
  first: {use: distill, from: big}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    for label in ("a", "b"):
        (tmp_path / "images" / "train" / label).mkdir(parents=True)
        (tmp_path / "images" / "train" / label / "1.png").touch()
    (tmp_path / "big.keras").write_bytes(b"PK")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


def _said(recipe: Path, *changes: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe, changes=parse_changes(changes, read_source(recipe)))
    return [problem.message for problem in caught.value.problems]


def _step(use: str, old: str) -> str:
    return f"  small: {{use: {use}, from: first, with: {{{old}}}}}\n"


SETTINGS = [
    ("quantize-int8", "borders", "io_type"),
    ("quantize-int4", "borders", "io_type"),
    ("quantize-mixed", "borders", "io_type"),
    ("qat", "borders", "io_type"),
    ("search", "oldest", "max_age"),
    ("search", "lesson", "distillation"),
    ("search", "maximum_bytes", "max_bytes"),
    ("search", "maximum_macs", "max_macs"),
    ("search", "trainings", "max_candidates"),
    ("one-class", "accept", "target_sensitivity"),
    ("prune-filters", "least", "min_fraction_kept"),
    ("site", "gate", "filter"),
]

NEEDED = {"one-class": "positive: a"}


@pytest.mark.parametrize(("use", "old", "new"), SETTINGS)
def test_an_old_setting_of_a_plugin_is_told_its_new_name(
    recipe: Path, use: str, old: str, new: str
):
    recipe.write_text(RECIPE + _step(use, f"{old}: 1"))
    told = f"steps.small.with.{old}: this setting is called {new} now."
    assert told in _said(recipe)
    recipe.write_text(RECIPE + _step(use, NEEDED.get(use, "")))
    assert any(told in each for each in _said(recipe, f"steps.small.with.{old}=1"))
    assert any(told in each for each in _said(recipe, f"sweep={{small.{old}: [1]}}"))


@pytest.mark.parametrize(
    ("use", "setting", "old", "new"),
    [
        ("quantize-int8", "correction", "biases", "bias"),
        ("quantize-int4", "correction", "rounding", "gptq"),
        ("quantize-mixed", "correction", "rounding", "gptq"),
    ],
)
def test_an_old_value_of_a_plugin_is_told_its_new_name(
    recipe: Path, use: str, setting: str, old: str, new: str
):
    recipe.write_text(RECIPE + _step(use, f"{setting}: {old}"))
    told = f"steps.small.with.{setting}: the value {old} is called {new} now."
    assert told in _said(recipe)
    recipe.write_text(RECIPE + _step(use, ""))
    assert any(told in each for each in _said(recipe, f"steps.small.with.{setting}={old}"))
    assert any(told in each for each in _said(recipe, f"sweep={{small.{setting}: [{old}]}}"))


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("steps.first", "without={site: [here]}", "exclude"),
        ("gate", "judges=[first]", "steps"),
        ("gate", "by=[site]", "groups"),
    ],
)
def test_an_old_field_of_a_recipe_is_told_its_new_name(
    recipe: Path, section: str, old: str, new: str
):
    name, _, value = old.partition("=")
    told = f"{section}.{name}: this setting is called {new} now."
    assert any(told in each for each in _said(recipe, f"{section}.{old}"))
    written = yaml.safe_load(RECIPE)
    found = written
    for part in section.split("."):
        found = found.setdefault(part, {})
    found[name] = yaml.safe_load(value)
    recipe.write_text(yaml.safe_dump(written))
    assert _said(recipe) == [told]


def test_the_old_prefix_of_a_teacher_by_name_is_told_its_new_name(recipe: Path):
    told = "teachers.big.path is 'shelf:big': the prefix shelf: is called teacher: now."
    assert any(told in each for each in _said(recipe, "teachers.big.path=shelf:big"))
    recipe.write_text(RECIPE.replace("big.keras", "'shelf:big'"))
    assert _said(recipe) == [told]


def test_what_is_called_otherwise_now_is_a_name_that_exists():
    for model in _models():
        fields = {field.alias or name for name, field in model.model_fields.items()}
        names = former(model, "former_names")
        assert set(names.values()) <= fields
        assert not set(names) & fields
        assert set(former(model, "former_values")) <= fields


def _models() -> Iterator[type[BaseModel]]:
    """Yield the sections of a recipe, and the settings of all plugins."""
    waiting: list[type[BaseModel]] = [Recipe]
    waiting += [plugin.config for plugin in installed().all(StepPlugin)]
    seen: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        yield model
        inner = (model_in(field.annotation) for field in model.model_fields.values())
        waiting += [each for each in inner if each]
