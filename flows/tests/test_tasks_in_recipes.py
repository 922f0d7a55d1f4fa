"""A recipe whose data is of a task beyond classification: what is checked, and what is refused."""

# long: a table of mistakes

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from textwrap import dedent

import pytest

from pupila.plugin import ANY_TASK, Exporter, Loader, Runner, Technique
from pupila.plugin_loading import RegisteredPlugin
from pupila.plugin_registry import PluginRegistry
from pupila.task import ErrorMeasure
from pupila.testing.spots import SPOTS, Spots, draw_spots, spots_installed
from pupila.training.schedule import Schedule
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reach import reach_of_plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

PLUGINS = (
    Technique(
        name="learn",
        summary="-",
        implementation="json:loads",
        accepts=frozenset({"keras"}),
        produces="keras",
        config=Schedule,
        needs_data=True,
        tasks=frozenset({"classification", SPOTS}),
        control="only-classes",
    ),
    Technique(
        name="only-classes",
        summary="-",
        implementation="json:loads",
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        min_inputs=0,
    ),
    Technique(
        name="take-features",
        summary="-",
        implementation="json:loads",
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        features_only=True,
        tasks=ANY_TASK,
    ),
    Exporter(
        name="export",
        summary="-",
        implementation="json:loads",
        accepts=frozenset({"keras"}),
        produces="tflite",
        tasks=ANY_TASK,
    ),
    Runner(name="keras", summary="-", implementation="json:loads", format="keras"),
    Runner(name="litert", summary="-", implementation="json:loads", format="tflite"),
    Loader(
        name="keras",
        summary="Keras",
        implementation="json:loads",
        produces="keras",
        recognises=lambda path: path.suffix == ".keras",
    ),
)
RECIPE = """\
name: spots
data: {path: images/spots.csv, task: spots}
teachers:
  big: {path: big.keras}
steps:
  small: {use: learn, from: big, control: false}
  lite: {use: export, from: small}
"""
Read = Callable[..., Plan]


@pytest.fixture
def read(tmp_path: Path) -> Generator[Read]:
    draw_spots(tmp_path / "images")
    (tmp_path / "big.keras").write_bytes(b"PK")
    registry = PluginRegistry(tuple(RegisteredPlugin(plugin, "test", "1") for plugin in PLUGINS))

    def from_changed(*changes: tuple[str, str]) -> Plan:
        text = RECIPE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "recipe.yaml"
        file.write_text(dedent(text))
        return read_plan(file, registry)

    with spots_installed(tmp_path / "site"):
        yield from_changed


def test_a_recipe_of_another_task_is_planned(read: Read):
    plan = read()
    (teacher,) = plan.teachers
    assert plan.recipe.data.task == SPOTS
    assert (teacher.spec.task, teacher.spec.kind) == (SPOTS, "coordinates")
    assert teacher.spec.classes == ("spot",)
    assert plan.recipe.data.positive_class(("spot",)) == ""


def test_a_teacher_has_the_names_of_the_data_and_any_kind_of_the_task(read: Read):
    plan = read(
        ("task: spots", "task: spots, classes: [disc]"), ("big.keras", "big.keras, output: grid")
    )
    assert (plan.teachers[0].spec.kind, plan.teachers[0].spec.classes) == ("grid", ("disc",))


def _name_columns(folder: Path, *names: str) -> None:
    """Rename the columns of positions to those of names, all at the same positions."""
    _, *lines = (folder / "spots.csv").read_text().splitlines()
    columns = ",".join(f"{name}_{part}" for name in names for part in "xy")
    rows = [line.split(",") for line in lines]
    text = [f"{path},{split},{','.join([x, y] * len(names))}" for path, x, y, split in rows]
    (folder / "spots.csv").write_text("\n".join([f"path,split,{columns}", *text, ""]))


def test_data_and_teachers_have_the_name_of_the_columns(read: Read, tmp_path: Path):
    _name_columns(tmp_path / "images", "left")
    external = ("steps:", "external: {there: {path: images/spots.csv}}\ngate: {}\nsteps:")
    plan = read(external)
    assert plan.teachers[0].spec.classes == ("left",)
    assert len(plan.external[0].listing.labels) > 1
    reach = reach_of_plan(plan)
    assert reach is not None
    assert reach.sentence.startswith("Gate: with 5 test images")


def test_one_of_several_names_is_chosen_in_the_recipe(read: Read, tmp_path: Path):
    _name_columns(tmp_path / "images", "left", "right")
    chosen = read(("task: spots", "task: spots, classes: [right]"))
    assert chosen.teachers[0].spec.classes == ("right",)
    for change, message in (
        (("task: spots", "task: spots"), "has the labels of 'left', 'right', of which one can be"),
        (("task: spots", "task: spots, classes: [rigt]"), "not of 'rigt': give .* mean 'right'"),
    ):
        with pytest.raises(RecipeError, match=message) as caught:
            read(change)
        assert [problem.line for problem in caught.value.problems] == [2]


def test_mixtures_are_refused_in_a_sweep_too(read: Read):
    with pytest.raises(RecipeError) as caught:
        read(("steps:", "sweep: {small.augmentation.mixup: [0, 1]}\nsteps:"))
    assert [problem.message for problem in caught.value.problems] == [
        "`mixup` is 1, but a mixture of two pictures has no label in the task 'spots': leave it "
        "out."
    ]


def test_a_teacher_of_features_may_have_learned_something_else(read: Read):
    own = ("{path: big.keras}", "{path: big.keras, task: classification, classes: [a, b]}")
    plan = read(own, ("use: learn", "use: take-features"))
    assert plan.teachers[0].spec.task == "classification"


def test_the_gate_asks_by_default_only_for_what_the_task_has(read: Read):
    plan = read(("steps:", "gate: {}\nsteps:"))
    assert plan.recipe.gate is not None
    assert plan.recipe.gate.margins.asked == {"accuracy": 0.05}
    assert "accuracy 0.05 by default" in plan.recipe.gate.words
    reach = reach_of_plan(plan)
    assert reach is not None
    assert reach.sentence.startswith("Gate: with 5 test images an equally good model")


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("task: spots", "task: spot"), 2, "No task named 'spot'. Did you mean 'spots'? Installed: "
         "classification, localization, spots."),
        (("task: spots", "task: spots, classes: [a, b]"), 2, "data.classes: takes 1 name at most "
         "in the task 'spots', and has 2."),
        (("task: spots", "task: spots, positive: spot"), 2, "positive names a class, and the task "
         "'spots' has no classes: leave it out."),
        (("task: spots", "task: spots, hard_negatives: {label: spot}"), 2, "hard_negatives makes "
         "images of a class, and the task 'spots' has no classes: leave it out."),
        (("task: spots", "task: spots, screen: {teacher: big, accepts: spot}"), 2, "'big' has "
         "learned spots, and only a filter of classes can screen images: name another teacher, or "
         "leave screen out."),
        (("big.keras}", "big.keras, output: grit}"), 4, "teachers.big.output is 'grit': must be "
         "'coordinates' or 'grid'. Did you mean 'grid'?"),
        (("big.keras}", "big.keras, output: softmax}"), 4, "teachers.big.output is 'softmax': must "
         "be 'coordinates' or 'grid'."),
        (("big.keras}", "big.keras, task: spotz}"), 4, "teachers.big.task is 'spotz'. No task "
         "named 'spotz'. Did you mean 'spots'? Installed: classification, localization, spots."),
        (("big.keras}", "big.keras, classes: [a, b]}"), 4, "teachers.big.classes: takes 1 name at "
         "most in the task 'spots', and has 2. Name its `task` if it has another."),
        (("big.keras}", "big.keras, classes: [disc]}"), 4, "teachers.big.classes are ['disc'], but "
         "the data is about ['spot'] (`data.classes`): name the same, since 'small' (learn) works "
         "on it with these images."),
        (("big.keras}", "big.keras, task: classification, classes: [a, b]}"), 4, "Teacher 'big' "
         "has learned classification, and the data is labelled for spots: give a model of that "
         "task, since 'small' (learn) works on it with these images."),
        (("from: big,", "from: big, with: {augmentation: {mixup: 0.5}},"), 6, "`mixup` is 0.5, but "
         "a mixture of two pictures has no label in the task 'spots': leave it out."),
        (("images/spots.csv", "images"), 2, "FOLDER is a folder, and the task 'spots' has no "
         "folders of classes: give a CSV manifest with the columns path, x, y, split."),
        (("use: learn", "use: only-classes"), 6, "only-classes cannot do the task 'spots', only "
         "classification: leave it out, or use what can do it (learn, take-features)."),
        ((", control: false", ""), 6, "learn has a control. only-classes cannot do the task "
         "'spots', only classification: leave it out, or use what can do it (learn, take-features)"
         ". Say `control: false` to do without it."),
        (("steps:", "evaluate: {open_set: {accepts: spot}}\nsteps:"), 5, "open_set evaluates "
         "filters of two classes, and the task 'spots' has no classes: leave it out."),
        (("steps:", "evaluate: {specificity: 0.9}\nsteps:"), 5, "specificity chooses the threshold "
         "of a class, and the task 'spots' has no classes: leave it out."),
        (("steps:", "gate: {margins: {auc: 0.1}}\nsteps:"), 5, "gate.margins.auc: models of the "
         "task 'spots' have no auc, only accuracy: leave it out."),
        (("steps:", "gate: {published: {error: 0.1}}\npublish: {}\nsteps:"), 5,
         "gate.published.error: models of the task 'spots' have no error, only accuracy: leave it "
         "out."),
        (("from: big,", "from: big, exclude: {split: [train]},"), 6, "steps.small.exclude: the "
         "data has no column 'split' beside path, label and split; it has none."),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_task_is_one_sentence_with_its_line(
    read: Read, tmp_path: Path, change: tuple[str, str], line: int, message: str
):
    with pytest.raises(RecipeError) as caught:
        read(change)
    problems = [(problem.line, problem.message) for problem in caught.value.problems]
    folder = repr(str(tmp_path / "images"))
    assert problems == [(line, message.replace("FOLDER", folder))]


def test_a_task_with_an_error_has_a_margin_for_it(read: Read, monkeypatch: pytest.MonkeyPatch):
    measure = ErrorMeasure(title="mean distance", unit="px", meaning="a distance", margin=3)
    monkeypatch.setattr(Spots, "error_measure", measure)
    plan = read(("steps:", "gate: {}\nsteps:"))
    assert plan.recipe.gate is not None
    assert plan.recipe.gate.margins.asked == {"accuracy": 0.05, "error": 3}
    assert "margins of accuracy 0.05, error 3 by default" in plan.recipe.gate.words
    reach = reach_of_plan(plan)
    assert reach is not None and not reach.sentence.count("distance")
    assert "margins from: found " in reach.sentence
    own = read(("steps:", "gate: {margins: {error: 20}}\nsteps:"))
    assert own.recipe.gate is not None
    assert own.recipe.gate.margins.asked == own.recipe.gate.on_external.asked == {"error": 20}


def test_positions_in_a_classification_name_their_task(read: Read):
    with pytest.raises(RecipeError, match="It has those of the task 'spots'"):
        read((", task: spots", ""), ("big.keras}", "big.keras, classes: [a, b]}"))


def test_an_unlabelled_spot_is_no_mistake_but_data_without_labels_is(read: Read, tmp_path: Path):
    file = tmp_path / "images" / "bare.csv"
    file.write_text("path,x,y,split\ntrain-0.png,,,unlabelled\n")
    with pytest.raises(RecipeError, match="are all unlabelled: add labelled ones"):
        read(("spots.csv", "bare.csv"))
