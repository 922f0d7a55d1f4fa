"""What the docs say is what the code does."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pupila.plugin import StepPlugin
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import disc_locator, draw_images, photograph_filter
from pupila.testing.attention import attention_model
from pupila_flows.plan.expand import expand
from pupila_flows.plan.reading import read_plan

ROOT = Path(__file__).parent.parent


def test_the_reference_is_what_the_code_says_today():
    make = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
    written = (ROOT / "docs" / "reference.md").read_text()
    assert written == make["reference"](installed()), "run `python docs/make_reference.py`"


@pytest.mark.parametrize(
    "setting",
    [
        "views`: Views of each image.",
        "until`: Name of the last",
        "rounds`: Rounds of cutting",
    ],
)
def test_the_reference_describes_a_setting_of_several_steps_once(setting: str):
    text = (ROOT / "docs" / "reference.md").read_text()
    assert len(re.findall(rf"\* `[\w.]*{re.escape(setting)}", text)) == 1


def test_the_plugin_reference_is_what_the_code_says_today():
    make = runpy.run_path(str(ROOT / "docs" / "make_plugin_reference.py"))
    written = (ROOT / "docs" / "plugin-reference.md").read_text()
    assert written == make["reference"](), "run `python docs/make_plugin_reference.py`"


def test_every_technique_and_exporter_is_in_the_list_of_steps():
    readme = (ROOT / "docs" / "README.md").read_text()
    names = [plugin.name for plugin in installed().all(StepPlugin)]
    assert names
    assert [name for name in names if f"`{name}`" not in readme] == []


@pytest.fixture(scope="module")
def made_before(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, str]:
    """Make what recipes say that scripts and other recipes make; return environment variables."""
    folder = tmp_path_factory.mktemp("examples")
    draw_images(folder / "near-misses", images=1)
    (folder / "cut").mkdir()
    (folder / "cut" / "crops.csv").write_text("path,split,source\n")
    for script, name, *given in (
        ("unseen_images", "unseen"),
        ("whole_or_crop_images", "whole-or-crop"),
        ("chain_images", "chain", folder / "cut"),
    ):
        program = [sys.executable, ROOT / "examples" / f"{script}.py"]
        subprocess.run([*program, shared_data, *given, folder / f"{name}.csv"], check=True)
    attention_model("transformer").save(folder / "transformer.keras")
    store = Store(folder / "store")
    for run, names, model in (
        ("whole-or-crop", ("int8", "large"), photograph_filter(store)),
        ("localization", ("int8", "locator"), disc_locator(store)),
    ):
        for name in names:
            shutil.copytree(model.path, folder / "runs" / run / "latest" / name)
    names = {"UNSEEN": "unseen.csv", "WHOLE_OR_CROP": "whole-or-crop.csv", "CHAIN": "chain.csv"}
    names |= {"PUPILA_NEAR_MISSES": "near-misses", "RUNS": "runs"}
    names |= {"TRANSFORMER": "transformer.keras"}
    return {name: str(folder / made) for name, made in names.items()}


@pytest.mark.parametrize("recipe", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_recipe_is_valid(
    recipe: Path,
    made_before: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    shared_teachers: Path,
):
    for name, made in made_before.items():
        monkeypatch.setenv(name, made)
    assert read_plan(recipe).steps


def test_the_control_that_an_example_has_written_is_the_control(
    shared_data: Path, shared_teachers: Path
):
    nodes = {node.name: node for node in expand(read_plan(ROOT / "examples" / "glaucoma.yaml"))}
    assert not [name for name in nodes if "(control)" in name]
    assert nodes["pupil"].control == "control"


def test_the_readme_says_what_it_is_and_how_to_start_on_one_screen():
    start, _ = (ROOT / "README.md").read_text().split("\n## ", 1)
    assert "make demo" in start
    assert len(start.splitlines()) <= 30


def test_the_recipe_in_the_readme_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_teachers: Path
):
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "recipe.yaml").write_text(text)
    for label in ("glaucoma", "normal"):
        (tmp_path / "images" / "train" / label).mkdir(parents=True)
        (tmp_path / "images" / "train" / label / "1.png").touch()
    (tmp_path / "teacher.keras").symlink_to(shared_teachers / "squeezenet.keras")
    assert [step.name for step in read_plan(tmp_path / "recipe.yaml").steps]


def test_every_command_is_in_the_list_of_commands_and_exists():
    import typer.main

    from pupila_flows.cli.main import app

    known = set(typer.main.get_group(app).commands)
    listed = set(re.findall(r"\bpupila ([a-z]+)", (ROOT / "docs" / "README.md").read_text()))
    assert listed == known
