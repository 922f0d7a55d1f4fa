"""Pictures of the report: ROC curves, intervals, and the graph of a run."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sample_runs import Node

from pupila.evaluation import Estimate
from pupila_flows.report import predictions
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import bars_and_rocs, graph
from pupila_flows.results import Entry, RunResult


def test_the_roc_curve_has_the_area_that_was_evaluated(run: RunResult, run_folder: Path) -> None:
    read_back = predictions.read_predictions(run, run_folder)
    for entry in run.entries:
        curve = bars_and_rocs.roc_points(read_back.truths == 0, read_back.answers[entry.name][:, 0])
        area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))
        assert entry.evaluation and entry.evaluation.metrics.auc
        assert area == pytest.approx(entry.evaluation.metrics.auc.value)


def test_images_of_equal_score_make_a_slope_in_the_roc_curve() -> None:
    curve = bars_and_rocs.roc_points(np.array([True, False, True]), np.array([0.5, 0.5, 0.5]))
    assert curve == [(0.0, 0.0), (1.0, 1.0)]


def test_an_interval_that_is_no_number_draws_nothing() -> None:
    nan = float("nan")
    assert bars_and_rocs.interval_bar(Estimate(value=nan, low=nan, high=nan, method=""), 0, 1) == ""


def test_boxes_of_the_graph_never_overlap_and_edges_go_right(run: RunResult) -> None:
    nodes = [Node(f"t{row}", "keras-v3") for row in range(3)]
    nodes += [
        Node(f"s{row}", "x", (f"t{row % 3}", *((f"s{row - 1}",) if row % 4 else ())))
        for row in range(27)
    ]
    entries = [
        Entry(
            name=node.name,
            kind="teacher" if node.name[0] == "t" else "step",
            uses=node.uses,
            inputs=node.inputs,
        )
        for node in nodes
    ]
    drawn = str(graph.draw(Lineage.of(entries)))
    boxes = _boxes(drawn)
    assert len(boxes) == 30
    for row, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[row + 1 :]:
            apart = abs(x - other_x) >= max(width, other_width) or (
                y + height <= other_y or other_y + other_height <= y
            )
            assert apart
    for start, end in re.findall(r'd="M([\d.]+),.*? ([\d.]+),[\d.]+"', drawn):
        assert float(end) > float(start)


def _boxes(drawn: str) -> list[tuple[float, float, float, float]]:
    pattern = r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"'
    return [
        (float(x), float(y), float(width), float(height))
        for x, y, width, height in re.findall(pattern, drawn)
    ]


def test_a_graph_of_one_node_is_one_box() -> None:
    entry = Entry(name="vgg16", kind="teacher", uses="keras-h5")
    assert len(_boxes(str(graph.draw(Lineage.of([entry]))))) == 1


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("pupil", ["pupil"]),
        ("distilled-from-three-teachers", ["distilled-from-three-", "teachers"]),
        ("a" * 30, ["a" * 21, "a" * 9]),
        ("", [""]),
    ],
)
def test_long_names_are_broken_where_they_may_be(name: str, lines: list[str]) -> None:
    assert graph.wrap(name) == lines


def test_a_name_beyond_three_lines_loses_its_middle() -> None:
    wrapped = graph.wrap("very-long-name-" * 12)
    assert len(wrapped) == 3 and "…" in wrapped[-1]
    assert all(len(line) <= 21 for line in wrapped)
