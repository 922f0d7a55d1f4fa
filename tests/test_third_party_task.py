"""A task of someone else: its package is built, installed as pip would, and learned end to end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from third_party import EXAMPLES, answer, build_wheel, fresh_python, install

EXAMPLE = EXAMPLES / "regression"

LIST = """
import json, sys

import pupila

task = pupila.installed().task("regression")
print(json.dumps({
    "distribution": pupila.installed().origin(task).distribution,
    "columns": task.label_columns,
    "heavy": [name for name in ("tensorflow", "keras") if name in sys.modules],
}))
"""
DRAW = """
from pathlib import Path

from discs import draw_discs, train_teacher

drawn = draw_discs(Path("discs"), {"train": 100, "validation": 20, "test": 20})
print(train_teacher(drawn, epochs=30))
"""
QUICK = ("--set", "steps.pupil.with.epochs=2")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel of the example into a folder of its own."""
    folder = tmp_path_factory.mktemp("path")
    install(build_wheel(EXAMPLE, tmp_path_factory.mktemp("wheel")), folder)
    return folder


def test_an_installed_task_is_listed_without_importing_a_framework(path: Path):
    listed = answer(fresh_python(path, "-c", LIST))
    assert listed == {
        "distribution": "regression-for-pupila",
        "columns": ["value"],
        "heavy": [],
    }


@pytest.mark.long
def test_the_tests_that_the_package_brings_pass(path: Path, tmp_path: Path):
    """They are the contract of tasks, and what this one says of labels, figures and training."""
    tests = tmp_path / "tests"
    shutil.copytree(EXAMPLE / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    ended = fresh_python(path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "skipped" not in ended.stdout
    assert "passed" in ended.stdout


@pytest.mark.long
def test_the_recipe_of_the_package_runs_from_data_to_a_verdict(path: Path, tmp_path: Path):
    for name in ("discs.py", "discs.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    drawn = fresh_python(path, "-c", DRAW, folder=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    command = ("-m", "pupila_flows", "run", "discs.yaml", "--json", *QUICK)
    ran = fresh_python(path, *command, folder=tmp_path)  # two epochs may not pass the gate
    result = json.loads(ran.stdout.splitlines()[-1])
    entries = {entry["name"]: entry for entry in result["entries"]}
    for name in ("large", "pupil", "pupil-float", "pupil-int8"):
        metrics = entries[name]["evaluation"]["metrics"]
        assert metrics["images"] == 20
        figures = {figure["name"]: figure["estimate"] for figure in metrics["figures"]}
        assert list(figures) == ["mae", "rmse", "r2", "spearman"]
        assert 0 < figures["mae"]["value"] <= figures["rmse"]["value"]
    assert entries["pupil-float"]["evaluation"]["runtime"].startswith("LiteRT")
    assert entries["pupil-float"]["record"]["output"] == {
        "task": "regression",
        "kind": "number",
        "classes": ["radius"],
    }
    (verdict,) = (
        finding
        for artifact in result["gate"]["artifacts"]
        for finding in artifact["findings"]
        if finding["condition"] == "accuracy"
    )
    assert verdict["tested"] == 20


DOCS = """
import json, sys
from dataclasses import asdict

import pupila

given = {}
exec(sys.argv[1], given)
(task,) = given["pupila_tasks"]()
print(json.dumps(asdict(task) == asdict(pupila.installed().task("regression"))))
"""


def test_the_task_in_the_docs_is_that_of_the_package(path: Path):
    text = (EXAMPLES.parent / "docs" / "plugins.md").read_text()
    (code,) = (
        code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Task" in code
    )
    assert answer(fresh_python(path, "-c", DOCS, code)) is True
