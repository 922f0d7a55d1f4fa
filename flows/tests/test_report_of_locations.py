"""Report, terminal, CSV and card of a run whose models find a disc: no word is of classes."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gate_cases import shift_figures
from report_pages import Page
from sample_locations import (
    INT8,
    LOCALIZATION,
    NODES,
    SMALL,
    TASK,
    TEACHER,
    answers_of,
    evaluation_of,
    located_run,
    with_external,
    with_runtimes,
    with_shift,
)

from pupila import PupilaError
from pupila.testing import DISC, disc_dataset
from pupila_flows.markdown import plain
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.card import write_card
from pupila_flows.report import figures, terminal
from pupila_flows.report.answers_csv import ModelAnswers, write_answers
from pupila_flows.report.external import external_lines, external_rows
from pupila_flows.report.page import write_report
from pupila_flows.report.predictions import read_predictions
from pupila_flows.report.sweep import write_sweep
from pupila_flows.report.verdict import metrics_markdown, verdict_markdown
from pupila_flows.results import RunResult

OF_CLASSES = re.compile(
    r"accura|\bclass|\bAUC\b|\bROC\b|\bECE\b|brier|probabilit|sensitivity|specificity|logit|"
    r"calibration|confusion",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(folder: Path) -> RunResult:
    shift = shift_figures(0.9, 0.85, 0.95, validation=0.9, images=40)
    run = with_shift(with_external(with_runtimes(located_run(folder))), shift)
    return RunResult.model_validate_json(run.model_dump_json())


@pytest.fixture(scope="module")
def html(run: RunResult, folder: Path) -> str:
    return write_report(run, folder).read_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    _, _, body = html.partition("</style>")
    return Page(body)


def of_classes(text: str) -> list[str]:
    """Return what a text says of classes, with what stands around it."""
    return [
        text[max(0, match.start() - 40) : match.end() + 20] for match in OF_CLASSES.finditer(text)
    ]


def test_the_report_does_not_speak_of_classes(page: Page):
    assert of_classes(page.text) == []
    named = [value for _, tags in page.tags for key, value in tags.items() if key == "aria-label"]
    assert of_classes(" ".join(map(str, named))) == []


def test_the_report_has_every_figure_with_its_interval(run: RunResult, page: Page):
    metrics = evaluation_of(run, "pupil-int8").metrics
    assert len(metrics.figures) == 8
    for figure in metrics.figures:
        interval = figures.interval(figure.estimate, figure.unit)
        value = figures.number(figure.estimate.value, figure.unit)
        assert f"{figures.titled(figure)} {value} {interval}" in page.text
    assert "Detection rate" in page.text and "“Detection rate” is the fraction" in page.text


def test_the_verdict_gives_the_median_error_of_pupil_and_teacher(run: RunResult, page: Page):
    pupil, teacher = (
        evaluation_of(run, name).metrics.figures[0] for name in ("pupil-int8", "large")
    )
    assert f"pupil-int8: {figures.words(pupil)}; large: {figures.words(teacher)}." in page.text
    assert re.search(r"median error 0\.\d\d % of the width \(0\.\d\d to \d\.\d\d\)", page.text)
    assert "loses no detection rate here" in page.text


def test_true_and_answered_place_are_drawn_over_the_worst_images(run: RunResult, html: str):
    _, _, section = html.partition('id="mistakes"')
    section, _, _ = section.partition("</section>")
    drawn = Page(section)
    worst = np.argmax(TASK.losses(answers_of(run, "pupil-int8"), np.array(run.test_truths, float)))
    labels = [str(tag["aria-label"]) for tag in drawn.all("svg")]
    assert len(labels) == 24, "twelve of each model"
    assert labels[0].startswith(
        f"Test image {Path(run.test_images[int(worst)]).name}, truth disc at"
    )
    assert all(str(tag["href"]).startswith("data:image/jpeg") for tag in drawn.all("image"))
    ellipses = 4 * 24 - 2  # truth and answer, each with a halo; one image has no disc
    assert len(drawn.all("ellipse")) == ellipses
    assert "0 mistakes on 40 images; the worst 12 answers shown." in drawn.text


def test_an_answer_is_drawn_where_it_is(tmp_path: Path):
    run = located_run(tmp_path, [TEACHER])
    html = write_report(run, tmp_path).read_text()
    worst = int(np.argmax(TASK.losses(answers_of(run, "large"), np.array(run.test_truths, float))))
    x, y, half_width, half_height, _ = answers_of(run, "large")[worst]
    numbers = [96 * x, 64 * y, 96 * half_width, 64 * half_height]  # the drawn images are 96 x 64
    cx, cy, rx, ry = (f"{number:.2f}".rstrip("0").rstrip(".") for number in numbers)
    _, _, first = html.partition('<g class="mark answered">')
    assert f'<ellipse cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}"' in first.partition("</g>")[0]


def test_where_pupil_and_teacher_disagree_both_places_are_drawn(tmp_path: Path):
    run = located_run(tmp_path, [TEACHER, SMALL, replace(INT8, noise=0.05)])
    _, _, section = write_report(run, tmp_path).read_text().partition('id="disagreements"')
    section, _, _ = section.partition("</section>")
    differing = ~read_predictions(run, tmp_path).same("pupil-int8", "large")
    assert 0 < differing.sum() == len(Page(section).all("image"))
    for style in ("truth", "teacher", "answered"):
        assert f'<g class="mark {style}">' in section
    assert of_classes(Page(section).text) == []


def test_the_report_stands_where_images_are_gone(tmp_path: Path):
    run = located_run(tmp_path, [TEACHER])
    for image in run.test_images:
        Path(image).unlink()
    page = Page(write_report(run, tmp_path).read_text())
    assert "image not readable" in page.text and not page.all("image")


def test_answers_of_other_columns_are_refused(tmp_path: Path):
    run = located_run(tmp_path, [TEACHER])
    np.save(evaluation_of(run, "large").probabilities, answers_of(run, "large")[:, :2])
    with pytest.raises(PupilaError, match=r"expected \(40, 5\)"):
        write_report(run, tmp_path)


def test_rows_for_the_terminal_have_the_figures(run: RunResult, folder: Path):
    rows = {row["name"]: row for row in terminal.result_rows(run)}
    metrics = evaluation_of(run, "pupil-int8").metrics
    error = metrics.figures[0].estimate
    shown = f"{error.value:.2f} ({error.low:.2f}–{error.high:.2f})"
    assert rows["pupil-int8"]["median error, % of the width"] == shown
    assert rows["pupil-int8"]["detection rate"].startswith("1.000 (")
    assert rows["pupil-int8"]["mean IoU of the boxes"] == f"{metrics.figures[6].estimate.value:.3f}"
    tables = [
        *(terminal.result_rows(run), terminal.seed_rows(run, folder)),
        *(terminal.gain_rows(run, folder), terminal.runtime_rows(run), terminal.shift_rows(run)),
        external_rows(run),
    ]
    assert all(tables)
    lines = [
        *external_lines(run),
        *terminal.evaluation_lines(evaluation_of(run, "control"), 0.85, TASK),
    ]
    markdown = [verdict_markdown(run, folder), metrics_markdown(run)]
    assert of_classes(f"{tables} {lines} {markdown}") == []


def test_rows_over_seeds_have_the_mean_of_each_figure(run: RunResult, folder: Path):
    rows = {row["over seeds"]: row for row in terminal.seed_rows(run, folder)}
    errors = [
        evaluation_of(run, name).metrics.figures[0].estimate.value for name in ("pupil", "pupil#8")
    ]
    assert rows["pupil"]["median error, % of the width"] == f"{sum(errors) / 2:.2f}"


def test_external_rows_say_what_differs(run: RunResult):
    rows = {row["name"]: row for row in external_rows(run)}
    assert rows["control"]["detection rate minus teacher's"].startswith("−0.050 (")
    same = TASK.same(answers_of(run, "control"), answers_of(run, "large")).mean()
    assert rows["control"]["same place"].startswith(f"{same:.3f} (")
    assert "position minus teacher's" in rows["control"]
    assert external_lines(run)[-1].startswith("correlation: of the positions with the teacher's;")


def test_the_card_has_the_figures_and_no_word_of_classes(run: RunResult):
    artifacts = {name: f"{number:064x}" for number, name in enumerate(("pupil", "pupil-int8"))}
    section = PublishSection(artifacts=tuple(artifacts))
    card = write_card("disc", 1, run, section, {}, artifacts, ())
    assert of_classes(card) == []
    figure = evaluation_of(run, "pupil-int8").metrics.figures[0]
    assert "| images | detection rate | median error, % of the width |" in card
    assert f"| {plain(figures.with_interval(figure))} |" in card
    assert "Detection rate: its centre is within one radius of the true one" in card
    assert "### By site" in card and "## External sets" in card
    assert "Correlation of the positions with those of the teacher" in card


def test_the_csv_of_answers_has_words_and_numbers(tmp_path: Path):
    run = located_run(tmp_path, [TEACHER])
    images = disc_dataset(tmp_path / "again", images=40, absent=2, splits=("test",))
    answers = evaluation_of(run, "large").probabilities
    write_answers(tmp_path / "a.csv", images, [ModelAnswers("large", answers, None)], labelled=True)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    first = rows[0]
    assert list(first)[2:] == [
        "large",
        *(f"large: {name}" for name in TASK.answer_columns((DISC,))),
    ]
    assert first["large"] == TASK.describe(np.load(answers)[0], (DISC,))
    assert first["large: disc_x"] == f"{np.load(answers)[0, 0]:.6g}"
    assert [row["large"] for row in rows if row["label"] == "absent"] == ["no disc"] * 2


def test_a_sweep_has_the_figures_in_page_and_csv(tmp_path: Path):
    points = [
        replace(SMALL, name=f"pupil[alpha={alpha}]", settings={"pupil.alpha": alpha}, noise=noise)
        for alpha, noise in ((0, 0.01), (0.5, 0.004))
    ]
    run = located_run(tmp_path, [TEACHER, *points], sweep={"pupil.alpha": (0, 0.5)})
    page = Page(write_sweep(run, tmp_path).read_text().partition("</style>")[2])
    assert of_classes(page.text) == []
    assert "Test median error, % of the width" in page.text
    (_, first, _) = csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines())
    metrics = evaluation_of(run, "pupil[alpha=0]").metrics
    assert float(first["test_error"]) == metrics.figures[0].estimate.value
    assert float(first["test_detection_rate"]) == metrics.accuracy.value
    assert "test_auc" not in first
    assert "Detection rate over alpha" in (tmp_path / "sweep.svg").read_text()


def test_a_result_keeps_what_labels_do_not_say(run: RunResult, folder: Path):
    assert run.data.task == LOCALIZATION and run.test_truths
    absent = [row for row, truth in enumerate(run.test_truths) if truth[4] == 0]
    assert [run.test_truths[row][:4] for row in absent] == [(None,) * 4] * 2
    predictions = read_predictions(run, folder)
    assert np.isnan(predictions.truths[absent, :4]).all()
    assert {predictions.truth(row) for row in absent} == {"no disc"}
    assert list(predictions.answers) == [node.name for node in NODES]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.4512, "% of the width", "0.45"),
        (18.4, "% of the width", "18.40"),
        (0.0471, "radii", "0.047"),
        (0.00012, "radii", "0.0001"),
        (0.9741, "", "0.974"),
        (0.0, "radii", "0.00"),
        (float("nan"), "radii", "–"),
    ],
)
def test_figures_have_two_decimals_or_two_digits(value: float, unit: str, text: str):
    assert figures.number(value, unit) == text
