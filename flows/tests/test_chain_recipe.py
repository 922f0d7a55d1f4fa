"""Chains in recipes: which are planned, and what is wrong with the others, before a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pupila.store import Store
from pupila.testing import colour_teacher, disc_locator, draw_colours, keras_artifact
from pupila_flows.plan.expand import Node, expand
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

RECIPE = """\
name: chain
repeat: 2
data: {path: images}
teachers:
  sort: {path: sort}
  find: {path: find}
  big: {path: big}
steps:
  small: {use: distill, from: big, with: {student: conv-32-64-8}, control: false}
  reference: {use: chain, from: [sort, find, big], with: {photograph: fundus}}
  chain: {use: chain, from: [sort, find, small], with: {photograph: fundus}, against: reference}
"""
Read = Callable[..., Plan]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain-recipe")
    store = Store(folder / "store")
    models = {
        "sort": keras_artifact(store, ("fundus", "other")),
        "find": disc_locator(store),
        "big": colour_teacher(store),
    }
    for name, model in models.items():
        shutil.copytree(model.path, folder / name)
    draw_colours(folder / "images", images=2)
    return folder


@pytest.fixture
def read(folder: Path, tmp_path: Path) -> Read:
    def from_changed(*changes: tuple[str, str]) -> Plan:
        text = RECIPE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = folder / f"{tmp_path.name}.yaml"
        file.write_text(text)
        return read_plan(file)

    return from_changed


def _nodes(plan: Plan) -> dict[str, Node]:
    return {node.name: node for node in expand(plan)}


def test_a_filter_and_a_locator_need_not_have_the_classes_and_the_task_of_the_data(read: Read):
    nodes = _nodes(read())
    assert nodes["reference"].teachers == ("big",)
    assert nodes["chain"].teachers == ("reference",)
    assert nodes["chain"].taught


def test_a_chain_of_another_seed_is_compared_with_the_same_reference(read: Read):
    nodes = _nodes(read())
    assert nodes["chain#1"].inputs == ("sort", "find", "small#1")
    assert (nodes["chain#1"].repeats, nodes["chain#1"].against) == ("chain", "reference")
    assert "reference#1" not in nodes


def test_a_chain_of_two_models_has_no_filter(read: Read):
    plan = read(
        ("  sort: {path: sort}\n", ""),
        ("[sort, find", "[find"),
        (", with: {photograph: fundus}", ""),
    )
    assert _nodes(plan)["chain"].inputs == ("find", "small")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[sort, find, small]", "[find, sort, small]", "'find' comes where the filter"),
        ("[sort, find, small]", "[sort, small]", "`photograph` is 'fundus', a class of a filter"),
        ("[sort, find, small]", "[small]", "chain takes 2 to 3 inputs in `from`, not 1"),
        (
            "[sort, find, small], with: {photograph: fundus}",
            "[sort, small]",
            "'sort' comes where the locator",
        ),
        (
            "small], with: {photograph: fundus}",
            "small], with: {photograph: eye}",
            "`photograph` of the filter",
        ),
        (
            "small], with: {photograph: fundus}",
            "small], with: {photograph: fundus, size: 40}",
            "The locator 'find' reads 72 × 48 pixels",
        ),
        ("small], with: {photograph: fundus}", "small]", "`photograph` is missing"),
        ("[sort, find, small]", "[sort, find, reference]", "'reference' is a chain already"),
        ("[sort, find, big]", "[sort, find, sort]", "are ['fundus', 'other'], but"),
        ("against: reference", "against: referense", "Did you mean 'reference'?"),
        ("against: reference", "against: chain", "steps depend on each other"),
    ],
)
def test_a_chain_that_does_not_fit_is_one_sentence(read: Read, old: str, new: str, said: str):
    with pytest.raises(RecipeError) as caught:
        read((old, new))
    messages = [problem.message for problem in caught.value.problems]
    assert any(said in message for message in messages), messages
    assert len(messages) == 1
