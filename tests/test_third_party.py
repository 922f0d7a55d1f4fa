"""A package of someone else, built and installed as pip would, beside one that is broken."""

from __future__ import annotations

import json
import shutil
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from third_party import EXAMPLES, answer, build_wheel, fresh_python, install

from pupila.testing import ignore_progress, write_distribution
from pupila_flows.data.synthetic import write_images

EXAMPLE = EXAMPLES / "plugin"

LIST = """
import json, sys

import pupila

registry = pupila.installed()
plugin = registry.step("average-weights")
origin = registry.origin(plugin)
print(json.dumps({
    "distribution": origin.distribution,
    "version": origin.version,
    "settings": sorted(plugin.config.model_fields),
    "broken": {each.distribution: each.error for each in registry.broken},
    "names": [entry.plugin.name for entry in registry.plugins],
    "heavy": [name for name in ("tensorflow", "keras") if name in sys.modules],
}))
"""

RECIPE = """
name: soup
requires: [average-weights-for-pupila]
data:
  path: images
  reader: {use: text-lists, with: {separator: "\t"}}
  expectations: {checks: {grey-images: {maximum: 1}}}
steps:
  first: {use: train, with: {student: plain-s, size: 32, epochs: 1}}
  second: {use: train, with: {student: plain-s, size: 32, epochs: 2}}
  soup: {use: average-weights, from: [first, second], with: {choice: uniform}}
  tflite: {use: export-tflite, from: soup}
  header: {use: export-c-array, from: tflite, against: first}
gate:
  steps: [header]
  margins: {true_class_probability: 0.9}
  fidelity: null
  limits: {wrong_and_sure: 0.99}
shift: {families: [reflection]}
"""
"""Uses everything that the package has but its command."""
SECTIONS = ("soups", "bytes-for-accuracy")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(EXAMPLE, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def path(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own, with a distribution beside it that is broken."""
    folder = tmp_path_factory.mktemp("path")
    install(wheel, folder)
    write_distribution(folder, "broken-for-pupila", "broken_plugin", "import no_such_library\n")
    return folder


def test_the_wheel_depends_on_the_core_and_on_what_computes(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        fields = message_from_string(archive.read(metadata).decode())
    needs = [
        requirement
        for requirement in fields.get_all("Requires-Dist", [])
        if "extra ==" not in requirement
    ]
    assert needs == [
        "ai-edge-litert",
        "keras>=3.15",
        "pupila-core",
        "tensorflow==2.19.*",
        "typer",
    ]
    assert {"average_weights/py.typed", "average_weights/pages/soup.html"} <= {*names}
    assert not [name for name in names if "test" in name]


def test_an_installed_wheel_is_listed_without_importing_a_framework(path: Path):
    listed = answer(fresh_python(path, "-c", LIST))
    assert listed["distribution"] == "average-weights-for-pupila"
    assert listed["version"] == "0.1.0"
    assert listed["settings"] == ["choice"]
    assert {"true_class_probability", "wrong_and_sure", *SECTIONS} <= {*listed["names"]}
    assert listed["heavy"] == []


def test_a_broken_package_beside_it_is_named_and_stops_nothing(path: Path):
    listed = answer(fresh_python(path, "-c", LIST))
    line = f"({path / 'broken_plugin.py'}, line 1)"
    assert listed["broken"]["broken-for-pupila"] == (
        f"ModuleNotFoundError: No module named 'no_such_library' {line}"
    )
    assert {"average-weights", "distill", "export-tflite"} <= set(listed["names"])


def test_its_command_and_its_check_work_beside_the_broken_package(path: Path, tmp_path: Path):
    helped = fresh_python(path, "-m", "pupila_flows", "weights-distance", "--help")
    assert "how far the weights of two Keras models" in helped.stdout
    counts = {"train": 6, "validation": 6, "test": 6}
    write_images(tmp_path / "images", counts, seed=1, progress=ignore_progress, size=64)
    command = ("-m", "pupila_flows", "validate", "images", "--json")
    ended = fresh_python(path, *command, folder=tmp_path)
    checks = json.loads(ended.stdout.splitlines()[-1])["checks"]
    (grey,) = (check for check in checks if "grey-images of average-weights" in check["name"])
    assert grey["passed"]
    assert grey["observed"] == "0 of 36 images are grey"


@pytest.mark.long
def test_a_recipe_runs_with_the_installed_plugin_beside_the_broken_one(path: Path, tmp_path: Path):
    counts = {"train": 30, "validation": 10, "test": 10}
    write_images(tmp_path / "images", counts, seed=1, progress=ignore_progress, size=64)
    write_lists(tmp_path / "images")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = ("-m", "pupila_flows", "run", "recipe.yaml", "--json")
    ran = fresh_python(path, *command, folder=tmp_path)
    result = json.loads(ran.stdout.splitlines()[-1])  # two epochs may not be above chance
    entries = {entry["name"]: entry for entry in result["entries"]}
    assert entries["soup"]["record"]["origin"]["distribution"] == "average-weights-for-pupila"
    assert len(entries["soup"]["record"]["measured"]["ingredients"]) == 2
    assert entries["header"]["evaluation"]["format"] == "c-array"
    added = entries["header"]["evaluation"]["metrics"]["added"]
    values = {figure["name"]: figure["estimate"]["value"] for figure in added}
    assert 0 <= values["true_class_probability"] <= 1
    (verdict,) = result["gate"]["artifacts"]
    findings = {finding["condition"]: finding for finding in verdict["findings"]}
    for condition in ("wrong_and_sure", "true_class_probability"):
        assert findings[condition]["verdict"] in ("pass", "inconclusive")
        assert findings[condition]["interval"] or findings[condition]["difference"]
    checks = [check["name"] for check in result["data"]["checks"]]
    assert any("grey-images of average-weights" in name for name in checks)
    text = (tmp_path / ".pupila" / "runs" / "soup" / "latest" / "report.html").read_text()
    assert "probability of the true class" in text and "Wrong and sure answers is" in text
    soups, costs = (text.split(f'<section id="added-{name}">')[1] for name in SECTIONS)
    assert "<summary>Ingredients</summary>" in soups.split("</section>")[0]
    assert "Bytes a point" in costs.split("</section>")[0]
    assert "cannot be drawn" not in text


def write_lists(images: Path) -> None:
    """Write the lists that the reader of the package reads."""
    for split in ("train", "validation", "test"):
        paths = sorted((images / split).glob("*/*.*"))
        lines = [f"{path.relative_to(images)}\t{path.parent.name}" for path in paths]
        (images / f"{split}.txt").write_text("\n".join(lines))


def test_a_recipe_without_its_package_says_so_in_one_sentence(tmp_path: Path):
    counts = {"train": 2, "validation": 2, "test": 2}
    write_images(tmp_path / "images", counts, seed=1, progress=ignore_progress, size=64)
    write_lists(tmp_path / "images")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = ("-m", "pupila_flows", "check", "recipe.yaml")
    ended = fresh_python(tmp_path, *command, folder=tmp_path)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.endswith(
        "recipe.yaml:3: the recipe requires the package 'average-weights-for-pupila', which is "
        "not installed: pip install 'average-weights-for-pupila'."
    )


@pytest.mark.slow
def test_the_tests_that_the_package_brings_pass(path: Path, tmp_path: Path):
    shutil.copytree(
        EXAMPLE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    ended = fresh_python(path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "skipped" not in ended.stdout
