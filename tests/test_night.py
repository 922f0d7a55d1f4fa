"""A small clinic on a real server: deployed, retrained, published, refused, rolled back."""

from __future__ import annotations

import time
from collections.abc import Generator
from html import unescape

import pytest
from clinic import OF_LEFT, OF_RIGHT, Clinic, opened, prepare

from pupila_flows.results import Finding, RunResult

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Generator[Clinic]:
    folder = tmp_path_factory.mktemp("clinic")
    prepare(folder)
    with opened(folder) as clinic:
        yield clinic


def test_a_run_started_through_the_api_publishes_the_first_version(clinic: Clinic):
    run = clinic.start("clinic-on-demand", publish={"limits": "Pictures of two colours."})
    state = clinic.end_of(run)
    assert state["type"] == "COMPLETED", state["message"]
    assert clinic.current() == 1
    card = clinic.folder / "registry" / "clinic" / "versions" / "000001" / "card.md"
    assert "Pictures of two colours." in card.read_text()
    assert "is whole" in clinic.pupila("verify", "clinic", "--registry", "registry")


def test_an_unchanged_night_makes_nothing_and_publishes_nothing(clinic: Clinic):
    run = clinic.start("clinic-nightly", publish={"limits": "Pictures of two colours."})
    assert clinic.end_of(run)["type"] == "COMPLETED"
    tasks = clinic.tasks(run)
    assert {tasks[name] for name in OF_LEFT | OF_RIGHT} == {"Cached"}
    assert all(entry.cached for entry in clinic.latest().entries)
    assert clinic.current() == 1


def test_a_retrained_teacher_starts_a_run_by_itself_of_what_depends_on_it(clinic: Clinic):
    run = clinic.retrained("retrained.keras")
    assert clinic.end_of(run)["type"] == "COMPLETED"
    tasks = clinic.tasks(run)
    assert {tasks[name] for name in OF_LEFT} == {"Completed"}
    assert {tasks[name] for name in OF_RIGHT} == {"Cached"}
    assert clinic.current() == 2


def test_a_worse_teacher_is_stopped_by_the_gate_and_the_report_says_why(clinic: Clinic):
    state = clinic.end_of(clinic.retrained("worse.keras"))
    assert state["type"] == "FAILED"
    assert "gate: left-int8 fails: accuracy" in state["message"] and "\n" not in state["message"]
    result = clinic.latest()
    assert result.gate and result.gate.verdict == "fail"
    verdicts = {artifact.entry: artifact.verdict for artifact in result.gate.artifacts}
    assert verdicts == {"left-int8": "fail", "right-float": "pass"}
    assert result.publication and result.publication.version is None
    report = clinic.report()
    assert all(finding.text in unescape(report) for finding in failed(result))
    assert clinic.current() == 2


def test_the_change_of_verdict_is_told_and_the_unchanged_night_was_silent(clinic: Clinic):
    deadline = time.monotonic() + 60
    while not clinic.fired() and time.monotonic() < deadline:
        time.sleep(1)
    assert clinic.fired() == ["Pupila: a verdict changed"]


def test_a_rollback_brings_the_first_version_back_and_history_tells_all(clinic: Clinic):
    asked = ("--to", "1", "--reason", "The second is doubted.", "--registry", "registry")
    clinic.pupila("rollback", "clinic", *asked)
    assert clinic.current() == 1
    history = clinic.pupila("history", "clinic", "--registry", "registry")
    assert "The second is doubted." in history
    assert "left-int8" in clinic.pupila("diff", "clinic", "1", "2", "--registry", "registry")


def failed(result: RunResult) -> list[Finding]:
    """Return what kept a run from being published."""
    verdicts = result.gate.artifacts if result.gate else ()
    return [
        finding for verdict in verdicts for finding in verdict.findings if finding.verdict == "fail"
    ]
