"""`pupila new plugin` writes packages that build, pass their contracts, and are in good style."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from third_party import answer, build_wheel, fresh_python, install
from typer.testing import CliRunner

from pupila.errors import PupilaError
from pupila_flows.cli.main import app
from pupila_flows.cli.new.kinds import KINDS
from pupila_flows.cli.new.plugin import parse_kinds, write_package
from pupila_flows.data.synthetic import write_images

LIST = """
import json, pupila
registry = pupila.installed()
own = [entry.plugin for entry in registry.plugins if entry.distribution == "our-own"]
names = [f"{plugin.kind} {plugin.name}" for plugin in own]
print(json.dumps({"names": sorted(names), "broken": list(map(str, registry.broken))}))
"""
RECIPE = """
name: own
data:
  path: images
  expectations: {checks: {our-own: {maximum: 10}}}
steps:
  pupil: {use: train, with: {student: our-own, size: 64, epochs: 1}}
  sparse: {use: our-own, from: pupil}
  tflite: {use: export-tflite, from: sparse}
  compressed: {use: export-our-own, from: tflite}
gate:
  steps: [compressed]
  margins: {}
  fidelity: null
  limits: {our_own: 1000}
shift: {families: [our-own]}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a package with everything."""
    folder = tmp_path_factory.mktemp("new")
    written = CliRunner().invoke(
        app, ["new", "plugin", "our-own", "--kind", "all", "--into", str(folder)]
    )
    assert written.exit_code == 0, written.output
    assert f"pytest {folder / 'our-own'}" in written.output
    return folder / "our-own"


@pytest.fixture(scope="module")
def path(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("path")
    install(build_wheel(package, tmp_path_factory.mktemp("wheel")), folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_of_one_kind_is_listed(kind: str, tmp_path: Path):
    write_package(tmp_path / "our-own", "our-own", parse_kinds(kind))
    metadata = tmp_path / "our_own-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: our-own\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[pupila]\nour-own = our_own\n")
    (tmp_path / "our_own").symlink_to(tmp_path / "our-own" / "src" / "our_own")
    listed = answer(fresh_python(tmp_path, "-c", LIST))
    assert listed["broken"] == []
    name = {"exporter": "export-our-own", "metric": "our_own", "condition": "our_own"}
    of_kind = "image format" if kind == "image" else kind
    assert f"{of_kind} {name.get(kind, 'our-own')}" in listed["names"]


def test_what_it_writes_is_in_good_style(package: Path):
    rules = ["--select", "E,F,I,B,UP,N,RUF,SIM", "--line-length", "100"]
    for command in (["check", *rules], ["format", "--check", "--line-length", "100"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated"]
        ended = subprocess.run([*ruff, "."], cwd=package, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.long
def test_its_wheel_passes_its_contracts(package: Path, path: Path):
    ended = fresh_python(path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.long
def test_one_recipe_uses_all_of_it(path: Path, tmp_path: Path):
    from pupila.testing import ignore_progress

    counts = {"train": 30, "validation": 10, "test": 10}
    write_images(tmp_path / "images", counts, seed=1, progress=ignore_progress, size=64)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = ("-m", "pupila_flows", "run", "recipe.yaml", "--json")
    result = json.loads(fresh_python(path, *command, folder=tmp_path).stdout)
    entries = {entry["name"]: entry for entry in result["entries"]}
    assert entries["compressed"]["evaluation"]["format"] == "our-own"
    (verdict,) = result["gate"]["artifacts"]
    verdicts = {finding["condition"]: finding["verdict"] for finding in verdict["findings"]}
    assert verdicts["our_own"] == "pass"
    report = tmp_path / ".pupila" / "runs" / "own" / "latest" / "report.html"
    for words in ("The fastest model", "Energy per image", "The mean width is 10 or less"):
        assert words in report.read_text(), words


@pytest.mark.parametrize(
    ("name", "kinds", "message"),
    [
        ("Our Own", "technique", "lower-case words joined by dashes, at most 50"),
        ("our-own", "technik", "--kind names 'technik'.*Did you mean 'technique'"),
        ("our-own", "", "--kind names ''. Expected technique,"),
        ("our-own", "task", "copy examples/regression"),
        ("pupila-core", "technique", "'pupila-core' is installed already"),
        ("json", "technique", "'json' is installed already"),
    ],
)
def test_what_cannot_be_written_is_refused(name: str, kinds: str, message: str, tmp_path: Path):
    with pytest.raises(PupilaError, match=message):
        write_package(tmp_path / name, name, parse_kinds(kinds))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_as_it_is(package: Path):
    before = sorted(package.rglob("*"))
    with pytest.raises(PupilaError, match="exists already: give another name"):
        write_package(package, "our-own", parse_kinds("shift"))
    assert sorted(package.rglob("*")) == before
