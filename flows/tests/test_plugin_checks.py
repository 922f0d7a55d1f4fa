"""Checks of the images that packages bring run, and are shown, like those of Pupila itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from pupila.errors import PluginFailed, PupilaError
from pupila.testing import draw_images, ignore_progress, plugin_installed
from pupila_flows.data.reading import read_data
from pupila_flows.jobs.check_data import CheckData, CheckedData
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.expectations import Bounds
from pupila_flows.recipe.schema import DataSection
from pupila_flows.recipe.source import RecipeError
from pupila_flows.results import Check
from pupila_flows.workspace import Workspace

CODE = """
from pydantic import Field

from pupila import Config, DataCheck, Fact, hookimpl


class Reddish(Config):
    minimum: float = Field(default=1.0, description="Lowest mean red of all images.")


@hookimpl
def pupila_checks():
    for name, config in {{"reddish": Reddish, "narrow": Config, "wide": Config{more}}}.items():
        yield DataCheck(
            name=name,
            summary=f"Images are {{name}}",
            config=config,
            implementation=f"{{__name__}}:{{name}}",
        )
    yield DataCheck(
        name="elsewhere",
        summary="Never runs on classes",
        tasks=frozenset({{"localization"}}),
        implementation="json:loads",
    )


def reddish(images, config):
    red = images["mean_red"].mean()
    images["mean_red"] = 0
    return Fact(
        name=f"The images have a mean red of {{config.minimum:g}} or more",
        severity="error",
        column="red",
        value=red,
        minimum=config.minimum,
        observed=f"it is {{red:.3g}}, $red <b>indeed</b>",
        advice="Turn up the red.",
        images=tuple(images["path"]),
    )


def narrow(images, config):
    from great_expectations import expectations

    return expectations.ExpectColumnMeanToBeBetween(
        column="width", max_value=8, severity="warning", description="Images are narrow"
    )


def wide(images, config):
    from great_expectations import expectations

    return expectations.ExpectColumnValuesToBeBetween(column="width", min_value=32)


def failing(images, config):
    return len(5)


def silent(images, config):
    pass


def lost(images, config):
    from great_expectations import expectations

    return expectations.ExpectColumnMeanToBeBetween(column="no_such_column", max_value=8)
"""

RECIPE = """\
name: red
data:
  path: images
  expectations:
    checks:
      {checks}
steps:
  pupil: {{use: train, with: {{student: conv-32-64-8, size: 32, epochs: 1}}}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "path"


@pytest.fixture
def checks(path: Path) -> Generator[None]:
    with plugin_installed(path, "red-dist", "red_checks", CODE.format(more="")):
        yield


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images", images=6)


def job(images: Path, tmp_path: Path, **settings: object) -> CheckData:
    workspace = Workspace.at(tmp_path / "workspace")
    bounds = Bounds.model_validate({"checks": settings})
    section = DataSection(path=str(images), expectations=bounds)
    return CheckData.of(workspace, read_data(images, None, workspace.cache), section, "images")


def theirs(checked: CheckedData) -> dict[str, Check]:
    """Return the checks of the package, by the name of its plugin."""
    ours = (check for check in checked.checks if check.name.endswith(" of red-dist)"))
    return {check.name.rpartition("(")[2].split()[0]: check for check in ours}


@pytest.mark.usefixtures("checks")
def test_functions_and_expectations_have_verdicts_like_our_own(images: Path, tmp_path: Path):
    checked = job(images, tmp_path).run(ignore_progress)
    found_out = theirs(checked)
    assert set(found_out) == {"reddish", "narrow", "wide"}
    red, narrow, wide = (found_out[name] for name in ("reddish", "narrow", "wide"))
    assert red.passed
    assert red.name.startswith("The images have a mean red of 1 or more (reddish of")
    assert len(red.images) == 20
    assert (narrow.passed, narrow.severity) == (False, "warning")
    assert narrow.observed.startswith("the value is ")
    assert wide.passed
    assert wide.observed.startswith("0 of ")
    assert all(check.passed for check in checked.checks if check.name.startswith("No image is in"))
    pages = "".join(page.read_text() for page in Path(checked.data_docs).parent.rglob("*.html"))
    for name in ("reddish of red-dist", "narrow of red-dist", "wide of red-dist"):
        assert pages.count(name) >= 2, "on the index, and as Great Expectations writes it"
    assert "<b>indeed</b>" not in pages


@pytest.mark.usefixtures("checks")
def test_a_recipe_sets_the_bound_which_is_in_the_key(images: Path, tmp_path: Path):
    strict = job(images, tmp_path, reddish={"minimum": 300})
    assert strict.key != job(images, tmp_path).key
    red = theirs(strict.run(ignore_progress))["reddish"]
    assert (red.passed, red.severity, red.advice) == (False, "error", "Turn up the red.")
    assert "mean red of 300 or more" in red.name


def test_the_code_of_an_installed_check_is_in_the_key(images: Path, tmp_path: Path):
    keys = {job(images, tmp_path).key}
    for version in ("1.0", "1.1"):
        folder = tmp_path / version
        with plugin_installed(folder, "red-dist", "red_checks", CODE.format(more=""), version):
            keys.add(job(images, tmp_path).key)
    assert len(keys) == 3


@pytest.mark.usefixtures("checks", "images")
@pytest.mark.parametrize(
    ("checks_given", "message"),
    [
        ("redish: {minimum: 3}", "No check named 'redish'. Did you mean 'reddish'?"),
        ("reddish: {minimum: high}", "minimum"),
        ("reddish: {maximum: 3}", "maximum"),
        ("elsewhere: {}", "elsewhere cannot check the task 'classification', only localization"),
    ],
)
def test_a_wrong_bound_is_reported_with_its_line_before_anything_runs(
    tmp_path: Path, checks_given: str, message: str
):
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(checks=checks_given))
    with pytest.raises(RecipeError) as raised:
        read_plan(tmp_path / "recipe.yaml")
    (problem,) = raised.value.problems
    assert problem.line == 6
    assert message in problem.message


@pytest.mark.usefixtures("checks", "images")
def test_a_bound_may_name_the_package_of_its_check(tmp_path: Path):
    text = RECIPE.format(checks="red-dist/reddish: {minimum: 3}")
    (tmp_path / "recipe.yaml").write_text(text)
    plan = read_plan(tmp_path / "recipe.yaml")
    assert plan.recipe.data.expectations.checks == {"reddish": {"minimum": 3}}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("failing", PluginFailed, "Check 'failing' of red-dist 1.0 raised TypeError: object of"),
        ("silent", PupilaError, "Check 'silent' of red-dist 1.0 answered None, where a `Fact`"),
        ("lost", PupilaError, "'Images are lost (lost of red-dist)' cannot be evaluated"),
    ],
)
def test_a_check_that_fails_names_its_package(
    path: Path, images: Path, tmp_path: Path, name: str, error: type[Exception], message: str
):
    code = CODE.format(more=f', "{name}": Config')
    with plugin_installed(path, "red-dist", "red_checks", code), pytest.raises(error) as raised:
        job(images, tmp_path).run(ignore_progress)
    assert message in str(raised.value)


@pytest.mark.usefixtures("checks")
def test_the_command_validate_runs_and_prints_them(images: Path, tmp_path: Path, path: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "pupila_flows", "validate", str(images), "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )
    summary = json.loads(ended.stdout.splitlines()[-1])
    names = {check["name"] for check in summary["checks"]}
    assert "Images are narrow (narrow of red-dist)" in names
