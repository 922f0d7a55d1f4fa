"""What the report says about the stages of a chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import TWELVE, sample_run

from pupila.evaluation import Estimate, Figure, Metrics, StageFigures
from pupila.external import ExternalEvaluation, ExternalMetrics
from pupila.intervals import proportion
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.card import write_card
from pupila_flows.report.page import write_report
from pupila_flows.report.stages import stage_rows
from pupila_flows.report.verdict import metrics_markdown
from pupila_flows.results import ExternalResult, RunResult

MEDIAN = Figure(
    name="error",
    title="median error",
    unit="% of the width",
    estimate=Estimate(value=0.4512, low=0.4, high=0.52, method="bootstrap"),
    lower_is_better=True,
)
STAGES = (
    StageFigures(name="filter", images=20, turned_away=3, recognised=5),
    StageFigures(
        name="locator",
        images=12,
        turned_away=1,
        recognised=0,
        metrics=Metrics(images=10, accuracy=proportion(9, 10), figures=(MEDIAN,)),
    ),
    StageFigures(name="classifier", images=16, turned_away=0, recognised=0),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    result = sample_run(tmp_path_factory.mktemp("stages"), TWELVE)
    chain = next(entry for entry in result.entries if entry.kind == "step" and entry.evaluation)
    assert chain.evaluation
    elsewhere = ExternalEvaluation(
        figures=ExternalMetrics(images=20), stages=STAGES[:1], probabilities="none.npy"
    )
    changed = chain.model_copy(
        update={
            "evaluation": chain.evaluation.model_copy(update={"stages": STAGES}),
            "external": (ExternalResult(name="clinic-b", evaluation=elsewhere),),
        }
    )
    entries = tuple(changed if entry is chain else entry for entry in result.entries)
    return result.model_copy(update={"entries": entries})


def test_each_stage_has_a_row_for_the_test_images_and_each_external_set(run: RunResult):
    rows = stage_rows(run.entries)
    assert [(row.images, row.stage.name, row.passed) for row in rows] == [
        ("test images", "filter", 12),
        ("test images", "locator", 11),
        ("test images", "classifier", 16),
        ("clinic-b", "filter", 12),
    ]


def test_the_locators_own_figures_have_units_and_intervals(run: RunResult):
    row = next(row for row in stage_rows(run.entries) if row.cells)
    right, error = row.cells
    assert (right.title, right.value) == ("right, of 10 labelled images", "90.0\u00a0%")
    assert (error.title, error.value) == ("median error", "0.451 % of the width")
    assert error.interval == "0.4 to 0.52"


def test_the_card_and_the_page_in_prefect_show_them(run: RunResult):
    (chain,) = {row.artifact for row in stage_rows(run.entries)}
    card = write_card("eyes", 1, run, PublishSection(), {}, {chain: "1" * 64}, ())
    assert "## Stages of chains" in card
    for text in (card, metrics_markdown(run)):
        lines = [line for line in text.splitlines() if "| locator |" in line]
        assert len(lines) == 1 and "| 12 | 1 | 0 |" in lines[0]
        assert "median error: 0.451 % of the width (0.4 to 0.52)" in lines[0]


def test_the_page_shows_them_and_leaves_them_out_without_a_chain(run: RunResult, tmp_path: Path):
    page = write_report(run, tmp_path).read_text()
    assert 'id="stages"' in page
    assert "0.451 % of the width" in page
    plain = [
        entry.model_copy(update={"evaluation": entry.evaluation.model_copy(update={"stages": ()})})
        if entry.evaluation
        else entry
        for entry in run.entries
    ]
    bare = [entry.model_copy(update={"external": ()}) for entry in plain]
    without = write_report(run.model_copy(update={"entries": tuple(bare)}), tmp_path).read_text()
    assert 'id="stages"' not in without
