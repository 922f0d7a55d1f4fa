"""Whether a run is withheld, and whether its verdicts are others than those of the run before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sample_runs import VGG, Node, sample_run

from pupila_flows.results import ArtifactVerdict, Finding, GateResult, Publication, Verdict
from pupila_flows.run.gate import gate_failures
from pupila_flows.run.verdicts import Verdicts, verdicts_before

STEPS = ("left", "right")


def _gate(*verdicts: Verdict) -> GateResult:
    """Return a gate that says so of `left` and `right`."""
    artifacts = tuple(
        ArtifactVerdict(entry=entry, verdict=verdict, findings=(_finding(verdict),))
        for entry, verdict in zip(STEPS, verdicts, strict=True)
    )
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
    worst: Verdict = next(verdict for verdict in order if verdict in verdicts)
    return GateResult(verdict=worst, artifacts=artifacts)


def _finding(verdict: Verdict) -> Finding:
    text = "Accuracy is low,\nin two lines."
    return Finding(
        condition="accuracy", against="vgg16", verdict=verdict, value=0.8, limit=0.05, text=text
    )


def _publication(outcome: Any) -> Publication:
    reason = "Nothing is published: version 2 had the same left, and ada rolled back from it."
    return Publication(registry="r", name="n", outcome=outcome, version=None, reason=reason)


@pytest.mark.parametrize(
    ("gate", "outcome", "said"),
    [
        (None, None, None),
        (None, "withheld", None),
        (_gate("pass", "pass"), None, None),
        (_gate("pass", "pass"), "published", None),
        (_gate("pass", "pass"), "withheld", "ada rolled back from it"),
        (_gate("inconclusive", "pass"), "withheld", "whether left is good enough"),
        (_gate("inconclusive", "inconclusive"), None, "whether left, right are good enough"),
    ],
)
def test_what_did_not_fail_and_is_not_published_is_withheld_in_a_line(
    tmp_path: Path, gate: GateResult | None, outcome: str | None, said: str | None
):
    publication = _publication(outcome) if outcome else None
    run = sample_run(tmp_path, [VGG, Node("left", "x", ("vgg16",))], gate=gate)
    withheld = run.model_copy(update={"publication": publication}).withheld
    assert (withheld is None) == (said is None)
    assert said is None or withheld is None or (said in withheld and "\n" not in withheld)


def test_what_fails_is_named_in_a_line_and_what_is_open_is_no_objection():
    assert gate_failures(_gate("pass", "inconclusive")) == []
    assert gate_failures(_gate("fail", "inconclusive")) == [
        "gate: left fails: accuracy against vgg16"
    ]
    assert gate_failures(None) == []


def _run(folder: Path, name: str, gate: Mapping[str, Any] | None, **more: Any) -> Path:
    """Write what matters of a `result.json`, beside what no version of ours knows."""
    path = folder / name / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"gate": gate, "of_a_later_version": 1} | more))
    return path


def _json(*verdicts: Verdict) -> dict[str, Any]:
    return _gate(*verdicts).model_dump(mode="json")


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [
        (_json("pass", "pass"), _json("pass", "pass"), []),
        (_json("inconclusive", "pass"), _json("inconclusive", "pass"), []),
        (
            _json("pass", "pass"),
            _json("inconclusive", "pass"),
            ["pass → inconclusive", "left: pass → inconclusive"],
        ),
        (
            _json("fail", "pass"),
            _json("pass", "fail"),
            ["left: fail → pass", "right: pass → fail"],
        ),
    ],
)
def test_a_change_is_named_of_the_run_and_of_each_artifact(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], changes: list[str]
):
    _run(tmp_path, "20260101T020000Z", before)
    _run(tmp_path, "20260102T020000Z", None)  # a sweep, which no gate is asked about
    path = _run(tmp_path, "20260103T020000Z", now)
    _run(tmp_path, "20260104T020000Z", _json("fail", "fail"))  # began later
    verdicts, known = Verdicts.read(path), verdicts_before(path)
    assert verdicts and known and verdicts.since(known) == changes


@pytest.mark.parametrize("content", [b"", b'{"gate": {"ver', b"\xff\xfe", b"[1]"])
def test_a_past_run_whose_figures_were_damaged_is_passed_over(tmp_path: Path, content: bytes):
    _run(tmp_path, "1", _json("pass", "pass"))
    _run(tmp_path, "2", _json("fail", "fail")).write_bytes(content)
    known = verdicts_before(_run(tmp_path, "3", _json("pass", "fail")))
    assert known and known.run == "pass"


def test_a_rollback_is_a_change_once_and_a_new_step_is_none(tmp_path: Path):
    withheld = _publication("withheld").model_dump(mode="json")
    first = _run(tmp_path, "1", _json("pass", "pass"))
    second = _run(tmp_path, "2", _json("pass", "pass"), publication=withheld)
    third = _run(tmp_path, "3", _json("pass", "pass"), publication=withheld)
    verdicts = [Verdicts.read(run) for run in (first, second, third)]
    assert verdicts[0] and verdicts[1] and verdicts[2]
    assert verdicts[1].since(verdicts[0]) == ["pass → withheld"]
    assert verdicts[2].since(verdicts[1]) == []
    assert verdicts[0].since(Verdicts("pass", {"left": "pass"})) == []
    assert verdicts_before(first) is None
