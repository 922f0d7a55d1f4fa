"""Which models are asked about altered images, and that the answer is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import TWELVE, sample_run

from pupila.errors import PupilaError
from pupila.testing import CLASSES, draw_images, ignore_progress, keras_artifact, read_images
from pupila_flows.jobs.evaluate_shift import EvaluateShift
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.shift import ShiftSection
from pupila_flows.run.shift import asked_of, teachers_behind
from pupila_flows.workspace import Workspace


@pytest.mark.parametrize(
    ("section", "gate", "asked"),
    [
        (None, None, set[str]()),
        (None, GateSection(steps=("pupil-int8",)), {"pupil-int8"}),
        (None, GateSection(steps=("pupil-int8",), fidelity=None), set[str]()),
        (ShiftSection(), None, {entry.name for entry in TWELVE} - {"vgg16", "xception"}),
    ],
    ids=["nobody asks", "the gate", "a gate without fidelity", "a section"],
)
def test_a_section_evaluates_all_steps_and_a_gate_only_its_own(
    tmp_path: Path, section: ShiftSection | None, gate: GateSection | None, asked: set[str]
):
    assert asked_of(section, gate, sample_run(tmp_path).entries) == asked


def test_a_control_is_held_against_the_teacher_of_what_it_is_the_control_of(tmp_path: Path):
    entries = {
        entry.name: entry.model_copy(update={"reference": None})
        if entry.name.startswith("control")
        else entry
        for entry in sample_run(tmp_path).entries
    }
    behind = teachers_behind(entries)
    assert behind["pupil-int8"] == behind["control-int8"] == entries["pupil-int8"].reference
    assert behind["vgg16"] is None


def test_the_job_asks_both_and_another_setting_asks_again(tmp_path: Path):
    workspace = Workspace.at(tmp_path / "workspace")
    dataset = read_images(draw_images(tmp_path / "images", images=8), workspace.cache)
    teacher, pupil = (keras_artifact(workspace.store, seed=seed) for seed in (0, 1))

    def job(section: ShiftSection, *, whole: bool = False) -> EvaluateShift:
        return EvaluateShift.of(
            *(workspace, "pupil", pupil, ("big", teacher), dataset, CLASSES[0], section),
            whole=whole,
        )

    section = ShiftSection(families=("hue", "blur"), images=15)
    first = job(section).run(ignore_progress)
    assert first == EvaluateShift.from_json(EvaluateShift.to_json(first))
    assert (first.reference, first.runtime, first.images, first.split) == (
        *("big", "keras", 15),
        "test",
    )
    whole = job(section, whole=True).run(ignore_progress)
    assert first.validation is None and whole.validation is not None
    assert [len(family.steps) for family in (*first.families, *whole.families)] == [1, 1, 3, 3]
    assert whole.value == first.value, "the curves have no part in the value"
    keys = {job(section).key, job(section, whole=True).key}
    keys |= {job(section.model_copy(update={field: 16})).key for field in ("images", "seed")}
    assert len(keys) == 4
    with pytest.raises(PupilaError, match="No shift named 'hues'"):
        job(section.model_copy(update={"families": ("hues",)}))
