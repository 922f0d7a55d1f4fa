"""What a recipe may ask of the gate, and which steps are asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_runs import sample_run
from typer.testing import CliRunner

from pupila.testing import draw_images
from pupila_flows.cli.main import app
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.source import RecipeError
from pupila_flows.run.gate import describe_origin, evaluated_by


def written(folder: Path, recipe: str) -> Path:
    """Write a recipe, and the data and the teacher that it names."""
    rows = [
        f"{path.relative_to(folder)},{path.parent.name},{path.parent.parent.name},"
        f"{'here' if path.stem == '0' else 'there'}"
        for path in sorted(draw_images(folder / "images", images=2).rglob("*.png"))
    ]
    (folder / "images.csv").write_text("\n".join(["path,label,split,site", *rows]))
    (folder / "model.keras").write_bytes(b"PK")
    path = folder / "recipe.yaml"
    path.write_text(recipe)
    return path


RECIPE = """\
name: gated
data: {path: images.csv}
teachers:
  big: {path: model.keras, classes: [square, triangle]}
steps:
  lite: {use: export-tflite, from: big}
  alone: {use: train, with: {student: conv-32-64-8}}
  page: {use: site, from: lite}
  one: {use: one-class, from: big, with: {positive: square}}
  after: {use: export-tflite, from: one}
gate: GATE
"""


def test_the_exports_at_the_ends_are_checked_unless_others_are_named(tmp_path: Path):
    run = sample_run(tmp_path)
    names = [entry.name for entry in evaluated_by(GateSection(), run.entries)]
    assert names == [
        "vgg16-int8",
        "pupil-float16",
        "pupil-dynamic",
        "pupil-int8",
        "pupil-int4",
        "pupil-web",
    ]
    chosen = evaluated_by(GateSection(steps=("pupil-float",)), run.entries)
    assert [entry.name for entry in chosen] == ["pupil-float"]
    by_name = {entry.name: entry for entry in run.entries}
    assert describe_origin(by_name["pupil-int8"], by_name) == (
        "quantize-int8 of pupil-float: export-tflite of pupil: distill of vgg16 and xception"
    )


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("{}", None),
        ("{steps: [lite], groups: [site], limits: {size_bytes: 9}}", None),
        ("{steps: [alone], margins: {}, limits: {accuracy: 0.9}}", None),
        ("{steps: [after]}", None),
        ("{steps: [one]}", "'one' has no teacher behind it to be compared with"),
        (
            "{steps: [lit]}",
            "'lit' is not a step: the gate checks models of steps. Did you mean 'lite'?",
        ),
        ("{steps: [page]}", "'page' uses site, whose artifacts are not evaluated"),
        ("{steps: [alone]}", "'alone' has no teacher behind it to be compared with"),
        ("{margins: {}}", None),
        ("{margins: {}, fidelity: null}", "gate asks nothing"),
        ("{fidelity: 1.5}", "gate.fidelity is 1.5: must be less than 1"),
        (
            "{margins: {acuracy: 0.1}}",
            "gate.margins.acuracy is not a known field. Did you mean 'accuracy'?",
        ),
        ("{margins: {log_loss: 0.05}, published: {log_loss: 0.1}}", "has no `publish`"),
        ("{margins: {log_loss: 0.05}}", None),
        (
            "{margins: {log_los: 0.05}}",
            "gate.margins.log_los is not a known field. Did you mean 'log_loss'? Known: accuracy, "
            "auc, sensitivity, specificity, log_loss.",
        ),
        ("{margins: {log_loss: 0}}", "gate.margins.log_loss is 0: must be greater than 0"),
        (
            "{margins: {log_loss: 6}}",
            "gate.margins.log_loss is 6: expected less than 5.54518, as log loss lies between 0 "
            "and 5.54518.",
        ),
        (
            "{margins: {balanced_accuracy: 0.05}}",
            "gate.margins.balanced_accuracy: the gate cannot compare two models by balanced "
            "accuracy, which needs a value for each image with bounds: leave it out.",
        ),
        ("{margins: {accuracy: 0}}", "gate.margins.accuracy"),
        ("{margins: {error: 0}}", "gate.margins.error is 0: must be greater than 0"),
        (
            "{margins: {error: 0.2}}",
            "gate.margins.error: models of the task 'classification' have no error, only accuracy, "
            "auc, sensitivity, specificity: leave it out.",
        ),
        (
            "{groups: [sit]}",
            "the data has no column 'sit' beside path, label and split; it has site.",
        ),
        ("{published: {accuracy: 0.1}}", "the recipe has no `publish`"),
        ("{anchor: 2}", "gate.anchor names a published version, but the recipe has no `publish`"),
        ("{anchor: last}", "gate.anchor is 'last': expected `first`, `none`, or the number"),
        ("{anchor: 0}", "gate.anchor is 0: expected `first`"),
        (
            "{margins: {}, limits: {size_bytes: 9}, groups: [site]}",
            "gate.groups asks for the margins",
        ),
    ],
)
def test_a_recipe_asks_for_what_can_be_asked(tmp_path: Path, gate: str, words: str | None):
    recipe = written(tmp_path, RECIPE.replace("GATE", gate))
    if words is None:
        assert read_plan(recipe).recipe.gate
        return
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert problem.line == 11
    assert words in problem.message


@pytest.mark.parametrize(
    ("gate", "artifacts", "line", "words"),
    [
        ("{}", "[page]", None, None),
        ("{steps: [lite]}", "[lite, page]", None, None),
        ("{margins: {}, limits: {size_bytes: 9}, published: {auc: 0.1}}", "[]", None, None),
        ("{margins: {}, published: {auc: 0.1}}", "[]", None, None),
        (
            "{margins: {}, fidelity: null, published: {auc: 0.1}}",
            "[]",
            11,
            "gate.published alone asks nothing of a first version",
        ),
        ("{steps: [after]}", "[after, lite]", 12, "'lite' would always be withheld"),
        (
            "{steps: [after]}",
            "[after, page]",
            12,
            "'page' would always be withheld, as the gate does not check 'lite'",
        ),
        ("{}", "[lite, one]", 12, "'one' would always be withheld, as the gate does not check"),
    ],
)
def test_a_recipe_that_could_never_publish_is_refused(
    tmp_path: Path, gate: str, artifacts: str, line: int | None, words: str | None
):
    recipe = written(
        tmp_path, RECIPE.replace("GATE", gate) + f"publish: {{artifacts: {artifacts}}}"
    )
    if words is None:
        assert read_plan(recipe).recipe.publish
        return
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert words in problem.message


def test_a_step_at_the_end_that_has_no_teacher_to_be_compared_with_is_reported(tmp_path: Path):
    last = RECIPE.replace("  after: {use: export-tflite, from: one}\n", "").replace("GATE", "{}")
    recipe = written(tmp_path, last)
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert "'one', the last of its branch" in problem.message
    partial = last.replace("from: big, with", "from: big, exclude: {site: [there]}, with")
    recipe.write_text(partial)
    assert read_plan(recipe).recipe.gate


PUPIL_OF_UNTAUGHT = """\
name: untaught
data: {path: images.csv}
teachers:
  big: {path: model.keras, classes: [square, triangle]}
steps:
  big-lite: {use: export-tflite, from: big}
  alone: {use: train, with: {student: conv-32-64-8}}
  one: {use: one-class, from: alone, with: {positive: square}}
  after: {use: export-tflite, from: one}
  pupil: {use: distill, from: alone}
gate: {margins: {}, limits: {size_bytes: 9}}
publish: {artifacts: ARTIFACTS}
"""


@pytest.mark.parametrize(
    ("artifacts", "missing"), [("[big-lite, pupil]", None), ("[after]", "after")]
)
def test_what_the_gate_checks_by_default_is_known_before_the_run(
    tmp_path: Path, artifacts: str, missing: str | None
):
    recipe = written(tmp_path, PUPIL_OF_UNTAUGHT.replace("ARTIFACTS", artifacts))
    if missing is None:
        assert read_plan(recipe).graph.default_gate_steps() == ("big-lite", "pupil")
        return
    with pytest.raises(RecipeError, match=f"{missing!r} would always be withheld"):
        read_plan(recipe)


DEFAULTS = "margins of accuracy 0.05, auc 0.05, sensitivity 0.05, specificity 0.05 by default"
FIDELITY = "fidelity from 0.85 by default on altered images"


@pytest.mark.parametrize(
    ("gate", "asked"),
    [
        ("{}", f"{DEFAULTS} (`margins: {{}}`: none) against the teacher, {FIDELITY}"),
        (
            "{limits: {size_bytes: 1000000}}",
            f"{DEFAULTS} (`margins: {{}}`: none) against the teacher, limits of size_bytes "
            f"1000000, {FIDELITY}",
        ),
        (
            "{margins: {}, limits: {accuracy: 0.9}, fidelity: null}",
            "margins of nothing against the teacher, limits of accuracy 0.9",
        ),
        (
            "{margins: {auc: 0.02}, published: {}, fidelity: 0.9}",
            "margins of auc 0.02 against the teacher, of nothing against what is published, "
            "fidelity from 0.9 on altered images",
        ),
    ],
)
def test_check_says_what_a_gate_asks_the_margins_that_nobody_wrote_too(
    tmp_path: Path, gate: str, asked: str
):
    recipe = RECIPE.replace("GATE", gate).replace(ONE_CLASS, "") + "publish: {}\n"
    path = written(tmp_path, recipe)
    said = CliRunner().invoke(app, ["check", str(path)])
    assert f"The gate asks: {asked}." in said.stderr
    checked = CliRunner().invoke(app, ["check", str(path), "--json"])
    margins = json.loads(checked.stdout)["gate_asks"]["margins"]
    written_down = {field: value for field, value in margins.items() if value is not None}
    assert all(f"{field} {value}" in asked for field, value in written_down.items())


ONE_CLASS = """\
  one: {use: one-class, from: big, with: {positive: square}}
  after: {use: export-tflite, from: one}
"""
