"""Changes that one run makes in its recipe, from the command line and from the Prefect UI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate
from typer.testing import CliRunner

from pupila import PupilaError
from pupila.testing import draw_images
from pupila_flows.cli.main import app
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.overrides import Changes, apply_changes, merge, parse_changes
from pupila_flows.recipe.schema import Recipe
from pupila_flows.recipe.source import RecipeError, read_source
from pupila_flows.run.flow import compress

RECIPE = """\
name: plain
data: {path: images}
steps:
  pupil: {use: train, with: {student: conv-32-64-8, epochs: 2}}
  v1.lite: {use: export-tflite, from: pupil}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    draw_images(tmp_path / "images", images=2)
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


@pytest.mark.parametrize(
    ("value", "change", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_mappings_are_merged_by_name_and_all_else_is_replaced(
    value: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]
):
    assert merge(value, change) == expected


def test_a_setting_is_changed_without_writing_the_whole_step(recipe: Path):
    changes = Changes.model_validate({"steps": {"pupil": {"with": {"epochs": 5}}}})
    plan = read_plan(recipe, changes=changes)
    pupil = next(step for step in plan.steps if step.name == "pupil")
    assert pupil.config.model_dump()["epochs"] == 5
    assert pupil.config.model_dump()["student"] == "conv-32-64-8"
    assert "epochs: 5" in plan.text
    assert plan.recipe.seed == 0


def test_what_changes_nothing_leaves_the_recipe_as_it_is_written(recipe: Path):
    source = read_source(recipe)
    for given in ({}, {"seed": None}, {"steps": {"pupil": {"use": None, "with": {"epochs": 2}}}}):
        assert apply_changes(source, Changes.model_validate(given)) is source


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seed=7", {"seed": 7}),
        ("steps.pupil.with.epochs=3", {"steps": {"pupil": {"with": {"epochs": 3}}}}),
        ("steps.v1.lite.retries=0", {"steps": {"v1.lite": {"retries": 0}}}),
        ("evaluate.threads=[1, 2]", {"evaluate": {"threads": [1, 2]}}),
        ("sweep={pupil.epochs: [1, 2]}", {"sweep": {"pupil.epochs": [1, 2]}}),
        ("steps.more={use: export-tflite}", {"steps": {"more": {"use": "export-tflite"}}}),
    ],
)
def test_a_setting_of_the_command_line_is_what_it_would_be_in_the_recipe(
    recipe: Path, setting: str, expected: dict[str, Any]
):
    assert parse_changes([setting], read_source(recipe)).given() == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed", "changes nothing"),
        ("seed=", "changes nothing"),
        ("=3", "changes nothing"),
        ("seed=[", "is not YAML"),
        (f"seed={'9' * 5_000}", f"is not YAML after the '=': '{'9' * 100}' is not a valid int"),
        (f"seed={'[' * 50_000}", "is not YAML after the '=': it is nested too deeply"),
        ("seed=2026-99-99", "'2026-99-99' is not a valid timestamp"),
        ("seed=!!int x", "'x' is not a valid int"),
        ("seed=!!bool x", "'x' is not a valid bool"),
        ("seed=!!python/name:os.system x", "a recipe has no tags"),
        ("seed=&a [*a]", "an alias stands inside what it names"),
        ("seed=a\x00", "it cannot be read"),
        ("seed=a\udcff", "it cannot be read"),
        ("sede=3", "sede is not a known field. Did you mean 'seed'?"),
        ("advanced.seed=5", "advanced is not a known field"),
        ("advanced=3", "advanced is not a known field"),
        ("by_name.seed=5", "by_name is not a known field"),
        ("seed=-1", "seed is -1"),
        ("steps.pupil.wiht.epochs=3", "Did you mean 'with'?"),
        ("steps.pupil.with.epochs=many", "steps.pupil.with.epochs is 'many'"),
        ("steps.pupil.with.epoch=3", "Did you mean 'epochs'?"),
        ("name=Not A Name", "lower-case letters"),
        ("data.path=nowhere", "no images at"),
    ],
)
def test_a_wrong_setting_is_reported_by_name_and_nothing_is_run(
    recipe: Path, setting: str, said: str
):
    with pytest.raises(PupilaError) as caught:
        read_plan(recipe, changes=parse_changes([setting], read_source(recipe)))
    assert said in str(caught.value)
    if isinstance(caught.value, RecipeError):
        assert "This run's changes say so, not the file." in str(caught.value)


def test_a_mistake_of_the_file_is_not_said_to_be_one_of_the_changes(recipe: Path):
    recipe.write_text(RECIPE.replace("epochs: 2", "epochs: none"))
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe, changes=Changes.model_validate({"seed": 3}))
    assert "changes" not in str(caught.value)


def test_the_command_line_checks_a_recipe_as_it_would_run(recipe: Path):
    arguments = ["check", str(recipe), "--json", "--set", "steps.last={use: nothing, from: pupil}"]
    answer = CliRunner().invoke(app, arguments)
    (problem,) = json.loads(answer.stdout)["problems"]
    assert "No technique or exporter named 'nothing'" in problem["message"]


def _form() -> dict[str, Any]:
    return parameter_schema(compress).model_dump_for_openapi()


def test_the_form_has_every_field_of_a_recipe_with_its_sentence():
    definitions = _form()["definitions"]
    fields = definitions["Changes"]["properties"]
    wanted = {field.alias or name: field for name, field in Recipe.model_fields.items()}
    assert fields.keys() == wanted.keys()
    for name, field in fields.items():
        section = definitions.get(field.get("$ref", "").rpartition("/")[2], {})
        assert (section | field)["description"] == wanted[name].description


def test_the_form_sends_nothing_of_what_was_not_touched():
    """The Prefect UI sends defaults, and `false` for every switch."""
    definitions = _form()["definitions"]
    fields = [
        field
        for definition in definitions.values()
        for field in definition.get("properties", {}).values()
    ]
    assert fields
    assert not [field for field in fields if "default" in field or field.get("type") == "boolean"]
    assert not [field for field in fields if "const" in field]
    assert not any(definition.get("required") for definition in definitions.values())


def test_a_group_of_a_form_that_holds_no_settings_is_refused():
    with pytest.raises(ValueError, match="advanced is 3: expected settings by name"):
        Changes.model_validate({"advanced": 3})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"seed": None}, None),
        ({"steps": {"pupil": {"with": {"epochs": 3}, "control": False}}}, None),
        ({"data": {"expectations": {"minimum_images": 1}}}, None),
        ({"sede": 4}, "'sede' was unexpected"),
        ({"seed": -4}, "-4 is less than the minimum of 0"),
        ({"seed": "many"}, "'many' is not"),
        ({"steps": {"pupil": {"retries": "often"}}}, "'often' is not"),
    ],
)
def test_the_server_refuses_a_wrong_form_in_one_sentence(changes: dict[str, Any], said: str | None):
    parameters = {"recipe": "recipe.yaml", "changes": changes}
    if said is None:
        validate(parameters, _form(), raise_on_error=True)
        assert compress.validate_parameters(parameters)["recipe"] == "recipe.yaml"
        return
    with pytest.raises(ValidationError, match=said):
        validate(parameters, _form(), raise_on_error=True)


def test_changes_are_recorded_as_they_were_given():
    given = {"seed": 3, "steps": {"pupil": {"with": {"epochs": None}}}}
    assert json.loads(Changes.model_validate(given).model_dump_json()) == given
