"""What Prefect shows of a run: its name, and in its log a line for each model."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sample_runs import Node, sample_run

from pupila.task import methods_of
from pupila_flows.recipe.differences import setting_changes
from pupila_flows.report.step_line import step_line
from pupila_flows.run.run_name import run_name

STARTED = datetime(2026, 11, 30, 2, 0, 30, tzinfo=UTC)
RECIPE = "{seed: 7, steps: {pupil: {use: distill, with: {epochs: 40}}, v1.lite: {use: export}}}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", "eyes 2026-11-30 02:00"),
        ("40", "4", "eyes pupil.epochs=4, 2026-11-30 02:00"),
        ("seed: 7", "seed: 3", "eyes seed=3, 2026-11-30 02:00"),
        ("use: export", "use: export, retries: 0", "eyes v1.lite.retries=0, 2026-11-30 02:00"),
        ("40", '"a\\e[2J"', r"eyes pupil.epochs=a\x1b[2J, 2026-11-30 02:00"),
        ("40", "x" * 99, f"eyes pupil.epochs={'x' * 26}…{'x' * 13}, 2026-11-30 02:00"),
        (
            "seed: 7",
            "seed: 1, repeat: 2, workers: 3, threads: 4, choose_by: fidelity",
            "eyes seed=1, repeat=2, workers=3, 2 more, 2026-11-30 02:00",
        ),
    ],
)
def test_a_run_has_the_name_of_its_recipe_its_changes_and_its_time(old: str, new: str, said: str):
    changes = setting_changes(RECIPE, RECIPE.replace(old, new) if old else RECIPE)
    assert run_name("eyes", changes, STARTED) == said


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (Node("pupil", "distill", ("vgg16",), size_bytes=412_000), r"pupil: 412 KB, .*, made in "),
        (Node("pupil", "distill", ("vgg16",), cached=True), r"pupil: 4.00 MB, .*, reused$"),
        (Node("vgg16", "keras-h5"), "vgg16: 4.00 MB, .*, imported in "),
        (Node("site", "site", ("vgg16",), evaluated=False), "site: made in "),
    ],
)
def test_a_model_has_a_line_with_its_size_its_accuracy_and_what_it_took(
    tmp_path: Path, node: Node, said: str
):
    nodes = [node] if node.name == "vgg16" else [Node("vgg16", "keras-h5"), node]
    entry = sample_run(tmp_path, nodes).entries[-1]
    line = step_line(entry, methods_of("classification")).replace("\xa0", " ")
    assert line.startswith(f"{node.name}: ")
    assert re.search(said, line), line
    if entry.evaluation:
        accuracy = entry.evaluation.metrics.accuracy
        assert f"accuracy {accuracy.value:.3f} ({accuracy.low:.3f}–{accuracy.high:.3f})" in line
