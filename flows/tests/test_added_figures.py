"""Figures of metrics that packages add, wherever the metrics of a model are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from publishable_runs import published_text, release
from report_pages import read
from sample_runs import PUPIL, VGG, sample_run

from pupila.evaluation import Estimate, Figure
from pupila_flows.registry import open_registry
from pupila_flows.registry.manifest import CARD
from pupila_flows.registry.publishing import publish
from pupila_flows.report.terminal import result_rows
from pupila_flows.results import RunResult

COST = Figure(
    name="cost",
    title="cost <of errors>",
    unit="false alarms",
    estimate=Estimate(value=0.46, low=0.21, high=0.78, method="percentile bootstrap of costs"),
    lower_is_better=True,
)


def with_cost(result: RunResult) -> RunResult:
    entries = [
        entry.model_copy(
            update={
                "evaluation": entry.evaluation.model_copy(
                    update={
                        "metrics": entry.evaluation.metrics.model_copy(update={"added": (COST,)})
                    }
                )
            }
        )
        if entry.evaluation
        else entry
        for entry in result.entries
    ]
    return result.model_copy(update={"entries": tuple(entries)})


def test_the_report_lists_them_beside_the_calibration_error(tmp_path: Path):
    page = read(with_cost(sample_run(tmp_path, [VGG, PUPIL])), tmp_path).text
    assert "cost <of errors>, false alarms" in page, "escaped, and so read back as text"
    assert "0.46" in page and "0.21–0.78" in page
    assert "calibration error (ECE)" in page
    assert "cost <of errors>, false alarms: percentile bootstrap of costs" in page


def test_the_terminal_has_a_column_for_each(tmp_path: Path):
    for row in result_rows(with_cost(sample_run(tmp_path, [VGG, PUPIL]))):
        assert row["cost <of errors>, false alarms"] == "0.46"


def test_the_card_has_them_with_their_intervals(tmp_path: Path):
    registry, given = open_registry(str(tmp_path / "registry")), release(tmp_path)
    publish(registry, replace(given, result=with_cost(given.result)))
    card = published_text(registry, 1, CARD)
    assert "0.46 (0.21–0.78)" in card
    assert "<of errors>" not in card, "escaped"


def test_results_written_before_there_were_any_are_read(tmp_path: Path):
    result = sample_run(tmp_path, [VGG])
    text = result.model_dump_json().replace('"added":[],', "").replace(',"added":[]', "")
    assert '"added"' not in text
    assert RunResult.model_validate_json(text).entries == result.entries
