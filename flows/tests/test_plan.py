"""Every mistake in a recipe is found at once, with its line and the nearest right name."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import Field

from pupila.errors import PupilaError
from pupila.plugin import Config, Exporter, Loader, Technique
from pupila.registry import Registered, Registry
from pupila_flows.plan import Plan, RecipeError, read_plan


class Training(Config):
    epochs: int = Field(default=3, ge=1, description="Passes over the data.")


def _registry() -> Registry:
    plugins = (
        Technique(
            name="distill",
            summary="-",
            implementation="-",
            accepts=frozenset({"keras"}),
            produces="keras",
            config=Training,
            needs_data=True,
        ),
        Technique(
            name="quantize-int8",
            summary="-",
            implementation="-",
            accepts=frozenset({"tflite"}),
            produces="tflite",
        ),
        Exporter(
            name="export-tflite",
            summary="-",
            implementation="-",
            accepts=frozenset({"keras"}),
            produces="tflite",
        ),
        Loader(
            name="keras",
            summary="Keras",
            implementation="-",
            produces="keras",
            recognises=lambda path: path.suffix == ".keras",
        ),
    )
    return Registry(tuple(Registered(plugin, "pupila-test", "1") for plugin in plugins))


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "big.keras").write_bytes(b"PK")
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
    assert plan.teacher_of("int8") == "big"


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("use: distill", "use: distil"), 6, ["'distil'", "Did you mean 'distill'?"]),
        (("epochs: 2", "epoch: 2"), 6, ["steps.small.with.epoch", "Did you mean 'epochs'?"]),
        (("epochs: 2", "epochs: 0"), 6, ["steps.small.with.epochs", "greater than or equal to 1"]),
        (("from: big", "from: bigg"), 6, ["'bigg'", "Did you mean 'big'?"]),
        (("from: small", "from: int8"), 7, ["depend on each other", "lite", "int8"]),
        (("path: images", "path: pictures"), 2, ["no images at", "pictures"]),
        (("path: big.keras", "path: huge.keras"), 4, ["no model at", "huge.keras"]),
        (("from: lite", "from: small"), 8, ["'small' is keras", "export-tflite"]),
        (("from: lite", "from: [lite, small]"), 8, ["takes 1 inputs", "not 2"]),
        (("teachers:", "teacher:"), 3, ["teacher is no known field", "Did you mean 'teachers'?"]),
        (("classes: [a, b]", "classes: [a]"), 4, ["teachers.big.classes"]),
        (("path: big.keras", "pth: big.keras"), 4, ["teachers.big.pth", "Did you mean 'path'?"]),
        (("name: good", "name: Not Good"), 1, ["name"]),
        (("  lite:", "  big:"), 4, ["both named 'big'"]),
        (("  lite:", "  small:"), 7, ["'small' is given twice"]),
        (("name: good", "name: [good"), 2, ["not valid YAML"]),
    ],
)
def test_a_mistake_is_told_with_its_line(
    folder: Path, change: tuple[str, str], line: int, words: list[str]
):
    problems = _problems(folder, GOOD.replace(*change))
    assert any(
        found == line and all(word in message for word in words) for found, message in problems
    ), problems


def test_all_mistakes_are_told_at_once(folder: Path):
    text = GOOD.replace("distill", "distil").replace("images", "pictures").replace("lite}", "lit}")
    assert [line for line, _ in _problems(folder, text)] == [2, 6, 8]


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
    (folder / "other").mkdir()
    monkeypatch.setenv("PICTURES", str(folder / "other"))
    assert _read(folder, text).data == folder / "other"


def test_a_missing_recipe_is_one_sentence(tmp_path: Path):
    with pytest.raises(PupilaError, match=r"No recipe at .*nowhere\.yaml"):
        read_plan(tmp_path / "nowhere.yaml", _registry())
