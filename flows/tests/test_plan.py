"""Every mistake in a recipe is found at once, with its line and the nearest right name."""

# long: a table of mistakes

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import Field

from pupila.errors import PupilaError
from pupila.plugin import Config, Exporter, Loader, Runner, Technique
from pupila.plugin_loading import RegisteredPlugin
from pupila.plugin_registry import PluginRegistry
from pupila.spec import OutputSpec
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError


class Cosine(Config):
    steps: int = Field(default=9, ge=1, description="Half a period.")


class Constant(Config):
    rate: float = Field(default=1, gt=0, description="Rate.")


class Training(Config):
    epochs: int = Field(default=3, ge=1, description="Passes over the data.")
    schedule: Cosine | Constant = Field(default=Cosine(), description="Of the learning rate.")


def refuse(source: Path, output: OutputSpec, folder: Path) -> None:
    raise PupilaError(f"{source.name} is sealed: refused ({output.kind}).")


def _registry() -> PluginRegistry:
    plugins = (
        Technique(
            name="distill",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"keras"}),
            produces="keras",
            config=Training,
            needs_data=True,
        ),
        Technique(
            name="quantize-int8",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"tflite"}),
            produces="tflite",
        ),
        Exporter(
            name="export-tflite",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"keras"}),
            produces="tflite",
        ),
        Runner(name="keras", summary="-", implementation="json:loads", format="keras"),
        Runner(name="litert", summary="-", implementation="json:loads", format="tflite"),
        Runner(
            name="tfjs-wasm", summary="-", implementation="json:loads", format="tfjs", primary=False
        ),
        Loader(
            name="keras",
            summary="Keras",
            implementation="json:loads",
            produces="keras",
            recognises=lambda path: path.suffix == ".keras",
        ),
        Loader(
            name="sealed",
            summary="files that are refused",
            implementation=f"{__name__}:refuse",
            produces="",
            recognises=lambda path: path.suffix == ".sealed",
        ),
    )
    return PluginRegistry(tuple(RegisteredPlugin(plugin, "pupila-test", "1") for plugin in plugins))


GOOD = """\
name: good
data: {path: images}
teachers:
  big: {path: big.keras, classes: [a, b]}
steps:
  small: {use: distill, from: big, with: {epochs: 2}}
  lite: {use: export-tflite, from: small}
  int8: {use: quantize-int8, from: lite}
"""


def _draw(folder: Path, *labels: str) -> None:
    """Make files that are named as images are; none is opened."""
    for label in labels or ("a", "b"):
        (folder / "train" / label).mkdir(parents=True)
        (folder / "train" / label / "1.png").touch()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _draw(tmp_path / "images")
    (tmp_path / "big.keras").write_bytes(b"PK")
    (tmp_path / "big.sealed").write_bytes(b"PK")
    (tmp_path / "empty.keras").touch()
    (tmp_path / "notes.txt").write_text("no images")
    return tmp_path


def _read(folder: Path, text: str) -> Plan:
    file = folder / "recipe.yaml"
    file.write_text(dedent(text))
    return read_plan(file, _registry())


def _problems(folder: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(RecipeError) as caught:
        _read(folder, text)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_a_good_recipe_becomes_a_plan_in_an_order_that_can_run(folder: Path):
    shuffled = GOOD.replace("  small:", "  zz:").replace("from: small", "from: zz")
    plan = _read(folder, shuffled)
    assert [step.name for step in plan.steps] == ["zz", "lite", "int8"]
    assert plan.steps[0].config == Training(epochs=2)
    assert plan.data == folder / "images"


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("use: distill", "use: distil"), 6, ["'distil'", "Did you mean 'distill'?"]),
        (("epochs: 2", "epoch: 2"), 6, ["steps.small.with.epoch", "Did you mean 'epochs'?"]),
        (("epochs: 2", "epochs: 0"), 6, ["steps.small.with.epochs", "greater than or equal to 1"]),
        (("epochs: 2", "schedule: {step: 1}"), 6, ["schedule.Cosine.step", "mean 'steps'?"]),
        (("from: big", "from: bigg"), 6, ["'bigg'", "Did you mean 'big'?"]),
        (("from: small", "from: int8"), 7, ["depend on each other", "lite", "int8"]),
        (("path: images", "path: pictures"), 2, ["no images at", "pictures"]),
        (("path: big.keras", "path: huge.keras"), 4, ["no model at", "huge.keras"]),
        (("from: lite", "from: small"), 8, ["'small' is keras", "export-tflite"]),
        (("from: lite", "from: [lite, small]"), 8, ["takes 1 input in", "not 2"]),
        (
            ("teachers:", "teacher:"),
            3,
            ["teacher is not a known field", "Did you mean 'teachers'?"],
        ),
        (("classes: [a, b]", "classes: [a]"), 4, ["teachers.big.classes"]),
        (("path: big.keras", "pth: big.keras"), 4, ["teachers.big.pth", "Did you mean 'path'?"]),
        (("name: good", "name: Not Good"), 1, ["name"]),
        (("  lite:", "  big:"), 4, ["both named 'big'"]),
        (("  lite:", "  Small:"), 7, ["'Small' and 'small' differ only by case", "another name"]),
        (("  lite:", "  BIG:"), 7, ["'BIG' and 'big' differ only by case", "another name"]),
        (("  lite:", "  small:"), 7, ["'small' is given twice"]),
        (
            ("name: good", "name: good\nevaluate: {runtimes: [kears]}"),
            2,
            ["No runtime named 'kears'"],
        ),
        (("name: good", "name: good\nevaluate: {runtimes: [litrt]}"), 2, ["mean 'litert'?"]),
        (
            ("name: good", "name: good\nevaluate: {runtimes: [litert, tfjs-wasm]}"),
            2,
            ["tfjs-wasm runs tfjs, and no teacher or step has that format"],
        ),
        (("name: good", "name: good\nshift: {families: [blurr]}"), 2, ["No shift named 'blurr'"]),
        (("name: good", "name: good\nshift: {images: 3}"), 2, ["shift.images is 3: must be"]),
        (("name: good", "name: good\nchoose_by: fidelity"), 2, ["add `shift: {}`, or choose by"]),
        (("name: good", "name: [good"), 2, ["not valid YAML"]),
        (("use: distill", "retries: -1, use: distill"), 6, ["retries is -1: must be greater"]),
        (("a, b]", "a, b], output: sofmax"), 4, ["'logits' or 'sigmoid'", "mean 'softmax'?"]),
        (("a, b]", "a, a]"), 4, ["teachers.big.classes: class 'a' is named twice."]),
        (("a, b]", "a, '']"), 4, ["teachers.big.classes: a class has an empty name."]),
        (("a, b]", "a, b, c], output: sigmoid"), 4, ["a sigmoid tells two classes apart, not 3"]),
        (("images", "images, classes: [a, a]"), 2, ["data.classes: class 'a' is named twice."]),
        (
            ("images", "images, classes: [a, c]"),
            2,
            ["data.classes are ['a', 'c'], but the folders"],
        ),
        (("images", "images, positive: bb"), 2, ["not one of the classes ['a', 'b']", "mean 'b'?"]),
        (
            ("images", "images, classes: [b, a], positive: c"),
            2,
            ["not one of the classes ['b', 'a']"],
        ),
        (("path: images", "path: notes.txt"), 2, ["neither a folder of images nor a .csv file"]),
        (("big.keras", "empty.keras"), 4, ["empty.keras' is an empty file"]),
        (("big.keras", "big.sealed"), 4, ["big.sealed is sealed: refused (softmax)."]),
        (("  small:", "  ../small:"), 6, ["steps: the name '../small' must be at most 64"]),
        (("  small:", f"  {'s' * 65}:"), 6, ["must be at most 64 letters"]),
        (("  big:", "  a b:"), 4, ["teachers: the name 'a b' must be at most 64"]),
        (("name: good", f"name: {'g' * 65}"), 1, ["must be at most 64 lower-case letters"]),
        (("name: good", "name: good\nseed: 4294967296"), 2, ["less than or equal to 4294967295"]),
        (("use: distill", "use: distill, timeout_minutes: .nan"), 6, ["timeout_minutes is nan"]),
        (("use: distill", "use: distill, timeout_minutes: .inf"), 6, ["timeout_minutes is inf"]),
    ],
)
def test_a_mistake_is_reported_with_its_line(
    folder: Path, change: tuple[str, str], line: int, words: list[str]
):
    problems = _problems(folder, GOOD.replace(*change))
    assert any(
        number == line and all(word in message for word in words) for number, message in problems
    ), problems


OF_A_STEP = "Known: use, from, with, exclude, against, control, timeout_minutes, retries."
QUOTES = "must be text: put quotes, as in"


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("[a, b]", "[yes, no]"), 4, f'teachers.big.classes: {QUOTES} classes: ["yes", "no"].'),
        (("[a, b]", "[0, 1]"), 4, f'teachers.big.classes: {QUOTES} classes: ["0", "1"].'),
        (("name: good", "name: 2024-01-31"), 1, f'name: {QUOTES} name: "2024-01-31".'),
        (
            ("from: big", "from: 1"),
            6,
            'steps.small.from: must be text: put quotes, as in from: "1".',
        ),
        (("[a, b]", "a"), 4, "teachers.big.classes is 'a': must be a list."),
        (("[a, b]", "[]"), 4, "teachers.big.classes: needs 2 or more entries, and has 0."),
        (
            ("{path: images}", "images"),
            2,
            "data is 'images': must be a mapping of names to values.",
        ),
        (("{path: images}", ""), 2, "data is empty: must be a mapping of names to values."),
        (
            ("{path: images}", "[images]"),
            2,
            "data is a list: must be a mapping of names to values.",
        ),
        (("name: good", "name: good\nseed: x"), 2, "seed is 'x': must be a whole number."),
        (("  lite:", "  small:"), 7, "'small' is given twice."),
        (
            ("images}", '"${NOPE}"}'),
            2,
            "environment variable NOPE is not set: set it, or write ${NOPE:-default}.",
        ),
        (
            ("images}", '"${VOID}"}'),
            2,
            "environment variable VOID is empty: set it, or write ${VOID:-default}.",
        ),
        (
            ("teachers:", "teacher:"),
            3,
            "teacher is not a known field. Did you mean 'teachers'? "
            "Known: name, seed, repeat, workers, threads, requires, runner, data, teachers, steps, "
            "evaluate, shift, external, gate, publish, sweep, choose_by.",
        ),
        (
            ("from: small", "form: small"),
            7,
            f"steps.lite.form is not a known field. Did you mean 'from'? {OF_A_STEP}",
        ),
        (
            ("epochs: 2}}", "epochs: 2}}\n  with: {use: distill, from: big, wth: {}}"),
            7,
            f"steps.with.wth is not a known field. Did you mean 'with'? {OF_A_STEP}",
        ),
    ],
)
def test_a_mistake_is_one_problem_in_plain_words(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    line: int,
    message: str,
):
    monkeypatch.delenv("NOPE", raising=False)
    monkeypatch.setenv("VOID", "")
    assert _problems(folder, GOOD.replace(*change, 1)) == [(line, message)]


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (
            "name: 2024-99-99",
            1,
            "'2024-99-99' is not a valid timestamp; put quotes around it if it is text",
        ),
        ("name: good\nseed: !!int hello", 2, "'hello' is not a valid int; put quotes"),
        ("name: !!bool perhaps", 1, "'perhaps' is not a valid bool; put quotes"),
        ("name: !foo good", 1, "a recipe has no tags like '!foo'"),
        ("name: !!python/object:os.system good", 1, "no tags like '!!python/object:os.system'"),
        ("name: good\n[a]: b", 2, "a list or a mapping stands where a name should"),
        ("name: good\n{a: b}: c", 2, "a list or a mapping stands where a name should"),
        ("name: good\nseed: \a", 2, "the character U+0007 may not stand in it"),
        ("name: good\nevaluate: &e {path: *e}", 2, "an alias stands inside what it names"),
        (f"name: {'[' * 2000}{']' * 2000}", 1, "it is nested too deeply"),
    ],
)
def test_what_yaml_cannot_say_is_one_problem(folder: Path, change: str, line: int, message: str):
    ((number, words),) = _problems(folder, GOOD.replace("name: good", change))
    assert number == line and words.startswith("not valid YAML: ") and message in words


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("images", "n" * 300), 2),
        (("images", "n/" * 3000), 2),
        (("images", "notes.txt/images"), 2),
        (("images", r'"a\0b"'), 2),
        (("big.keras", "n" * 300), 4),
    ],
)
def test_a_path_that_no_file_can_have_is_reported_with_its_line(
    folder: Path, change: tuple[str, str], line: int
):
    ((number, message),) = _problems(folder, GOOD.replace(*change))
    assert number == line
    assert message.startswith("no ") and message.endswith("give an existing path.")


def test_a_model_that_may_not_be_read_is_reported_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(path: Path, mode: int) -> bool:
        return False

    monkeypatch.setattr(os, "access", refused)  # root may read every file
    problems = _problems(folder, GOOD)
    assert [(line, "may not be read" in message) for line, message in problems] == [
        (2, True),
        (4, True),
    ]


def test_names_that_yaml_takes_for_numbers_or_truths_are_names(folder: Path):
    text = GOOD.replace("  lite:", "  1:").replace("from: lite", 'from: "1"')
    assert [step.name for step in _read(folder, text.replace("  int8:", "  yes:")).steps] == [
        "small",
        "1",
        "yes",
    ]


def test_all_mistakes_are_reported_at_once(folder: Path):
    text = GOOD.replace("distill", "distil").replace("images", "pictures").replace("lite}", "lit}")
    assert [line for line, _ in _problems(folder, text)] == [2, 6, 8]


def test_fields_that_are_wrong_hide_nothing_else(folder: Path):
    text = (
        GOOD.replace("name: good", "name: Not Good")
        .replace("big.keras", "huge.keras")
        .replace("path: images", "path: pictures, expectations: {minimum_width: wide}")
        .replace("use: distill", "use: distill, retries: -1")
        .replace("epochs: 2", "epochs: 0")
        .replace("use: export-tflite", "use: export-tflight, timeout_minutes: 0")
        .replace("from: lite", "from: light")
    )
    assert [line for line, _ in _problems(folder, text)] == [1, 2, 2, 4, 6, 6, 7, 7, 8]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("use: distill, ", ""), 6),  # `lite` builds on it
        (("from: big", "form: big"), 6),  # it would lack an input
        (("from: big", "from: {}"), 6),
        (("classes: [a, b]", "classes: [a]"), 4),  # `small` builds on it
        (("  small: {", "  small: [{"), 6),
        (("steps:", "stepps:"), None),
    ],
)
def test_what_follows_from_a_mistake_is_not_reported(
    folder: Path, change: tuple[str, str], line: int | None
):
    text = GOOD.replace(*change)
    if "[{" in text:
        text = text.replace("epochs: 2}}", "epochs: 2}}]")
    problems = _problems(folder, text)
    if line is None:
        assert [message.split(" is ")[0] for _, message in problems] == ["steps", "stepps"]
    else:
        assert [number for number, _ in problems] == [line]


def test_an_unknown_model_format_names_what_could_be_read(folder: Path):
    (folder / "big.onnx").write_bytes(b"onnx")
    ((line, message),) = _problems(folder, GOOD.replace("big.keras", "big.onnx"))
    assert line == 4
    assert "big.onnx" in message and "Keras" in message


def test_environment_variables_and_their_defaults_stand_for_paths(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    text = GOOD.replace("path: images", 'path: "${PICTURES:-images}"')
    monkeypatch.delenv("PICTURES", raising=False)
    assert _read(folder, text).data == folder / "images"
    _draw(folder / "other")
    monkeypatch.setenv("PICTURES", str(folder / "other"))
    assert _read(folder, text).data == folder / "other"


@pytest.mark.parametrize("name", ["nowhere.yaml", "notes.txt/recipe.yaml", "n" * 300, "images"])
def test_a_recipe_that_cannot_be_read_is_one_sentence(folder: Path, name: str):
    with pytest.raises(PupilaError, match=rf"No recipe at .*{name}' \(.*\): give the path"):
        read_plan(folder / name, _registry())
