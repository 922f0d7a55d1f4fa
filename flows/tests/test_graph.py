"""Small graphs, and the right answers about them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pupila.plugin import Exporter, StepPlugin, Technique
from pupila_flows.recipe.graph import Graph, Vertex, unproven

KERAS = frozenset({"keras"})
TRAIN = Technique(
    name="train", summary="-", implementation="-", accepts=frozenset(), produces="keras"
)
DISTILL = Technique(
    name="distill",
    summary="-",
    implementation="-",
    accepts=KERAS,
    produces="keras",
    control="train",
)
FILTER = Technique(
    name="one-class",
    summary="-",
    implementation="-",
    accepts=KERAS,
    produces="keras",
    features_only=True,
)
EXPORT = Exporter(name="export", summary="-", implementation="-", accepts=KERAS, produces="tflite")
SITE = Exporter(
    name="site",
    summary="-",
    implementation="-",
    accepts=frozenset({"tflite"}),
    produces="html",
    evaluated=False,
)


def step(plugin: StepPlugin | None, *inputs: str, control: str | None = None) -> Vertex:
    return Vertex(inputs, plugin, control=control)


PLAIN = {
    "pupil": step(DISTILL, "big", "huge"),
    "lite": step(EXPORT, "pupil"),
    "int8": step(EXPORT, "lite"),
    "page": step(SITE, "int8", "teacher-lite"),
    "teacher-lite": step(EXPORT, "huge"),
    "alone": step(TRAIN),
    "alone-lite": step(EXPORT, "alone"),
}
"""Two teachers and a model that none of them taught."""
CONTROLLED = {
    "pupil": step(DISTILL, "big", control="alone"),
    "alone": step(TRAIN),
    "lite": step(EXPORT, "pupil", control="alone-lite"),
    "alone-lite": step(EXPORT, "alone"),
    "alone-int8": step(EXPORT, "alone-lite"),
}
"""A pupil beside its control, and one step more made from the control."""
FILTERED = {
    "eye": step(FILTER, "gate"),
    "eye-lite": step(EXPORT, "eye"),
    "of-alone": step(FILTER, "alone"),
    "of-alone-lite": step(EXPORT, "of-alone"),
    "alone": step(TRAIN),
}
"""Filters that took features: one from a teacher, one from a model that nobody taught."""
PUPIL_OF_UNTAUGHT = {
    "alone": step(TRAIN),
    "pupil": step(DISTILL, "alone"),
}
PARTIAL = {
    "pupil": Vertex(("big",), DISTILL, excludes=True),
    "lite": step(EXPORT, "pupil"),
    "whole": step(EXPORT, "big"),
}
UNKNOWN = {
    "mystery": step(None, "big"),
    "lite": step(EXPORT, "mystery"),
    "page": step(SITE, "mystery"),
}
CIRCLE = {
    "one": step(EXPORT, "two"),
    "two": step(EXPORT, "one"),
    "after": step(EXPORT, "two", "big"),
    "page": step(SITE, "pages"),
    "pages": step(SITE, "page"),
}


@pytest.mark.parametrize(
    ("steps", "taught"),
    [
        (PLAIN, "pupil lite int8 page teacher-lite"),
        (CONTROLLED, "pupil lite"),
        (FILTERED, "eye eye-lite"),
        (PUPIL_OF_UNTAUGHT, "pupil"),
        (UNKNOWN, "mystery lite page"),
        (CIRCLE, "after"),
    ],
)
def test_what_a_teacher_took_part_in_is_taught(steps: Mapping[str, Vertex], taught: str):
    graph = Graph(steps)
    assert [name for name in steps if graph.is_taught(name)] == taught.split()
    assert not graph.is_taught("big")


@pytest.mark.parametrize(
    ("steps", "teachers"),
    [
        (
            PLAIN,
            {
                "pupil": "big huge",
                "lite": "big huge",
                "int8": "big huge",
                "page": "big huge",
                "teacher-lite": "huge",
            },
        ),
        (
            CONTROLLED,
            dict.fromkeys(("pupil", "lite", "alone", "alone-lite", "alone-int8"), "big"),
        ),
        (FILTERED, {"eye-lite": "eye", "of-alone-lite": "of-alone"}),
        (PUPIL_OF_UNTAUGHT, {}),
        (CIRCLE, {"after": "big"}),
    ],
)
def test_a_step_is_compared_with_the_nearest_teachers_behind_it_or_behind_its_pupil(
    steps: Mapping[str, Vertex], teachers: dict[str, str]
):
    graph = Graph(steps)
    compared = {name: " ".join(graph.teachers(name)) for name in steps}
    assert {name: names for name, names in compared.items() if names} == teachers


@pytest.mark.parametrize(
    ("steps", "last", "by_default", "ends"),
    [
        (PLAIN, "int8 teacher-lite alone-lite", "int8 teacher-lite", "page alone-lite"),
        (CONTROLLED, "lite alone-int8", "lite", "lite alone-int8"),
        (FILTERED, "eye-lite of-alone-lite", "eye-lite", "eye-lite of-alone-lite"),
        (PUPIL_OF_UNTAUGHT, "pupil", "pupil", "pupil"),
        (PARTIAL, "lite whole", "whole", "lite whole"),
        (UNKNOWN, "lite", "lite", "lite page"),
        (CIRCLE, "after", "after", "after"),
    ],
)
def test_the_gate_checks_what_is_taught_whole_and_last_of_its_branch(
    steps: Mapping[str, Vertex], last: str, by_default: str, ends: str
):
    graph = Graph(steps)
    assert [name for name in steps if graph.is_last(name)] == last.split()
    assert list(graph.default_gate_steps()) == by_default.split()
    assert list(graph.ends()) == ends.split()


def test_what_is_made_from_a_partial_step_is_partial():
    graph = Graph(PARTIAL)
    assert [name for name in (*PARTIAL, "big") if graph.is_partial(name)] == ["pupil", "lite"]


@pytest.mark.parametrize(
    ("steps", "name", "behind", "working_on"),
    [
        (PLAIN, "int8", "lite pupil big huge", "page"),
        (PLAIN, "huge", "", "pupil teacher-lite lite page int8"),
        (FILTERED, "eye-lite", "eye gate", ""),
        (FILTERED, "gate", "", ""),
        (FILTERED, "eye", "gate", "eye-lite"),
        (CIRCLE, "one", "two", "two one after"),
    ],
)
def test_what_stands_behind_a_step_and_what_works_on_it(
    steps: Mapping[str, Vertex], name: str, behind: str, working_on: str
):
    graph = Graph(steps)
    assert list(graph.behind(name)) == behind.split()
    assert list(graph.working_on(name)) == working_on.split()


@pytest.mark.parametrize(
    ("steps", "name", "proven", "missing"),
    [
        (PLAIN, "int8", "int8", ""),
        (PLAIN, "int8", "lite", "int8"),
        (PLAIN, "page", "int8 teacher-lite", ""),
        (PLAIN, "page", "lite", "int8 teacher-lite"),
        (PLAIN, "big", "lite", "big"),
        (UNKNOWN, "page", "lite", "mystery"),
        (UNKNOWN, "page", "mystery", ""),
        (CIRCLE, "page", "", ""),
    ],
)
def test_what_makes_no_model_is_proven_by_all_that_it_is_made_from(
    steps: Mapping[str, Vertex], name: str, proven: str, missing: str
):
    assert list(unproven(Graph(steps), name, proven.split())) == missing.split()


def test_a_graph_is_complete_where_every_plugin_is_known():
    assert Graph(PLAIN).is_complete
    assert not Graph(UNKNOWN).is_complete


def test_a_control_stands_beside_its_pupil():
    graph = Graph(CONTROLLED)
    assert [name for name in CONTROLLED if graph.is_control(name)] == ["alone", "alone-lite"]


CHAIN = Technique(
    name="chain",
    summary="-",
    implementation="-",
    accepts=KERAS,
    produces="chain",
    max_inputs=3,
    answers_as_last=True,
)
CHAINED = {
    "lite": step(EXPORT, "big"),
    "reference": step(CHAIN, "filter", "find", "big"),
    "chain": Vertex(("filter", "find-small", "lite"), CHAIN, against="reference"),
    "sharper": step(DISTILL, "chain"),
}


def test_a_chain_works_on_the_answers_of_its_last_model_alone():
    graph = Graph(CHAINED)
    assert graph.working_on("big") == ("lite", "reference", "chain", "sharper")
    assert graph.working_on("filter") == ()
    assert graph.teachers("reference") == ("big",)


def test_a_step_is_compared_with_what_it_names_and_so_are_the_steps_after_it():
    graph = Graph(CHAINED)
    assert graph.teachers("chain") == ("reference",)
    assert graph.teachers("sharper") == ("reference",)


def test_what_others_are_compared_with_is_not_in_the_gate_by_default():
    graph = Graph({name: CHAINED[name] for name in ("lite", "reference", "chain")})
    assert graph.default_gate_steps() == ("chain",)
