"""What techniques noted while they worked: teachers, layers and rounds of pruning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_pages import read
from sample_runs import PUPIL, VGG, XCEPTION, Node, sample_run

from pupila.measured import (
    LayerSensitivities,
    LayerSensitivity,
    Measured,
    PluginWarning,
    PruningCurve,
    PruningRound,
)
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.sections.layers import sensitive_layers


def test_of_many_records_the_report_shows_a_few_and_says_where_the_others_are(
    tmp_path: Path,
) -> None:
    noted = {
        "candidates": [{"name": f"try-{number}"} for number in range(9)],
        "loss": list(range(9)),
    }
    text = read(sample_run(tmp_path, [VGG, replace(PUPIL, measured=noted)]), tmp_path).text
    assert "try-4" in text and "try-5" not in text and "… 4 more in artifact.json" in text
    assert "7, 8" in " ".join(text.split())


def test_how_often_teachers_disagree_is_shown_with_their_names(tmp_path: Path) -> None:
    noted = {
        "agreement": [[1, 0.93], [0.93, 1]],
        "teachers_disagree": 0.07,
        "taught_by": {"all": 0.9, "some": 0.08, "none": 0.02},
    }
    text = read(
        sample_run(tmp_path, [VGG, XCEPTION, replace(PUPIL, measured=noted)]), tmp_path
    ).text
    assert "Where teachers disagree" in text
    assert "They do not all give the same class to 7.0 % of the images" in text
    assert "on 2.0 % no teacher was right, and only the label was used" in text


@pytest.mark.parametrize(
    "noted", [{"agreement": "high"}, {"agreement": [[1, 2], [2, 1]]}, {"agreement": [[1]]}]
)
def test_what_a_plugin_notes_in_another_form_is_left_out(
    tmp_path: Path, noted: dict[str, Any]
) -> None:
    pupil = replace(PUPIL, measured=noted)
    text = read(sample_run(tmp_path, [VGG, XCEPTION, pupil]), tmp_path).text
    assert "Where teachers disagree" not in text


def test_layers_that_int8_hurts_are_drawn_the_worst_first(tmp_path: Path) -> None:
    rows = [
        {"layer": f"net/conv_{number}", "operator": "CONV_2D", "divergence": 1 / (number + 1)}
        for number in range(25)
    ]
    noted = {"sensitivity": [rows[0] | {"in_float": True}, *rows[1:]], "warning": "Budget not met."}
    page = read(sample_run(tmp_path, [VGG, replace(PUPIL, measured=noted)]), tmp_path)
    assert "What int8 costs, layer by layer" in page.text
    assert page.text.count("stays in float") == 1
    assert "5 more layers cost less" in page.text
    assert "Budget not met." in page.text


@pytest.mark.parametrize(
    "noted",
    [
        {"sensitivity": "high", "warning": 7},
        {"sensitivity": [{"layer": "a", "divergence": float("nan")}, {"layer": "a"}, 3]},
    ],
)
def test_layers_noted_in_another_form_are_left_out(tmp_path: Path, noted: dict[str, Any]) -> None:
    pupil = replace(PUPIL, measured=noted)
    text = read(sample_run(tmp_path, [VGG, pupil]), tmp_path).text
    assert "layer by layer" not in text


CURVE: dict[str, Any] = {
    "curve": [
        {"parameters": 1_000_000 - 300_000 * number, "validation_accuracy": 0.96 - 0.01 * number}
        for number in range(4)
    ],
    "round": 2,
    "reason": "Round 3 lost too much.",
}


def test_what_pruning_came_to_is_drawn_round_by_round(tmp_path: Path) -> None:
    pruned = replace(PUPIL, measured=CURVE, config={"budget": 0.02})
    page = read(sample_run(tmp_path, [VGG, pruned]), tmp_path)
    assert "Size against accuracy, round by round" in page.text
    assert "Round 3 lost too much." in page.text
    drawn = [tag for tag in page.all("circle") if tag.get("class") == "kept"]
    assert len(drawn) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"curve": CURVE["curve"][:1]},
        {"curve": [{"parameters": "many"}, {"parameters": 3}]},
        {"curve": 7},
        {"round": 9},
        {"round": None},
    ],
)
def test_a_curve_in_another_form_is_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    pruned = replace(PUPIL, measured=CURVE | changes)
    text = read(sample_run(tmp_path, [VGG, pruned]), tmp_path).text
    assert "round by round" not in text


def test_a_layer_that_costs_nothing_but_rounding_or_answers_no_numbers_has_no_bar(
    tmp_path: Path,
) -> None:
    layers = LayerSensitivities(
        sensitivity=(
            LayerSensitivity(layer="stem", divergence=0.1, accuracy=0.9),
            LayerSensitivity(layer="answer", divergence=-1.2e-9, accuracy=1.0),
            LayerSensitivity(layer="broken", divergence=None),
        )
    )
    result = sample_run(tmp_path, [VGG, replace(PUPIL, measured=dict(Measured(layers)))])
    (drawn,) = sensitive_layers(Lineage.of(result.entries))
    assert [bar.name for bar in drawn.bars] == ["stem"] and drawn.left_out == 0


def test_what_any_plugin_measured_is_drawn_by_its_type(tmp_path: Path) -> None:
    curve = PruningCurve(
        curve=(
            PruningRound(parameters=9000, validation_accuracy=0.97),
            PruningRound(parameters=4000, validation_accuracy=0.96),
        ),
        round=1,
        reason="Fewer would not do.",
    )
    layers = LayerSensitivities(sensitivity=(LayerSensitivity(layer="stem", divergence=0.1),))
    warning = PluginWarning(warning="Few images.")
    measured = dict(Measured(curve, layers, warning, {"kernels_skipped": 2}))
    made = Node("thin", "gentle-pruning", ("vgg16",), measured=measured, evaluated=False)
    text = read(sample_run(tmp_path, [VGG, made]), tmp_path).text
    assert "round by round" in text and "Fewer would not do." in text
    assert "layer by layer" in text and "stem" in text
    assert "Few images." in text and '"kernels_skipped": 2' in text
