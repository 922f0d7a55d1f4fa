"""How many models the same test images have decided about, and what that does to the level."""

from __future__ import annotations

from pathlib import Path

import pytest
from gate_cases import ACCURACY, TEST, GateModels, gate_inputs, scores_with_errors
from publishable_runs import publishable_run, read_run

from pupila.errors import PupilaError
from pupila.store import Store
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import GateInputs
from pupila_flows.gate.messages import notes
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.release import release_of
from pupila_flows.results import GateResult, ReusedTestImages
from pupila_flows.run.reused_images import count_verdicts
from pupila_flows.workspace import Workspace


def inputs(
    gate_model: GateModels, name: str, wrong: int, shipped: float | None = None
) -> GateInputs:
    pupil = gate_model(name, scores_with_errors(wrong), shipped=shipped)
    return gate_inputs(
        GateSection(margins=ACCURACY), pupil, gate_model("vgg", scores_with_errors(0))
    )


def test_each_distinct_set_of_predictions_counts_once_under_any_name(
    gate_model: GateModels, tmp_path: Path
):
    workspace = Workspace.at(tmp_path / "place")

    def count(inputs: GateInputs) -> int:
        return len(count_verdicts(workspace, inputs, None, "clinic").answers)

    first = inputs(gate_model, "int8", 4)
    assert [count(first), count(first)] == [1, 1]  # as on an unchanged night
    assert count(inputs(gate_model, "renamed", 4)) == 1
    assert count(inputs(gate_model, "another", 5)) == 2
    assert count(inputs(gate_model, "shipped", 5, shipped=0.4)) == 3
    fresh = TEST.model_copy(update={"fingerprint": "fresh"})
    assert count(first.model_copy(update={"test": fresh})) == 1
    assert not list((workspace.root / "test-images").glob("*/.*"))


def test_another_workspace_continues_the_count_of_the_published_version(
    gate_model: GateModels, tmp_path: Path
):
    registry = open_registry(str(tmp_path / "registry"))
    here, there = Workspace.at(tmp_path / "here"), Workspace.at(tmp_path / "there")
    count_verdicts(here, inputs(gate_model, "first", 1), registry, "clinic")
    known = count_verdicts(here, inputs(gate_model, "second", 2), registry, "clinic")
    published(registry, tmp_path, known)
    reused = count_verdicts(there, inputs(gate_model, "third", 3), registry, "clinic")
    assert len(reused.answers) == 3 and set(known.answers) < set(reused.answers)
    elsewhere = inputs(gate_model, "third", 3)
    other = elsewhere.test.model_copy(update={"fingerprint": "other images"})
    fresh = elsewhere.model_copy(update={"test": other})
    assert len(count_verdicts(there, fresh, registry, "clinic").answers) == 1


def test_an_error_is_raised_if_a_verdict_cannot_be_counted(gate_model: GateModels, tmp_path: Path):
    workspace = Workspace.at(tmp_path / "place")
    (workspace.root / "test-images").mkdir(parents=True)
    (workspace.root / "test-images" / TEST.fingerprint).write_text("not a folder")
    with pytest.raises(PupilaError, match="verdicts on these test images cannot be counted: "):
        count_verdicts(workspace, inputs(gate_model, "int8", 4), None, "clinic")


def published(registry: Registry, folder: Path, known: ReusedTestImages) -> None:
    run = publishable_run(folder)
    result = read_run(run)
    assert result.gate
    gate = result.gate.model_copy(update={"reused_test_images": known})
    store: Store = Workspace.at(folder / ".pupila").store
    release = release_of(result.model_copy(update={"gate": gate}), run, PublishSection(), store)
    assert publish(registry, release).outcome == "published"


@pytest.mark.parametrize(
    ("models", "chance", "words"),
    [
        (1, 0.025, "about 1 different model so far"),
        (12, 0.262, "about 12 different models so far"),
        (365, 0.9999, "up to 100.0 %"),
    ],
)
def test_the_report_gives_the_chance_that_one_of_several_models_at_the_margin_passes(
    models: int, chance: float, words: str
):
    known = ReusedTestImages(test="-", answers=tuple(map(str, range(models))))
    assert known.chance == pytest.approx(chance, abs=1e-3)
    (note,) = notes(GateResult(verdict="fail", artifacts=(), reused_test_images=known))
    assert words in note


def test_the_report_says_so_if_the_data_has_no_patients(gate_model: GateModels):
    (note,) = notes(decide(inputs(gate_model, "int8", 4)))
    assert note.startswith("Tests and intervals treat every image as a different patient")
