"""The form of a recipe in Prefect's UI: its fields, and what a filled-in form changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate

from pupila import PupilaError
from pupila.testing import draw_images
from pupila_flows.plan.form import changes_of_form, form_of, settings_of
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.overrides import Changes
from pupila_flows.recipe.source import read_source
from pupila_flows.run.flow import compress
from pupila_flows.station.register import show_form

RECIPE = """\
name: eyes
seed: 7
data: {path: images}
teachers:
  big: {path: model.keras, classes: [square, triangle], unproven: true}
steps:
  pupil: {use: distill, from: big}
  v1.small:
    use: distill
    from: big
    with: {student: conv-32-64-8, epochs: 5, patience: null, augmentation: {views: 2}}
  lite: {use: export-tflite, from: v1.small}
gate: {limits: {size_bytes: 400000}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    draw_images(tmp_path / "images", images=2)
    (tmp_path / "model.keras").write_bytes(b"PK")
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


@pytest.fixture
def plan(recipe: Path) -> Plan:
    return read_plan(recipe)


def _untouched(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what Prefect's UI sends if nobody touches the form: all defaults, and no other key."""
    values = {
        name: _untouched(field) if "properties" in field else field.get("default")
        for name, field in schema["properties"].items()
    }
    sent = {name: value for name, value in values.items() if value is not None}
    return json.loads(json.dumps(sent))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seed", {"type": "integer", "default": 7, "minimum": 0}),
        ("steps.pupil.epochs", {"type": "integer", "default": 56, "minimum": 1}),
        ("steps.v1.small.epochs", {"type": "integer", "default": 5, "minimum": 1}),
        ("steps.v1.small.student", {"type": "string", "default": "conv-32-64-8"}),
        ("steps.v1.small.augmentation.views", {"type": "integer", "default": 2}),
        ("gate.margins.accuracy", {"type": "number", "default": 0.05}),
        ("gate.fidelity", {"type": "number", "default": 0.85}),
        ("gate.limits.size_bytes", {"type": "integer", "default": 400_000}),
    ],
)
def test_a_setting_that_a_run_may_change_is_a_field_with_the_value_of_the_recipe(
    plan: Plan, name: str, expected: dict[str, Any]
):
    field = form_of(plan)["properties"][name]
    assert expected.items() <= field.items()
    assert field["title"] == name and field["description"].endswith(".")


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("workers", 2),
        ("data.path", "images"),
        ("steps.pupil.student.head", 320),
        ("steps.v1.small.temperature", 4.0),
        ("steps.v1.small.average", None),
        ("steps.pupil.timeout_minutes", 180.0),
        ("steps.lite.retries", 1),
        ("evaluate.threads", []),
    ],
)
def test_all_other_settings_are_in_the_group_advanced(plan: Plan, name: str, default: Any):
    form = form_of(plan)
    assert name not in form["properties"]
    assert form["properties"]["advanced"]["properties"][name].get("default") == default


def test_what_means_nothing_or_would_be_another_recipe_is_not_in_the_form(plan: Plan):
    names = settings_of(plan).keys()
    assert "steps.pupil.control" in names and "steps.lite.control" not in names
    assert not names & {"name", "sweep", "steps.pupil.use", "steps.pupil.from", "steps.pupil.with"}


def test_the_fields_keep_their_order_in_a_database_that_sorts_them(plan: Plan):
    fields = form_of(plan)["properties"]
    placed = sorted(fields, key=lambda name: fields[name]["position"])
    assert placed == list(fields)
    assert placed[0] == "seed" and placed[-1] == "advanced"


def test_a_form_that_nobody_touched_is_the_recipe_as_it_is_written(recipe: Path, plan: Plan):
    form = Changes.model_validate(_untouched(form_of(plan)))
    assert changes_of_form(plan, form).given() == {}
    again = read_plan(recipe, changes=changes_of_form(plan, form))
    assert again.text == read_source(recipe).text


@pytest.mark.parametrize(
    ("filled_in", "expected"),
    [
        ({"seed": 3}, {"seed": 3}),
        ({"steps.pupil.epochs": 4}, {"steps": {"pupil": {"with": {"epochs": 4}}}}),
        ({"steps.v1.small.epochs": 4}, {"steps": {"v1.small": {"with": {"epochs": 4}}}}),
        ({"advanced": {"steps.lite.retries": 0}}, {"steps": {"lite": {"retries": 0}}}),
        ({"steps.v1.small.epochs": None}, {}),
        ({"gate.limits.size_bytes": 5}, {"gate": {"limits": {"size_bytes": 5}}}),
        ({"publish": {"limits": "None."}}, {"publish": {"limits": "None."}}),
    ],
)
def test_only_what_differs_from_the_recipe_is_a_change(
    plan: Plan, filled_in: dict[str, Any], expected: dict[str, Any]
):
    sent = _untouched(form_of(plan))
    advanced = sent["advanced"] | filled_in.get("advanced", {})
    changes = Changes.model_validate(sent | filled_in | {"advanced": advanced})
    assert changes_of_form(plan, changes).given() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gate.margins.accuracy", 0.02),
        ("steps.pupil.augmentation.views", 3),
        ("steps.pupil.student.head", 64),
        ("steps.v1.small.augmentation.views", 9),
    ],
)
def test_a_change_leaves_every_other_setting_as_it_is(
    recipe: Path, plan: Plan, name: str, value: float
):
    changes = changes_of_form(plan, Changes.model_validate({"advanced": {name: value}}))
    before = {key: setting.value for key, setting in settings_of(plan).items()}
    after = settings_of(read_plan(recipe, changes=changes))
    assert {key: setting.value for key, setting in after.items()} == before | {name: value}


def test_a_form_that_is_older_than_its_recipe_is_refused_with_what_to_do(plan: Plan):
    form = Changes.model_validate({"steps.pupils.epochs": 3})
    with pytest.raises(
        PupilaError, match=r"no setting 'steps\.pupils\.epochs'\. Did you mean"
    ) as e:
        changes_of_form(plan, form)
    assert "pupila station deploy" in str(e.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"seed": 3, "steps.pupil.epochs": 3, "advanced": {"steps.lite.retries": 0}}, None),
        ({"steps": {"pupil": {"with": {"epochs": 3}}}}, None),
        ({"publish": {"limits": "None."}}, None),
        ({"steps.pupil.epochs": 0}, "0 is less than the minimum of 1"),
        ({"steps.pupil.epochs": "many"}, "'many' is not of type 'integer'"),
        ({"steps.other.epochs": 3}, "'steps.other.epochs' does not match any of the regexes"),
        ({"publish": {"limit": "None."}}, "'limit' was unexpected"),
    ],
)
def test_the_server_checks_a_form_and_the_sections_that_a_program_sends(
    plan: Plan, changes: dict[str, Any], said: str | None
):
    schema = parameter_schema(compress)
    show_form(schema, form_of(plan))
    parameters = {"recipe": "recipe.yaml", "changes": changes}
    if said is None:
        validate(parameters, schema.model_dump_for_openapi(), raise_on_error=True)
        assert compress.validate_parameters(parameters)["changes"]
        return
    with pytest.raises(ValidationError, match=said):
        validate(parameters, schema.model_dump_for_openapi(), raise_on_error=True)


def test_names_survive_the_way_through_prefects_database():
    given = {"seed": 3, "steps.pupil.epochs": 4, "advanced": {"workers": 1}}
    changes = Changes.model_validate(given)
    again = Changes.model_validate_json(changes.model_dump_json())
    assert again.by_name == {"steps.pupil.epochs": 4, "workers": 1}
    assert again.given() == {"seed": 3}
