"""Which installed steps work on other tasks than classification, and how the others are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pupila.plugin import StepPlugin
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import disc_dataset, disc_locator
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

LOCALIZATION = "localization"

ONLY_CLASSIFIERS = {
    "distill-attention",
    "distill-consistent",
    "distill-embedding",
    "distill-evolutionary",
    "distill-oracle",
    "prune-obd",
    "threshold",
    "untrained",
}

RECIPE = """\
name: discs
data: {path: discs.csv, task: localization}
teachers:
  big: {path: big.keras}
steps:
  lite: {use: export-tflite, from: big}
  small: {use: qat, from: big}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, the CSV of their discs, and a teacher."""
    folder = tmp_path_factory.mktemp("discs")
    frame = disc_dataset(folder, images=4).frame
    paths, splits, labels = (frame[name].tolist() for name in ("path", "split", "label"))
    lines = [
        ",".join([path, split, *label.split()])
        for path, split, label in zip(paths, splits, labels, strict=True)
    ]
    header = "path,split,x,y,half_width,half_height"
    (folder / "discs.csv").write_text("\n".join([header, *lines, ""]))
    locator = disc_locator(Store(folder / "store"))
    shutil.copyfile(locator.file(".keras"), folder / "big.keras")
    return folder


def test_every_step_but_these_works_on_a_locator():
    steps = installed().all(StepPlugin)
    assert {step.name for step in steps if not step.can_do(LOCALIZATION)} == ONLY_CLASSIFIERS


def test_a_recipe_with_steps_for_a_locator_is_planned(folder: Path):
    page = "  page: {use: site, from: lite, with: {filter: auto}}\n"
    (folder / "recipe.yaml").write_text(RECIPE + page)
    used = [step.plugin.name for step in read_plan(folder / "recipe.yaml").steps]
    assert sorted(used) == ["export-tflite", "export-tflite", "one-class-distance", "qat", "site"]


@pytest.mark.parametrize(
    ("step", "able"),
    [
        ("{use: threshold, from: lite, with: {positive: disc}}", "quantize-int8"),
        ("{use: prune-obd, from: big}", "prune-magnitude"),
        ("{use: distill-embedding, from: big, control: false}", "distill"),
        ("{use: untrained, with: {backbone: MobileNetV2}}", "train"),
    ],
)
def test_a_step_for_classifiers_alone_is_refused_in_one_sentence(
    folder: Path, step: str, able: str
):
    message = refusal(folder, step)
    name = step.split()[1].rstrip(",")
    start = f"{name} cannot do the task 'localization', only classification: leave it out, or"
    assert message.startswith(start)
    assert able in message.partition("use what can do it (")[2]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "{use: search, from: big, with: {strategy: append}}",
            "`strategy: append` is for the task 'classification' alone, and the data is labelled "
            "for 'localization': write `strategy: evolve`.",
        ),
        (
            "{use: one-class, from: big, with: {positive: disc}}",
            "`positive` is 'disc', a class, and data for localization has none: learn all images "
            "with `positive: null`.",
        ),
    ],
)
def test_a_setting_for_classifiers_alone_is_refused_in_one_sentence(
    folder: Path, step: str, said: str
):
    assert refusal(folder, step).endswith(said)


def refusal(folder: Path, step: str) -> str:
    """Return the only problem of a recipe with this step."""
    (folder / "recipe.yaml").write_text(f"{RECIPE}  other: {step}\n")
    with pytest.raises(RecipeError) as caught:
        read_plan(folder / "recipe.yaml")
    (problem,) = caught.value.problems
    assert problem.line == 8
    return problem.message
