"""A run says what its gate can show before it trains anything."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pupila_flows.plan.reach import GateReach, reach_of_plan
from pupila_flows.plan.reading import read_plan

RECIPE = """\
name: eyes
data: {path: DATA, positive: glaucoma}
teachers:
  big: {path: big.keras, classes: [glaucoma, normal]}
steps:
  lite: {use: export-tflite, from: big}
"""
ACRIMA = {"glaucoma": 59, "normal": 48}
"""Test images of each class that are there."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images, listed in a CSV and in folders, and a teacher that nobody opens."""
    (tmp_path / "big.keras").write_bytes(b"PK")
    Image.new("RGB", (8, 8)).save(tmp_path / "eye.png")
    with (tmp_path / "eyes.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split", "site"])
        for split in ("train", "test"):
            for label, count in ACRIMA.items():
                for number in range(count):
                    site = "south" if number < 10 else "north"
                    writer.writerow([f"eyes/{split}/{label}/{number}.png", label, split, site])
                    folder_of_class = tmp_path / "eyes" / split / label
                    folder_of_class.mkdir(parents=True, exist_ok=True)
                    (folder_of_class / f"{number}.png").hardlink_to(tmp_path / "eye.png")
    return tmp_path


def _reach(folder: Path, gate: str, data: str = "eyes.csv", more: str = "") -> GateReach | None:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("DATA", data) + gate + "\n" + more)
    return reach_of_plan(read_plan(recipe))


@pytest.mark.parametrize("data", ["eyes.csv", "eyes"])
def test_with_107_images_not_even_an_equal_model_passes_the_default_gate(folder: Path, data: str):
    reach = _reach(folder, "gate: {}", data)
    assert reach is not None
    assert reach.sentence == (
        "Gate: with 107 test images (59 glaucoma, 48 normal) an equally good model that differs "
        "in 5 % of them passes, in 8 of 10 runs, margins from: accuracy 0.078, AUC 0.068, "
        "sensitivity 0.119, specificity 0.133."
    )
    (warning,) = reach.warnings
    assert "accuracy 0.05, AUC 0.05, sensitivity 0.05, specificity 0.05" in warning


def test_margins_within_reach_are_no_warning_and_what_is_not_asked_is_not_reported(folder: Path):
    reach = _reach(folder, "gate: {margins: {accuracy: 0.08}}")
    assert reach is not None
    assert reach.sentence.endswith("margins from: accuracy 0.078.")
    assert reach.warnings == ()


def test_a_margin_against_what_is_published_counts_where_the_recipe_publishes(folder: Path):
    gate = "gate: {margins: {accuracy: 0.08}, published: {accuracy: 0.02}}"
    reach = _reach(folder, gate, more="publish: {}")
    assert reach is not None
    assert "(accuracy 0.02)" in reach.warnings[0]


def test_the_smallest_group_is_reported_too(folder: Path):
    reach = _reach(folder, "gate: {margins: {accuracy: 0.3}, groups: [site]}")
    assert reach is not None
    assert reach.warnings == ()
    reach = _reach(folder, "gate: {margins: {accuracy: 0.1}, groups: [site]}")
    assert reach is not None
    (warning,) = reach.warnings
    assert "the 20 test images where site = south can hardly show (accuracy 0.1)" in warning


def test_a_group_that_is_large_and_has_no_image_of_a_kind_is_reported(folder: Path):
    """The smaller group is large enough, and no specificity is ever shown of the larger one."""
    lines = (folder / "eyes.csv").read_text().splitlines()
    kept = [line.rpartition(",")[0] for line in lines[1:]]
    told_by = [f"{line},{'clinic' if ',glaucoma,' in line else 'street'}" for line in kept]
    (folder / "eyes.csv").write_text("\n".join([lines[0], *told_by]))
    reach = _reach(folder, "gate: {margins: {specificity: 0.4}, groups: [site]}")
    assert reach is not None
    (warning,) = reach.warnings
    assert "the 59 test images where site = clinic can hardly show (specificity 0.4)" in warning


def test_that_fewer_patients_than_images_show_less_is_reported(folder: Path):
    text = (folder / "eyes.csv").read_text()
    (folder / "eyes.csv").write_text(text.replace(",site\n", ",patient\n"))
    reach = _reach(folder, "gate: {margins: {accuracy: 0.08}}")
    assert reach is not None
    assert reach.sentence.endswith("They are of 2 patients, who can show less.")


@pytest.mark.parametrize(
    ("shared", "unnamed", "said"),
    [
        (0, 0, ""),
        (0, 105, ""),
        (2, 105, "They are of 106 patients, who can show less."),
        (107, 0, "They are of 1 patient, who can show less."),
    ],
)
def test_images_without_a_patient_are_patients_by_themselves(
    folder: Path, shared: int, unnamed: int, said: str
):
    """The first images are `shared` by a patient, the last have none, and one each is between."""
    with (folder / "eyes.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    with (folder / "eyes.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split", "patient"])
        for number, row in enumerate(rows):
            named = "ada" if number < shared else f"p{number}"
            patient = named if number < len(rows) - unnamed else ""
            writer.writerow([row["path"], row["label"], "test", patient])
    reach = _reach(folder, "gate: {margins: {accuracy: 0.08}}")
    assert reach is not None
    assert reach.sentence.partition("accuracy 0.078.")[2].strip() == said


@pytest.mark.parametrize("gate", ["", "gate: {margins: {}, limits: {size_bytes: 9}}"])
def test_what_compares_nothing_has_no_reach(folder: Path, gate: str):
    assert _reach(folder, gate) is None


def test_check_tells_it_and_finds_the_recipe_valid_without_a_framework(folder: Path):
    (folder / "recipe.yaml").write_text(RECIPE.replace("DATA", "eyes.csv") + "gate: {}\n")
    program = (
        "import sys; from pupila_flows.cli.main import app; app(standalone_mode=False);"
        "print([name for name in ('tensorflow', 'prefect', 'pandas') if name in sys.modules])"
    )

    def check(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, "check", "recipe.yaml", *more],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = check()
    assert done.returncode == 0, done.stderr
    assert "recipe.yaml is valid" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Gate: with 107 test images" in done.stderr
    assert "warning: The gate asks for margins that these test images can hardly" in done.stderr
    summary = json.loads(check("--json").stdout.splitlines()[0])
    assert len(summary["gate"]["warnings"]) == 1
