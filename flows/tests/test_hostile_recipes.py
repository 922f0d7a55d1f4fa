"""Files that are not recipes, that expand without end, or that are very long."""

from __future__ import annotations

import os
from collections import UserDict
from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila.plugin import Exporter, Technique
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.graph import Graph, Vertex
from pupila_flows.recipe.source import RecipeError, read_source

LEVELS = range(1, 10)
TOO_LONG = "with its aliases written out it has more than 300,000 characters"
INSIDE = "an alias stands inside what it names"


def pile(first: str, level: str) -> str:
    """Nine levels, each of nine times the one before: a thousand million values."""
    nine = {n: ", ".join([f"*a{n - 1}"] * 9) for n in LEVELS}
    return "\n".join([f"a0: &a0 {first}", *(f"a{n}: &a{n} {level % nine[n]}" for n in LEVELS)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pile("[x]", "[%s]"), TOO_LONG),
        (pile("{x: 1}", "{<<: [%s]}"), TOO_LONG),
        (pile("x", "{? [%s] : y}"), TOO_LONG),
        (f"a: &a {'x' * 1000}\nb: [{'*a, ' * 1000}]", TOO_LONG),
        ("a: &a {<<: *a}", INSIDE),
        ("a: &a {b: 1, <<: [*a, *a]}", INSIDE),
        ("a: &a {b: {c: [*a]}}", INSIDE),
        ("a: &a {? *a : 1}", INSIDE),
        ("a: {<<: 3}", "expected a mapping or list of mappings for merging"),
        (f"a: {'[' * 100_000}", "it is nested too deeply"),
        (f"a: {'x' * 300_000}", "has more than 300,000 characters, which no recipe has"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_unfolds_without_end_is_refused_at_once(tmp_path: Path, text: str, message: str):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(PupilaError) as refused:
        read_source(tmp_path / "recipe.yaml")
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_thousands_of_mistakes_are_reported_by_the_first_of_them(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("a: 1\n" * 2_001)
    with pytest.raises(RecipeError) as refused:
        read_source(tmp_path / "recipe.yaml")
    assert len(refused.value.problems) == 2_000
    assert str(refused.value).splitlines()[50:] == ["And 1,950 more."]


def test_thousands_of_class_folders_make_no_long_message(tmp_path: Path):
    for name in (f"class {number}" for number in range(1_200)):
        for split in ("train", "validation", "test"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            (tmp_path / "images" / split / name / "0.png").write_bytes(b"picture")
    names = ", ".join(f"class_{number}" for number in range(1_200))
    text = f"""
name: wide
data: {{path: images, classes: [{names}]}}
teachers: {{big: {{path: model.tflite, classes: [{names}]}}}}
steps: {{small: {{use: quantize-float16, from: big}}}}
gate: {{steps: [small], positive: no}}
"""
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match="1,180 more") as refused:
        read_plan(tmp_path / "recipe.yaml")
    assert max(map(len, str(refused.value).splitlines())) < 1_500


def test_aliases_and_merges_of_a_usual_size_stand_for_what_they_name(tmp_path: Path):
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n"
    (tmp_path / "recipe.yaml").write_text(text)
    one = {"x": "1"}
    value = read_source(tmp_path / "recipe.yaml").value
    assert str(value).replace("1", "'1'") == str({"a": one, "b": one | {"y": 2}, "c": [one, one]})


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "pipe", "/proc/kmsg"])
def test_what_is_not_a_file_is_not_read(tmp_path: Path, device: str):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PupilaError, match="is a pipe or a device: give the path of a YAML file"):
        read_source(tmp_path / device)


class Counted(UserDict[str, Vertex]):
    """Counts how often a step is looked up."""

    looks = 0

    def __getitem__(self, name: str) -> Vertex:
        self.looks += 1
        return super().__getitem__(name)


TRAIN = Technique(name="t", summary="-", implementation="-", accepts=frozenset(), produces="keras")
EXPORT = Exporter(
    name="e", summary="-", implementation="-", accepts=frozenset({"keras"}), produces="keras"
)


def _looks(length: int) -> int:
    """Ask all that is asked of a chain behind a teacher, and of one behind its control."""
    steps = Counted(
        {
            "s0": Vertex(("teacher",), EXPORT, excludes=True, control="c0"),
            "c0": Vertex((), TRAIN),
            **{f"s{n}": Vertex((f"s{n - 1}",), EXPORT) for n in range(1, length)},
            **{f"c{n}": Vertex((f"c{n - 1}",), EXPORT) for n in range(1, length)},
        }
    )
    graph = Graph(steps)
    for name in list(steps):
        assert graph.teachers(name) == ("teacher",)
        assert graph.is_taught(name) == graph.is_partial(name) == name.startswith("s")
    assert graph.working_on("teacher") == tuple(f"s{n}" for n in range(length))
    assert not graph.default_gate_steps()
    return steps.looks


def test_a_chain_of_steps_takes_no_longer_than_its_length():
    assert _looks(2000) <= 2.2 * _looks(1000)
