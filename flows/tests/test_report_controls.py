"""A pupil beside its control: what the teacher adds, and what is shown of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_pages import Page, read
from sample_runs import ALONE, CONTROL, STUDENT, VGG, Node, sample_run

from pupila_flows.report import predictions
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.sections.gains import gains
from pupila_flows.results import RunResult


def test_a_control_is_named_as_one_and_shown_beside_its_pupil(
    run: RunResult, run_folder: Path, page: Page
) -> None:
    all_gains = gains(run.entries, predictions.read_predictions(run, run_folder))
    assert [(gain.pupil, gain.control) for gain in all_gains] == [
        ("pupil", "control"),
        ("pupil-float", "control-float"),
        ("pupil-int8", "control-int8"),
    ]
    assert "control: no teacher" in page.text and "made from a control" in page.text
    assert "What the teacher adds" in page.text


def test_a_pupil_without_inputs_that_a_teacher_had_a_part_in_is_no_control(tmp_path: Path) -> None:
    alone = Node("beside", "distill-evolutionary", taught=True, control="control")
    result = sample_run(tmp_path, [VGG, alone, CONTROL])
    lineage = Lineage.of(result.entries)
    assert [pupil.name for pupil in lineage.pupils()] == ["beside"]
    assert "control: no teacher" in read(result, tmp_path).text


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (1.45, "No gain is shown: with"),
        (9.0, "Gain shown: it does better with the teacher"),
    ],
)
def test_what_the_teacher_adds_is_said_as_far_as_it_is_shown(
    tmp_path: Path, noise: float, words: str
) -> None:
    control = Node("control", "train", (), noise, config=ALONE)
    pupil = Node("pupil", "distill", ("vgg16",), 0.1, config=STUDENT, control="control")
    assert words in read(sample_run(tmp_path, [VGG, pupil, control]), tmp_path).text


def test_a_pupil_that_does_worse_than_its_control_is_said_to(tmp_path: Path) -> None:
    control = Node("control", "train", (), 0.1, config=ALONE)
    pupil = Node("pupil", "distill", ("vgg16",), 9.0, config=STUDENT, control="control")
    text = read(sample_run(tmp_path, [VGG, pupil, control]), tmp_path).text
    assert "Loss shown: the control without a teacher does better" in text
