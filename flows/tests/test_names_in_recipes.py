"""Recipes may name a plugin by its package and must, where two packages have one of its name."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pupila.artifact import Origin
from pupila.spec import InputSpec, OutputSpec
from pupila.testing import (
    CLASSES,
    draw_images,
    ignore_progress,
    plugin_installed,
    read_images,
)
from pupila_flows.cli.main import app
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import expand
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.workspace import Workspace

BEADS = """
from pupila import Exporter, Runner, Shift, StepResult, hookimpl


@hookimpl
def pupila_exporters():
    yield Exporter(
        name="string",
        summary="Strings beads",
        accepts=frozenset({{"glass"}}),
        produces="glass",
        implementation=f"{{__name__}}:string",
    )


@hookimpl
def pupila_runners():
    yield Runner(
        name="{runner}",
        summary="Counts",
        format="glass",
        primary={primary},
        implementation=f"{{__name__}}:string",
    )


@hookimpl
def pupila_shifts():
    yield Shift(name="twist", summary="Twists", implementation=f"{{__name__}}:string")


def string(step):
    (step.output / "beads.txt").write_text("{package}")
    return StepResult.like(step.inputs[0], format="glass")
"""

RECIPE = """\
name: beads
data: {{path: images, task: {task}}}
teachers:
  big: {{path: big.glass}}
steps:
  strung: {{use: {use}, from: big}}
evaluate: {{runtimes: [{runtime}]}}
shift: {{families: [{family}]}}
"""

GOOD = {
    "use": "other-package/string",
    "task": "pupila-core/classification",
    "runtime": "other-package/counter",
    "family": "first-package/twist",
}


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    path = tmp_path_factory.mktemp("path")
    first = BEADS.format(package="first", runner="abacus", primary=True)
    other = BEADS.format(package="other", runner="counter", primary=False)
    with (
        plugin_installed(path / "a", "first-package", "named_first", first),
        plugin_installed(path / "b", "other-package", "named_other", other),
    ):
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def recipe(tmp_path: Path, workspace: Workspace) -> Path:
    draw_images(tmp_path / "images", images=1)
    with workspace.store.draft() as folder:
        (folder / "glass.txt").write_text("O")
        artifact = workspace.store.add(
            folder,
            format="glass",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=CLASSES),
            origin=Origin(plugin="glass", distribution="first-package", version="1"),
        )
    (tmp_path / "big.glass").symlink_to(artifact.path)
    return tmp_path / "recipe.yaml"


def job(recipe: Path, workspace: Workspace, use: str) -> RunStep:
    """Return the job of the step of a recipe with this `use`."""
    recipe.write_text(RECIPE.format(**GOOD | {"use": use}))
    plan = read_plan(recipe)
    (node,), (teacher,) = expand(plan), plan.teachers
    assert teacher.artifact
    images = read_images(recipe.parent / "images", workspace.cache)
    return RunStep.of(workspace, node, images).on([StoredArtifact.of(teacher.artifact)])


def test_names_with_a_package_are_known_everywhere_and_shortened_where_they_can_be(recipe: Path):
    recipe.write_text(RECIPE.format(**GOOD))
    plan = read_plan(recipe)
    assert plan.recipe.data.task == "classification"
    assert plan.recipe.evaluate.runtimes == ("counter",)
    assert plan.recipe.shift
    assert plan.recipe.shift.families == ("first-package/twist",)
    assert plan.recipe.steps["strung"].use == "other-package/string"


@pytest.mark.parametrize(
    ("field", "name", "line", "message"),
    [
        ("use", "string", 6, "write 'first-package/string' or 'other-package/string'."),
        ("family", "twist", 8, "write 'first-package/twist' or 'other-package/twist'."),
        ("use", "other-package/strings", 6, "Did you mean 'other-package/string'?"),
        ("runtime", "other-package/abacus", 7, "No runtime named 'other-package/abacus'"),
        ("task", "other-package/classification", 2, "No task named 'other-package/classification'"),
    ],
)
def test_a_name_that_says_too_little_is_a_mistake_with_its_line(
    recipe: Path, field: str, name: str, line: int, message: str
):
    recipe.write_text(RECIPE.format(**GOOD | {field: name}))
    with pytest.raises(RecipeError) as raised:
        read_plan(recipe)
    (problem,) = raised.value.problems
    assert problem.line == line
    assert message in problem.message


def test_each_of_the_two_runs_its_own_code_under_a_key_of_its_own(
    recipe: Path, workspace: Workspace
):
    jobs = {who: job(recipe, workspace, f"{who}-package/string") for who in ("first", "other")}
    assert jobs["first"].key != jobs["other"].key
    for who, its_job in jobs.items():
        made = workspace.store.open(its_job.run(ignore_progress).artifact)
        assert (made.path / "beads.txt").read_text() == who
        assert made.record.origin.distribution == f"{who}-package"


def test_the_list_of_plugins_shows_a_clash_and_what_to_write():
    listed = CliRunner().invoke(app, ["plugins", "--json"])
    assert listed.exit_code == 0, listed.output
    answer = json.loads(listed.stdout)
    names = {row["name"] for row in answer["plugins"]}
    assert {"first-package/string", "other-package/string", "distill", "abacus"} <= names
    assert (
        "Several packages have a technique or exporter named 'string' (first-package, "
        "other-package): write 'first-package/string' or 'other-package/string'."
    ) in answer["clashes"]
    read = CliRunner().invoke(app, ["plugins"])
    assert "warning: Several packages have a technique or exporter named 'string'" in read.output
