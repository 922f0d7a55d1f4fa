"""The graph that runs: seeds, controls and the points of a sweep, each made once."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import Field

from pupila.errors import PupilaError
from pupila.plugin import Config, Exporter, Loader, Runner, Technique
from pupila.plugin_loading import RegisteredPlugin
from pupila.plugin_registry import PluginRegistry
from pupila_flows.plan.expand import Node, expand, points
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError


class Views(Config):
    number: int = Field(default=4, ge=1, description="How many.")


class Training(Config):
    student: str = Field(default="small", description="Architecture.")
    epochs: int = Field(default=3, ge=1, description="Passes over the data.")
    views: Views = Field(default=Views(), description="Of each image.")

    def check_inputs(self, count: int) -> None:
        if self.student == "beginning" and not count:
            raise PupilaError("It begins as its teacher does.")


class Distillation(Training):
    alpha: float = Field(default=0.1, ge=0, le=1, description="Weight of the labels.")
    weights: tuple[float, ...] | None = Field(default=None, description="One for each teacher.")

    def check_inputs(self, count: int) -> None:
        if self.weights and len(self.weights) != count:
            raise PupilaError(f"{len(self.weights)} weights for {count}.")


def _registry(*left_out: str) -> PluginRegistry:
    plugins = (
        Technique(
            name="distill",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"keras"}),
            produces="keras",
            config=Distillation,
            max_inputs=None,
            seeded=True,
            control="train",
        ),
        Technique(
            name="train",
            summary="-",
            implementation="json:loads",
            accepts=frozenset(),
            produces="keras",
            config=Training,
            min_inputs=0,
            max_inputs=0,
            seeded=True,
        ),
        Exporter(
            name="export",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"keras"}),
            produces="tflite",
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
    kept = (plugin for plugin in plugins if plugin.name not in left_out)
    return PluginRegistry(tuple(RegisteredPlugin(plugin, "pupila-test", "1") for plugin in kept))


HEAD = """\
name: expanded
seed: 7
data: {path: images}
teachers:
  big: {path: big.keras, classes: [a, b]}
  huge: {path: big.keras, classes: [a, b]}
"""


def _plan(folder: Path, text: str, registry: PluginRegistry | None = None) -> Plan:
    for label in ("a", "b"):
        (folder / "images" / "train" / label).mkdir(parents=True, exist_ok=True)
        (folder / "images" / "train" / label / "1.png").touch()
    (folder / "big.keras").write_bytes(b"PK")
    file = folder / "recipe.yaml"
    file.write_text(HEAD + dedent(text))
    return read_plan(file, registry or _registry())


def _named(nodes: tuple[Node, ...]) -> dict[str, Node]:
    named = {node.name: node for node in nodes}
    assert len(named) == len(nodes), "two nodes have one name"
    return named


def test_a_step_that_has_a_teacher_has_a_control_of_the_same_settings(tmp_path: Path):
    steps = "steps: {pupil: {use: distill, from: big, with: {epochs: 5, alpha: 0.5}}}"
    nodes = _named(expand(_plan(tmp_path, steps)))
    assert list(nodes) == ["pupil", "pupil (control)"]
    control = nodes["pupil (control)"]
    assert control.plugin.name == "train"
    assert control.config == Training(epochs=5)
    assert (control.inputs, control.seed, control.taught) == ((), 7, False)
    assert nodes["pupil"].control == "pupil (control)"
    assert nodes["pupil"].taught


def test_no_control_is_made_where_none_is_wanted(tmp_path: Path):
    steps = "steps: {pupil: {use: distill, from: big, control: false}}"
    (node,) = expand(_plan(tmp_path, steps))
    assert node.control is None


def test_settings_that_cannot_do_without_a_teacher_have_no_control(tmp_path: Path):
    steps = "steps: {pupil: {use: distill, from: big, with: {student: beginning}}}"
    (node,) = expand(_plan(tmp_path, steps))
    assert (node.control, node.taught) == (None, True)


def test_pupils_of_like_settings_share_one_control(tmp_path: Path):
    nodes = _named(
        expand(
            _plan(
                tmp_path,
                """\
                steps:
                  one: {use: distill, from: big, with: {alpha: 0}}
                  two: {use: distill, from: [big, huge], with: {alpha: 0.5}}
                  longer: {use: distill, from: big, with: {epochs: 9}}
                """,
            )
        )
    )
    assert list(nodes) == ["one", "one (control)", "two", "longer", "longer (control)"]
    assert nodes["two"].control == "one (control)"


def test_a_control_that_the_recipe_has_is_taken_with_what_follows_it(tmp_path: Path):
    nodes = _named(
        expand(
            _plan(
                tmp_path,
                """\
                steps:
                  pupil: {use: distill, from: big, with: {epochs: 5}}
                  alone: {use: train, with: {epochs: 5}}
                  pupil-lite: {use: export, from: pupil}
                  alone-lite: {use: export, from: alone}
                """,
            )
        )
    )
    assert set(nodes) == {"pupil", "alone", "pupil-lite", "alone-lite"}
    assert nodes["pupil"].control == "alone"
    assert nodes["pupil-lite"].control == "alone-lite"
    assert nodes["alone-lite"].control is None
    assert nodes["pupil-lite"].taught
    assert not nodes["alone-lite"].taught


def test_training_and_what_follows_is_repeated_with_the_next_seeds(tmp_path: Path):
    nodes = _named(
        expand(
            _plan(
                tmp_path,
                """\
                repeat: 3
                steps:
                  pupil: {use: distill, from: big}
                  lite: {use: export, from: pupil}
                  teacher-lite: {use: export, from: big}
                """,
            )
        )
    )
    assert set(nodes) == {
        "teacher-lite",
        *(f"{name}{seed}" for name in ("pupil", "pupil (control)", "lite") for seed in _SEEDS),
    }
    assert nodes["lite#8"].inputs == ("pupil#8",)
    assert nodes["lite#8"].repeats == "lite"
    assert nodes["pupil#9"].control == "pupil (control)#9"
    assert nodes["pupil (control)#9"].repeats == "pupil (control)"
    assert [nodes[f"pupil{seed}"].seed for seed in _SEEDS] == [7, 8, 9]


_SEEDS = ("", "#8", "#9")


def test_a_sweep_makes_each_combination_and_shares_what_no_value_touches(tmp_path: Path):
    plan = _plan(
        tmp_path,
        """\
        repeat: 2
        steps:
          pupil: {use: distill, from: big}
          lite: {use: export, from: pupil}
          other: {use: distill, from: huge, with: {epochs: 4}}
        sweep:
          pupil.alpha: [0, 0.5]
          pupil.views.number: [1, 2]
        """,
    )
    nodes = _named(expand(plan, points(plan)))
    assert nodes["pupil[alpha=0.5, number=2]#8"].config == Distillation(
        alpha=0.5, views=Views(number=2)
    )
    assert nodes["lite[alpha=0, number=1]"].inputs == ("pupil[alpha=0, number=1]",)
    counts = {step: sum(node.step == step for node in nodes.values()) for step in plan.recipe.steps}
    # 2 x 2 points and 2 seeds; of controls, one for each number of views, which alpha leaves alone
    assert counts == {"pupil": 8 + 4, "lite": 8 + 4, "other": 2 + 2}
    assert nodes["pupil[alpha=0, number=2]"].control == "pupil (control)[number=2]"
    assert nodes["pupil[alpha=0.5, number=2]"].control == "pupil (control)[number=2]"


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ("{pupil.alpha: [0, 2]}", ["steps.pupil.with.alpha is 2", "less than or equal to 1"]),
        ("{pupil.alhpa: [0]}", ["alhpa is not a known field", "Did you mean 'alpha'?"]),
        ("{pupli.alpha: [0]}", ["'pupli' is not a step", "Did you mean 'pupil'?"]),
        ("{alpha: [0]}", ["must be `step.setting`"]),
        ("{pupil.alpha: []}", ["sweep.pupil.alpha", "1 or more entries"]),
        ("{pupil.alpha: 0.5}", ["sweep.pupil.alpha", "must be a list"]),
        ("{pupil.alpha: [0, 0]}", ["0 is the same setting as 0"]),
        ("{pupil.alpha: [1, 1.0]}", ["1.0 is the same setting as 1"]),
        ("{pupil.views: [{}], pupil.views.number: [2]}", ["name the same setting"]),
        ("{pupil.views.number: [2], pupil.views: [{}]}", ["name the same setting"]),
        ("{pupil.weights: [[1], [1, 2]]}", ["2 weights for 1"]),
        ("{pupil.alpha.deep: [1]}", ["steps.pupil.with.alpha"]),
        ("{pupil.views: [7]}", ["steps.pupil.with.views"]),
        ("[pupil.alpha]", ["sweep", "must be a mapping"]),
    ],
)
def test_a_sweep_that_cannot_be_is_reported_with_its_line(
    tmp_path: Path, sweep: str, words: list[str]
):
    with pytest.raises(RecipeError) as caught:
        _plan(tmp_path, f"steps: {{pupil: {{use: distill, from: big}}}}\nsweep: {sweep}\n")
    (problem,) = caught.value.problems
    assert problem.line == 8
    assert all(word in problem.message for word in words), problem.message


def test_in_a_sweep_a_control_goes_through_the_steps_of_its_pupil(tmp_path: Path):
    plan = _plan(
        tmp_path,
        """\
        repeat: 2
        steps:
          lite: {use: export, from: pupil}
          pupil: {use: distill, from: big}
          alone: {use: train, with: {epochs: 9}}
          longer: {use: distill, from: big, with: {epochs: 9}}
          longer-lite: {use: export, from: longer}
        sweep: {pupil.alpha: [0, 0.5], pupil.epochs: [1, 2]}
        """,
    )
    nodes = _named(expand(plan, points(plan)))
    control = nodes["lite (control)[epochs=2]#8"]
    assert control.inputs == ("pupil (control)[epochs=2]#8",)
    assert (control.taught, control.seed) == (False, 8)
    assert control.repeats == "lite (control)[epochs=2]"
    assert control.teachers == ("big",)
    for alpha in (0, 0.5):
        assert nodes[f"lite[alpha={alpha}, epochs=2]#8"].control == control.name
    assert nodes["longer-lite"].control == "longer-lite (control)"
    assert nodes["longer-lite (control)"].inputs == ("alone",)
    made = set(plan.recipe.teachers)
    for name, node in nodes.items():
        assert made.issuperset(node.inputs), f"{name} comes before what it is made from"
        made.add(name)


SHARED = """\
    steps:
      plain: {use: train}
      pupil: {use: distill, from: big}
      out: {use: export, from: pupil}
    sweep: {plain.epochs: [1, 2], pupil.epochs: [1, 2]}
    """
WRITTEN = """\
    steps:
      one: {use: train, with: {epochs: 1}}
      two: {use: train, with: {epochs: 2}}
      pupil: {use: distill, from: big}
      out: {use: export, from: pupil}
    sweep: {pupil.epochs: [1, 2]}
    """


@pytest.mark.parametrize(
    ("text", "plain"), [(SHARED, "plain[epochs={}]"), (WRITTEN, "{}")], ids=["swept", "written"]
)
def test_what_follows_a_control_of_the_recipe_has_a_name_for_each_point(
    tmp_path: Path, text: str, plain: str
):
    plan = _plan(tmp_path, text)
    nodes = _named(expand(plan, points(plan)))
    names = {"1": "one", "2": "two"}
    for epochs in ("1", "2"):
        control = nodes[nodes[f"out[epochs={epochs}]"].control or ""]
        assert control.name == f"out (control)[epochs={epochs}]"
        assert control.inputs == (plain.format(epochs if "[" in plain else names[epochs]),)


def test_a_pupil_that_wants_no_control_gets_none_in_a_sweep_either(tmp_path: Path):
    plan = _plan(
        tmp_path,
        """\
        steps:
          a: {use: distill, from: big}
          b: {use: distill, from: a, control: false}
          out: {use: export, from: b}
        sweep: {a.alpha: [0.1, 0.2]}
        """,
    )
    nodes = _named(expand(plan, points(plan)))
    assert {node.step for node in nodes.values() if not node.taught} == {"a"}
    assert nodes["out[alpha=0.1]"].control is None


def test_settings_that_do_not_fit_are_reported_once(tmp_path: Path):
    steps = """\
        steps: {pupil: {use: distill, from: big, with: {weights: [1, 2]}}}
        sweep: {pupil.epochs: [1, 2, 3]}
        """
    with pytest.raises(RecipeError) as caught:
        _plan(tmp_path, steps)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("teachers", ["[assistant]", "[big, assistant]"])
def test_a_pupil_of_a_pupil_keeps_its_own_control(tmp_path: Path, teachers: str):
    steps = f"""\
        steps:
          assistant: {{use: distill, from: big, with: {{student: medium}}}}
          pupil: {{use: distill, from: {teachers}}}
        """
    nodes = _named(expand(_plan(tmp_path, steps)))
    assert nodes["pupil"].control == "pupil (control)"
    assert nodes["assistant"].control == "assistant (control)"
    assert {node.teachers for node in nodes.values()} == {("big",)}


def test_a_model_has_the_teachers_behind_it_or_none(tmp_path: Path):
    steps = """\
        steps:
          alone: {use: train, with: {epochs: 9}}
          alone-lite: {use: export, from: alone}
          pupil: {use: distill, from: [huge, big]}
          pupil-lite: {use: export, from: pupil}
        """
    nodes = _named(expand(_plan(tmp_path, steps)))
    teachers = {name: node.teachers for name, node in nodes.items()}
    alone = dict.fromkeys(("alone", "alone-lite"), ())
    taught = dict.fromkeys(("pupil", "pupil (control)", "pupil-lite"), ("huge", "big"))
    assert teachers == alone | taught


def test_there_must_be_as_many_seeds_as_repeats(tmp_path: Path):
    steps = "steps: {pupil: {use: distill, from: big}}\nrepeat: 2\n"
    assert _plan(tmp_path, steps).recipe.repeat == 2
    file = tmp_path / "recipe.yaml"
    file.write_text(file.read_text().replace("seed: 7", f"seed: {2**32 - 1}"))
    with pytest.raises(RecipeError, match="takes seeds up to 4294967296, but the largest"):
        read_plan(file, _registry())


def test_settings_that_do_not_fit_the_inputs_are_reported_before_the_run(tmp_path: Path):
    steps = "steps: {pupil: {use: distill, from: big, with: {weights: [1, 2]}}}"
    with pytest.raises(RecipeError, match="2 weights for 1"):
        _plan(tmp_path, steps)


def test_a_control_that_is_not_installed_is_reported(tmp_path: Path):
    steps = "steps: {pupil: {use: distill, from: big}}"
    with pytest.raises(
        RecipeError, match=r"No technique or exporter named 'train'.*control: false"
    ):
        _plan(tmp_path, steps, _registry("train"))
