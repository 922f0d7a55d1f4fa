"""The page, the plot and the table of a sweep."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_cases import shift_figures
from sample_runs import HOSTILE, VGG, Node
from sample_sweeps import ALPHAS, point, sample_sweep, sweep_nodes

from pupila_flows.report.sweep import write_sweep
from pupila_flows.report.sweep.axis import Axis
from pupila_flows.report.sweep.page import best_point
from pupila_flows.results import RunResult


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    folder = tmp_path_factory.mktemp("sweep")
    result = sample_sweep(folder, sweep_nodes())
    write_sweep(result, folder)
    return result, folder


def _svg(folder: Path) -> ElementTree.Element:
    return ElementTree.fromstring((folder / "sweep.svg").read_text())  # noqa: S314 - ours


def _with_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.get("class") == name]


def test_every_evaluated_entry_has_a_row_of_its_own_figures(drawn: tuple[RunResult, Path]):
    result, folder = drawn
    with (folder / "sweep.csv").open(newline="") as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    assert len(rows) == len(result.entries) == 1 + 3 * (6 + 1)
    for entry in result.entries:
        row = rows[entry.name]
        assert entry.evaluation
        assert float(row["test_accuracy"]) == entry.evaluation.metrics.accuracy.value
        assert row["seed"] == ("" if entry.seed is None else str(entry.seed))
        assert row["pupil.alpha"] == str(entry.settings.get("pupil.alpha", ""))
    assert rows["vgg16"]["role"] == "teacher"
    assert rows["pupil (control)#8"]["role"] == "control"
    assert rows["pupil[alpha=0.5, temperature=4]#9"]["role"] == "pupil"


def test_the_plot_has_a_line_for_each_temperature_the_control_and_the_teacher(
    drawn: tuple[RunResult, Path],
):
    root = _svg(drawn[1])
    lines = [element for element in root.iter() if element.get("class") == "mean"]
    panels, keys = 2, 2
    assert len(lines) == panels * 4 + keys
    titles = {element.text for element in root.iter() if element.tag.endswith("title")}
    assert titles == {"temperature = 1", "temperature = 4", "pupil (control)", "vgg16"}
    assert _with_class(root, "band")


def test_the_point_that_validation_chooses_is_marked_and_said(drawn: tuple[RunResult, Path]):
    result, folder = drawn
    best = best_point(result)
    assert best is not None
    assert best.name == "pupil[alpha=0.1, temperature=4]"
    assert len(_with_class(_svg(folder), "best")) == 2 + 1  # both panels, and the legend
    page = (folder / "report.html").read_text()
    assert "Best on the validation images: alpha = 0.1, temperature = 4" in page
    assert "the highest of 6 points" in page
    assert "Compared with its control:" in page


def test_a_point_that_fails_in_another_runtime_is_not_chosen(tmp_path: Path):
    result = sample_sweep(tmp_path, sweep_nodes())
    entries = [
        entry.model_copy(update={"error": "tfjs-wasm: it does not run"})
        if entry.name == "pupil[alpha=0.1, temperature=4]"
        else entry
        for entry in result.entries
    ]
    best = best_point(result.model_copy(update={"entries": tuple(entries)}))
    assert best is not None and best.name != "pupil[alpha=0.1, temperature=4]"


def test_where_fidelity_chooses_it_is_of_the_altered_validation_images(tmp_path: Path):
    faithful = "pupil[alpha=0.5, temperature=1]"
    result = sample_sweep(tmp_path, sweep_nodes())
    entries = [
        entry.model_copy(update={"shift": shift_figures(0.6, 0.5, 0.7, validation=value)})
        if entry.kind == "step"
        else entry
        for entry in result.entries
        for value in [0.9 if entry.name.startswith(faithful) else 0.7]
    ]
    known = result.model_copy(update={"entries": tuple(entries)})
    by_accuracy, best = best_point(known), best_point(_by_fidelity(known))
    assert by_accuracy and by_accuracy.name == "pupil[alpha=0.1, temperature=4]"
    assert best and best.name == faithful
    page = write_sweep(_by_fidelity(known), tmp_path).read_text()
    assert "Best on the altered validation images: alpha = 0.5, temperature = 1" in page
    assert "Mean fidelity 0.900 on altered validation images, the highest of 6 points;" in page
    titles = [element.text for element in _with_class(_svg(tmp_path), "panel-title")]
    assert titles == ["altered validation images (choose here)", "altered test images"]
    with (tmp_path / "sweep.csv").open(newline="") as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    assert rows[faithful]["validation_fidelity"] == "0.9"
    assert rows[faithful]["test_fidelity"] == "0.6"
    nothing = write_sweep(_by_fidelity(result), tmp_path).read_text()
    assert "No point can be chosen: none has a fidelity on validation images" in nothing
    assert best_point(_by_fidelity(result)) is None


def _by_fidelity(result: RunResult) -> RunResult:
    return result.model_copy(update={"choose_by": "fidelity"})


def test_a_point_evaluated_with_fewer_seeds_is_not_chosen(tmp_path: Path):
    nodes = [
        replace(node, evaluated=False, error="out of memory")
        if node.name == "pupil[alpha=0.1, temperature=4]#8"
        else node
        for node in sweep_nodes()
    ]
    result = sample_sweep(tmp_path, nodes)
    best = best_point(result)
    assert best is not None and best.name != "pupil[alpha=0.1, temperature=4]"
    page = write_sweep(result, tmp_path).read_text()
    assert "out of memory" in page
    assert "2 of 3" in page


def test_a_failed_point_leaves_a_gap_in_its_line(tmp_path: Path):
    nodes = [
        replace(node, evaluated=False, error="out of memory")
        if node.settings.get("pupil.alpha") == 0.1
        else node
        for node in sweep_nodes((7,))
    ]
    write_sweep(sample_sweep(tmp_path, nodes), tmp_path)
    root = _svg(tmp_path)
    (line, *_) = [
        group
        for group in root.iter()
        if group.get("class") == "s0" and any(element.tag.endswith("title") for element in group)
    ]
    pieces = [element for element in line if element.get("class") == "mean"]
    assert len(pieces) == 2, "one on either side of the gap"
    assert len([element for element in line if element.get("class") == "mark"]) == 2


def test_one_seed_and_one_setting_make_a_page_without_bands(tmp_path: Path):
    nodes = [
        replace(node, settings={"pupil.alpha": node.settings["pupil.alpha"]})
        for node in sweep_nodes((7,))
        if node.settings.get("pupil.temperature") == 4
    ]
    write_sweep(sample_sweep(tmp_path, nodes, {"pupil.alpha": ALPHAS}), tmp_path)
    assert _with_class(_svg(tmp_path), "band") == []
    assert "bands go from" not in (tmp_path / "report.html").read_text()


def test_names_of_students_are_an_axis_of_equal_distances(tmp_path: Path):
    students = ("mobile-xs", HOSTILE, "conv")
    nodes = [
        replace(point(0, 1, 7), name=f"pupil{number}", settings={"pupil.student": student})
        for number, student in enumerate(students)
    ]
    result = sample_sweep(tmp_path, nodes, {"pupil.student": students})
    assert Axis.of(result.sweep).positions() == [0, 0.5, 1]
    page = write_sweep(result, tmp_path).read_text()
    assert HOSTILE not in page
    assert HOSTILE not in (tmp_path / "sweep.svg").read_text()


def test_rates_that_span_decades_are_drawn_at_logarithmic_distances():
    axis = Axis.of({"pupil.learning_rate": (0.1, 0.001, 0.01)})
    assert axis.values == (0.001, 0.01, 0.1)
    assert axis.positions() == pytest.approx([0, 0.5, 1])


def test_without_validation_figures_no_point_is_chosen(tmp_path: Path):
    nodes = [replace(node, validation=None) for node in sweep_nodes((7,))]
    result = sample_sweep(tmp_path, nodes)
    assert best_point(result) is None
    assert "No point can be chosen" in write_sweep(result, tmp_path).read_text()


def test_points_of_a_step_without_a_teacher_are_points_all_the_same(tmp_path: Path):
    nodes = [
        Node(
            *(f"alone[epochs={epochs}]", "train", (), 0.5),
            settings={"alone.epochs": epochs},
            validation=0.9 + epochs / 1000,
            compared=False,
        )
        for epochs in (10, 20)
    ]
    result = sample_sweep(tmp_path, [VGG, *nodes], {"alone.epochs": (10, 20)})
    best = best_point(result)
    assert best is not None and best.name == "alone[epochs=20]"
    with (write_sweep(result, tmp_path).parent / "sweep.csv").open(newline="") as stream:
        assert [row["role"] for row in csv.DictReader(stream)] == ["teacher", "pupil", "pupil"]


def test_equal_points_are_told_and_the_step_is_named_where_there_are_several(tmp_path: Path):
    other = replace(point(0, 1, 7), name="other", settings={}, validation=None)
    nodes = [*(replace(node, validation=0.95) for node in sweep_nodes((7,))), other]
    page = write_sweep(sample_sweep(tmp_path, nodes), tmp_path).read_text()
    assert "Best on the validation images: pupil: alpha = 0, temperature = 1" in page
    assert "the highest of 6 points (6 points share it; the first is taken)" in page


def test_a_swept_step_is_one_line_though_one_of_its_points_is_a_control(tmp_path: Path):
    points = [
        Node(
            *(f"plain[epochs={epochs}]", "train", (), 0.5),
            settings={"plain.epochs": epochs},
            validation=0.9 - epochs / 1000,
        )
        for epochs in (3, 5)
    ]
    pupil = Node("pupil", "distill", ("vgg16",), 0.5, control="plain[epochs=3]")
    result = sample_sweep(tmp_path, [VGG, pupil, *points], {"plain.epochs": (3, 5)})
    best = best_point(result)
    assert best is not None and best.name == "plain[epochs=3]"


def test_a_warning_stands_above_the_points(tmp_path: Path):
    nodes = sweep_nodes((7,))
    nodes[1] = replace(nodes[1], measured={"warning": "Accuracy falls."})
    page = write_sweep(sample_sweep(tmp_path, nodes), tmp_path).read_text()
    assert page.count("Accuracy falls.") == 1
