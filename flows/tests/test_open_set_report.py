"""What report and terminal say about artifacts as filters."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import picture
from sample_runs import TWELVE, sample_run

from pupila.evaluation import (
    Acceptance,
    NearMiss,
    NegativeGroup,
    OpenSet,
)
from pupila.intervals import proportion
from pupila_flows.report.page import write_report
from pupila_flows.report.terminal import result_rows
from pupila_flows.results import Entry, RunResult


def gate(near: Path | None, accepted: int) -> OpenSet:
    group = NegativeGroup(
        name="moon",
        near_miss=True,
        trained=False,
        images=12,
        auc=None,
        accepted=proportion(accepted, 12),
        accepted_at_95=proportion(0, 12),
    )
    everything = group.model_copy(update={"name": "all"})
    seen = group.model_copy(update={"name": "street", "near_miss": False, "trained": True})
    return OpenSet(
        accepts="glaucoma",
        threshold=0.875,
        chosen_on="validation",
        comparable_threshold=0.8,
        accepted=Acceptance(name="all", images=50, accepted=proportion(49, 50)),
        accepted_groups=(),
        negatives=(seen, everything, group),
        corrupted=(Acceptance(name="blur", images=50, accepted=proportion(20, 50)),),
        nearest=(
            NearMiss(
                path=str(near), group="moon", near_miss=True, probability=0.991, accepted=True
            ),
        )
        if near
        else (),
    )


def gated(run: RunResult, open_set: OpenSet) -> RunResult:
    entries: list[Entry] = []
    for entry in run.entries:
        evaluation = entry.evaluation and entry.evaluation.model_copy(update={"open_set": open_set})
        entries.append(entry.model_copy(update={"evaluation": evaluation}))
    return run.model_copy(update={"entries": tuple(entries)})


def test_the_report_shows_whom_each_artifact_lets_through(tmp_path: Path):
    near = picture(tmp_path / "moon.png", (200, 120, 20))
    run = gated(sample_run(tmp_path, TWELVE), gate(near, 3))
    page = write_report(run, tmp_path).read_text().replace("\u00a0", " ")
    section = page[page.index('id="open-set"') : page.index('id="plots"')]
    assert section.count("<b>25.0 %</b>") == 3 * len(
        [entry for entry in run.entries if entry.evaluation]
    )
    assert section.count(">new</span>") == 2  # once in the words above the table
    assert section.count(">in training</span>") == 1
    assert "include discs, plain images and screens" in section
    assert "98.0 %" in section and "40.0 %" in section and "0.875" in section
    worst = page[page.index('id="mistakes"') : page.index('id="disagreements"')]
    assert worst.count("moon.png, truth moon") == 2
    assert "0.991" in worst
    assert worst.count("3 of 12, 1 shown.") == 2


@pytest.mark.parametrize(("accepted", "said"), [(0, True), (3, False)])
def test_that_no_near_miss_is_let_through_is_said_of_all_of_them(
    tmp_path: Path, accepted: int, said: bool
):
    run = gated(sample_run(tmp_path, TWELVE), gate(None, accepted))
    page = write_report(run, tmp_path).read_text()
    assert ("It lets no near miss through." in page) is said
    assert ("3 of 12, 0 shown." in page) is not said


def test_a_run_without_gates_has_the_mistakes_and_no_open_set(tmp_path: Path):
    run = sample_run(tmp_path, TWELVE)
    assert '"open_set":null' in run.model_dump_json()
    before = run.model_dump_json().replace('"open_set":null,', "")
    page = write_report(RunResult.model_validate_json(before), tmp_path).read_text()
    assert 'id="open-set"' not in page
    assert "lets no near miss through" not in page
    assert 'id="mistakes"' in page


def test_the_worst_mistakes_are_the_surest_wrong_answers(tmp_path: Path):
    images = [picture(tmp_path / f"{n:03}.png", (90, 60, 30), seed=n) for n in range(30)]
    run = sample_run(tmp_path, TWELVE, images=images)
    page = write_report(run, tmp_path).read_text()
    worst = page[page.index('id="mistakes"') : page.index('id="disagreements"')]
    parts = worst.split("<h3>")[1:]
    assert len(parts) == 2
    for part in parts:
        shown = [float(answer.split("</strong> ")[1][:5]) for answer in part.split("answer ")[1:]]
        assert shown == sorted(shown, reverse=True)
        assert all(probability > 0.5 for probability in shown)


def test_the_terminal_tells_what_a_gate_lets_through(tmp_path: Path):
    rows = result_rows(gated(sample_run(tmp_path, TWELVE), gate(None, 3)))
    assert rows[0]["lets through"].startswith("0.980 (")
    assert rows[0]["false accepts, near misses"].startswith("0.250 (")
    assert "false accepts, others" not in rows[0]
