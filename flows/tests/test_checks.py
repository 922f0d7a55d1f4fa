"""Checks of a recipe find the same in any order, and report once what several of them need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pupila.plugin_registry import installed
from pupila_flows.plan.checker import CHECKS, Check, run_checks
from pupila_flows.plan.checks import gate, images, steps
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Checking, find_out
from pupila_flows.plan.view import RecipeView
from pupila_flows.recipe.schema import Recipe
from pupila_flows.recipe.source import read_source

MANY_MISTAKES = """\
name: wrong
data:
  path: broken.csv
  hard_negatives: {label: square}
  screen: {teacher: gat, accepts: fundus}
teachers:
  big: {path: model.keras, classes: [square, triangle]}
  huge: {path: missing.keras, classes: [square, circle]}
steps:
  one: {use: one-class, from: big, exclude: {site: [here]}, with: {positive: square}}
  two: {use: export-tflite, from: three}
  three: {use: export-tflite, from: two}
  four: {use: distill, from: huge}
  five: {use: quantize-int8, from: big}
sweep:
  four.alpha: [0, 2]
evaluate:
  open_set: {accepts: square}
  runtimes: [kears]
gate:
  groups: [site]
  steps: [one]
publish: {artifacts: [six], to: "${UNSET_HERE}"}
runner: {use: dask, address: nowhere}
"""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Context]:
    """Return the context of a recipe with many mistakes, in which no fact is known yet."""
    monkeypatch.delenv("UNSET_HERE", raising=False)
    (tmp_path / "broken.csv").write_text("no,manifest\n1,2\n")
    (tmp_path / "model.keras").write_bytes(b"PK")
    file = tmp_path / "recipe.yaml"
    file.write_text(MANY_MISTAKES)
    source = read_source(file)
    recipe = Recipe.model_validate(source.value)
    return lambda: Context(source, RecipeView.of(source.value), recipe, installed(), None)


def _messages(context: Context, checks: tuple[Check, ...]) -> list[str]:
    return sorted(map(str, run_checks(context, checks)))


def test_checks_find_the_same_in_any_order(context: Callable[[], Context]):
    expected = _messages(context(), CHECKS)
    assert len(expected) == 11
    assert _messages(context(), CHECKS[::-1]) == expected
    middle = len(CHECKS) // 2
    assert _messages(context(), CHECKS[middle:] + CHECKS[:middle]) == expected


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_the_same_alone_as_after_all_others(
    context: Callable[[], Context], check: Check
):
    used = context()
    run_checks(used, CHECKS)
    assert _messages(used, (check,)) == _messages(context(), (check,))


@pytest.mark.parametrize("check", [images.excluded, images.open_set, images.hard_negatives])
def test_a_check_that_needs_the_data_tells_that_it_cannot_be_read(
    context: Callable[[], Context], check: Check
):
    (alone,) = run_checks(context(), (check,))
    assert alone.line == 3 and "broken.csv" in alone.message
    together = run_checks(context(), (check, gate.groups, steps.settings))
    assert [problem for problem in together if problem.line == 3] == [alone]


def test_a_fact_has_the_value_and_the_mistakes_of_what_found_it_out():
    def inner() -> Checking[int]:
        yield ("name",), "too short."
        return 2

    def outer() -> Checking[str]:
        number = yield from find_out(inner()).check()
        yield ("seed",), "too large."
        return "x" * number

    fact = find_out(outer())
    assert fact.value == "xx"
    assert [location for location, _ in fact.mistakes] == [("name",), ("seed",)]
    assert list(map(id, fact.check())) == list(map(id, fact.mistakes))
