"""The report, on runs whose every figure is computed from answers drawn with a seed."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sample_runs import (
    ALONE,
    CONTROL,
    FOUR,
    HOSTILE,
    PUPIL,
    STUDENT,
    VGG,
    XCEPTION,
    Node,
    sample_run,
)

from pupila import PupilaError
from pupila.artifact import Threshold
from pupila.evaluation import Download, Estimate, Latency, Measurement, Startup, Trial
from pupila.measured import (
    LayerSensitivities,
    LayerSensitivity,
    Measured,
    PluginWarning,
    PruningCurve,
    PruningRound,
)
from pupila.metrics import agreement
from pupila_flows.report import formatting as formats
from pupila_flows.report import predictions as answers
from pupila_flows.report import write_report
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import bars_and_rocs as figures
from pupila_flows.report.plots import graph
from pupila_flows.report.plots.thumbnails import thumbnail
from pupila_flows.report.sections.gains import gains
from pupila_flows.report.sections.headline import BADGE, MARGIN, headline, keeps_accuracy
from pupila_flows.report.sections.layers import sensitive_layers
from pupila_flows.report.terminal import result_rows, trial_rows
from pupila_flows.results import Check, Entry, RunResult, Tried


class _Page(HTMLParser):
    """What the tests ask of a page: its tags with attributes, its text, and its ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.replace("\u00a0", " "))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(result: RunResult, folder: Path) -> _Page:
    return _Page(write_report(result, folder).read_text())


def read_disagreements(result: RunResult, folder: Path) -> _Page:
    _, _, rest = write_report(result, folder).read_text().partition('id="disagreements"')
    return _Page(rest.partition("</section>")[0])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(place: Path) -> RunResult:
    return sample_run(place)


@pytest.fixture(scope="module")
def page(run: RunResult, place: Path) -> _Page:
    return read(run, place)


def test_nothing_is_fetched_from_anywhere(run: RunResult, place: Path, page: _Page) -> None:
    html = write_report(run, place).read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert "url(" not in html and "@import" not in html
    assert not page.all("script") and not page.all("link")


def test_every_entry_stands_in_the_results(run: RunResult, page: _Page) -> None:
    for entry in run.entries:
        evaluation = entry.evaluation
        assert entry.name in page.text and evaluation
        assert (
            formats.percent(evaluation.metrics.accuracy.value).replace("\u00a0", " ") in page.text
        )
        assert formats.percent_interval(evaluation.metrics.accuracy) in page.text


def test_the_same_run_gives_the_same_bytes(run: RunResult, place: Path) -> None:
    assert write_report(run, place).read_bytes() == write_report(run, place).read_bytes()


def test_the_headline_is_the_smallest_pupil_shown_to_lose_at_most_five_points(
    run: RunResult, place: Path, page: _Page
) -> None:
    lineage, read_back = Lineage.of(run.entries), answers.read_answers(run, place)
    verdict = headline(run, lineage, read_back)
    assert verdict.keeps and verdict.pupil and verdict.teacher and verdict.difference
    assert verdict.difference.low >= -MARGIN
    lows: list[float] = []
    for pupil in lineage.pupils():
        difference = read_back.difference(pupil.name, "vgg16")
        if difference and pupil.size_bytes < verdict.pupil.size_bytes:
            lows.append(difference.low)
    assert lows and max(lows) < -MARGIN
    assert formats.ratio(verdict.teacher.size_bytes, verdict.pupil.size_bytes) in verdict.title
    assert "keeps its accuracy within 5 points" in page.text
    assert "shown to lose at most 5 points" in page.text and page.text.count(BADGE) == 2


def test_few_images_show_less_than_many(tmp_path: Path) -> None:
    same = Node("pupil", "distill", ("vgg16",), 0.0)
    kept: list[bool] = []
    for images in (30, 200):
        paths = [Path(f"{row}.jpg") for row in range(images)]
        result = sample_run(tmp_path, [VGG, same], images=paths)
        lineage = Lineage.of(result.entries)
        pair = (lineage.pupils()[0], lineage.judged()[0])
        kept.append(keeps_accuracy(*pair, answers.read_answers(result, tmp_path)))
    assert kept == [False, True]


def test_a_pupil_that_loses_nothing_on_few_images_asks_for_more(tmp_path: Path) -> None:
    paths = [Path(f"{row}.jpg") for row in range(30)]
    nodes = [
        VGG,
        Node("same", "distill", ("vgg16",), 0.0, size_bytes=2_000_000),
        Node("ruin", "quantize-int4", ("vgg16",), 30.0, size_bytes=1_000_000),
    ]
    page = read(sample_run(tmp_path, nodes, images=paths), tmp_path)
    words = "same is 30× smaller than vgg16 and loses no accuracy here; more images are needed"
    assert words in page.text
    assert "a difference of +0.0 points (−8.7 to +8.7)" in page.text
    assert BADGE not in page.text


def test_a_small_loss_that_is_not_shown_to_stay_small_is_put_in_figures(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = (entry.evaluation for entry in result.entries)
    assert teacher and pupil
    Path(pupil.probabilities).unlink()
    value = teacher.metrics.accuracy.value - 0.019
    accuracy = pupil.metrics.accuracy.model_copy(update={"value": value})
    metrics = pupil.metrics.model_copy(update={"accuracy": accuracy})
    changed = result.entries[1].model_copy(
        update={"evaluation": pupil.model_copy(update={"metrics": metrics})}
    )
    entries = (result.entries[0], changed)
    text = read(result.model_copy(update={"entries": entries}), tmp_path).text
    assert "loses 1.9 points of accuracy here; more images are needed" in text


def test_a_run_where_no_pupil_comes_near_its_teacher_says_so(tmp_path: Path) -> None:
    bad = Node("ruin", "quantize-int4", ("vgg16",), 30.0)
    text = read(sample_run(tmp_path, [VGG, bad]), tmp_path).text
    assert "No pupil comes within 2 points of its teacher; ruin comes nearest" in text
    assert "is 15× smaller than vgg16 and" not in text


def test_a_control_is_named_as_one_and_shown_beside_its_pupil(
    run: RunResult, place: Path, page: _Page
) -> None:
    found = gains(run.entries, answers.read_answers(run, place))
    assert [(each.pupil, each.control) for each in found] == [
        ("pupil", "control"),
        ("pupil-float", "control-float"),
        ("pupil-int8", "control-int8"),
    ]
    assert "control: no teacher" in page.text and "made from a control" in page.text
    assert "What the teacher adds" in page.text


def test_a_pupil_without_inputs_that_a_teacher_had_a_part_in_is_no_control(tmp_path: Path) -> None:
    alone = Node("beside", "distill-evolutionary", taught=True, control="control")
    result = sample_run(tmp_path, [VGG, alone, CONTROL])
    lineage = Lineage.of(result.entries)
    assert [each.name for each in lineage.pupils()] == ["beside"]
    assert "control: no teacher" in read(result, tmp_path).text


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (1.45, "No gain is shown: the control without a teacher does as well"),
        (9.0, "Gain shown: it does better with the teacher"),
    ],
)
def test_what_the_teacher_adds_is_said_as_far_as_it_is_shown(
    tmp_path: Path, noise: float, words: str
) -> None:
    control = Node("control", "train", (), noise, config=ALONE)
    pupil = Node("pupil", "distill", ("vgg16",), 0.1, config=STUDENT, control="control")
    assert words in read(sample_run(tmp_path, [VGG, pupil, control]), tmp_path).text


def test_a_pupil_that_does_worse_than_its_control_is_said_to(tmp_path: Path) -> None:
    control = Node("control", "train", (), 0.1, config=ALONE)
    pupil = Node("pupil", "distill", ("vgg16",), 9.0, config=STUDENT, control="control")
    text = read(sample_run(tmp_path, [VGG, pupil, control]), tmp_path).text
    assert "Loss shown: the control without a teacher does better" in text


def test_the_page_shows_the_first_seed_and_a_table_of_all(tmp_path: Path) -> None:
    again = [
        replace(PUPIL, name="pupil#8", repeats="pupil", control="control#8", seed=8),
        replace(CONTROL, name="control#8", repeats="control", seed=8),
    ]
    page = read(sample_run(tmp_path, [VGG, XCEPTION, PUPIL, CONTROL, *again]), tmp_path)
    assert "2 seeds: 7, 8. The figures below are those of seed 7" in page.text
    assert "Over seeds" in page.text
    assert len([tag for tag in page.all("svg") if "Accuracy by seed" in str(tag)]) == 1
    named = [tag for tag in page.all("svg") if str(tag.get("aria-label")).startswith("ROC")]
    assert len(named) == 4, "a curve of each entry of the first seed, and of no other"


def test_a_threshold_that_ships_is_told_and_the_others_are_told_apart(tmp_path: Path) -> None:
    run = sample_run(tmp_path, [VGG, replace(PUPIL, inputs=("vgg16",))])
    plain = read(run, tmp_path).text
    assert "Sensitivity at 85" in plain and "Where a model ships" not in plain
    teacher, pupil = run.entries
    assert pupil.evaluation and pupil.evaluation.metrics.point
    shipped = pupil.evaluation.metrics.point.model_copy(
        update={"threshold": 0.668, "chosen_on": "105 validation images"}
    )
    metrics = pupil.evaluation.metrics.model_copy(update={"shipped": shipped})
    evaluation = pupil.evaluation.model_copy(update={"metrics": metrics})
    entries = (teacher, pupil.model_copy(update={"evaluation": evaluation}))
    text = read(run.model_copy(update={"entries": entries}), tmp_path).text
    assert "Sensitivity at 85" not in text
    assert "at the threshold that it ships, 0.668" in text
    assert (
        "Where a model ships a threshold, it is that. Other thresholds, for a specificity" in text
    )
    assert "Shipped threshold 0.668 (105 validation images)" in text


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
    assert "To 7.0 % of the pictures they do not all give one class" in text
    assert "2.0 % no teacher had right, and only the label taught" in text


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
    assert "5 layers more cost less" in page.text
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


def test_a_layer_that_costs_nothing_but_rounding_has_no_bar(tmp_path: Path) -> None:
    layers = LayerSensitivities(
        sensitivity=(
            LayerSensitivity(layer="stem", divergence=0.1, accuracy=0.9),
            LayerSensitivity(layer="answer", divergence=-1.2e-9, accuracy=1.0),
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
    made = Node("thin", "gentle-pruning", ("vgg16",), measured=measured, judged=False)
    text = read(sample_run(tmp_path, [VGG, made]), tmp_path).text
    assert "round by round" in text and "Fewer would not do." in text
    assert "layer by layer" in text and "stem" in text
    assert "Few images." in text and '"kernels_skipped": 2' in text


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


def test_synthetic_data_is_announced_above_everything(tmp_path: Path, page: _Page) -> None:
    words = "Synthetic images: nothing here is medical"
    synthetic = read(sample_run(tmp_path, [VGG, PUPIL], synthetic=True), tmp_path)
    assert synthetic.text.index(words) < synthetic.text.index("Asked")
    assert words not in page.text


def test_the_caution_about_one_source_names_the_shortcuts_found(page: _Page) -> None:
    caution = page.text[page.text.index("Read with care") : page.text.index("Every artifact as")]
    assert "prove that the machinery works, not that it diagnoses" in caution
    assert "Mean colour alone separates the classes with AUC 0.90" in caution
    assert "2 pairs" not in caution


def test_four_classes_without_a_positive_one_keep_their_auc(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL, CONTROL], classes=FOUR, positive="")
    page = read(result, tmp_path)
    assert "No class is named as positive" in page.text
    assert result.entries[0].evaluation and result.entries[0].evaluation.metrics.auc
    assert formats.score(result.entries[0].evaluation.metrics.auc.value) in page.text
    assert not [svg for svg in page.all("svg") if svg.get("class") == "roc"]


def test_an_entry_with_an_error_shows_the_reason_in_its_row(tmp_path: Path) -> None:
    reason = "TF.js refused the graph: FusedConv2D only supports rank-1 bias."
    broken = Node("web", "export-tfjs", ("vgg16",), error=reason, judged=False)
    page = read(sample_run(tmp_path, [VGG, broken]), tmp_path)
    assert f"✕ failed {reason}" in page.text
    assert [tag for tag in page.all("g") if tag.get("class") == "node failed"]


def test_a_run_without_any_evaluation_still_has_a_report(tmp_path: Path) -> None:
    nodes = [
        Node("vgg16", "keras-h5", judged=False, error="Out of memory."),
        Node("pupil", "distill", ("vgg16",), judged=False),
    ]
    result = sample_run(tmp_path, nodes)
    text = read(result, tmp_path).text
    assert "Nothing was judged in this run" in text and "Out of memory." in text


def test_what_was_never_trained_has_a_size_and_a_speed_and_no_accuracy(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    assert pupil.evaluation
    measurement = Measurement(
        **{name: getattr(pupil.evaluation, name) for name in Measurement.model_fields}
    )
    bare = pupil.model_copy(update={"evaluation": None, "measurement": measurement})
    page = read(result.model_copy(update={"entries": (teacher, bare)}), tmp_path)
    assert "not measured untrained" in page.text
    assert len([tag for tag in page.all("svg") if tag.get("class") == "latency"]) == 2
    (_, row) = result_rows(result.model_copy(update={"entries": (teacher, bare)}))
    assert row["accuracy"] == "not measured: untrained" and float(row["MB"]) > 0


def test_a_file_whose_zeros_take_as_much_room_as_before_says_so(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    assert pupil.record
    sparse = pupil.record.model_copy(update={"sparsity": 0.8})
    entries = (teacher, pupil.model_copy(update={"record": sparse}))
    text = read(result.model_copy(update={"entries": entries}), tmp_path).text
    assert text.count("of its weights are 0: the file stores them, gzip does not") == 1


def test_every_runtime_has_a_row_with_its_figures_or_the_reason_that_there_are_none(
    tmp_path: Path,
) -> None:
    size = Download(size_bytes=200_000, gzip_bytes=150_000, brotli_bytes=140_000)
    trial = Trial(
        runtime="LiteRT.js 2.5.3, wasm, Chromium 156",
        cpu="x86-64",
        images=50,
        agreement=agreement("litert", np.eye(2), np.array([[0.98, 0.02], [0, 1]])),
        latency=Latency(median_ms=12.5, p95_ms=14, repeats=50, threads=2),
        peak_memory_bytes=None,
        startup=Startup(cold_start_ms=430, first_inference_ms=21, model=size, runtime=size),
    )
    refused = "FusedConv2D only supports rank-1 bias"
    tried = (
        Tried(runtime="litertjs-wasm", threads=2, trial=trial),
        Tried(runtime="tfjs-wasm", threads=None, failure=refused),
    )
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    shown = pupil.model_copy(update={"tried": tried, "error": f"tfjs-wasm: {refused}"})
    result = result.model_copy(update={"entries": (teacher, shown)})
    page = read(result, tmp_path)
    for words in ("In every runtime", "430 ms", "12.5 ms", "0.02", "140 KB", "✕ does not run"):
        assert words in page.text
    assert BADGE not in page.text  # what fails somewhere is not the one to take
    first, second = trial_rows(result)
    assert (first["threads"], first["ready ms"], first["failure"]) == ("2", "430", "")
    assert second["failure"] == f"does not run: {refused}"


def test_a_single_teacher_is_judged_without_talk_of_pupils(tmp_path: Path) -> None:
    text = read(sample_run(tmp_path, [VGG]), tmp_path).text
    assert "Judge vgg16 on" in text and "No pupil to compare with a teacher" in text


def test_a_recipe_with_nothing_in_it_does_not_break_the_report(tmp_path: Path) -> None:
    text = read(sample_run(tmp_path, [], test_images=(), test_labels=()), tmp_path).text
    assert "Nothing was judged in this run" in text


def test_each_artifact_names_the_version_that_made_it(page: _Page) -> None:
    assert "distill ← vgg16, xception · dist-distill 0.1.5 ·" in page.text
    assert "quantize-int8 ← pupil-float · dist-quantize 0.1.10 ·" in page.text
    assert "Installed when this run ended pupila-core 0.1.0" in page.text


def test_names_paths_and_errors_are_escaped_everywhere(tmp_path: Path) -> None:
    name = f"p{HOSTILE}"
    nodes = [
        Node(f"t{HOSTILE}", f"keras-{HOSTILE}"),
        Node(name, f"u{HOSTILE}", (f"t{HOSTILE}",), 3.0, config={HOSTILE: HOSTILE}),
        Node("e", "distill", (name,), error=HOSTILE, judged=False),
    ]
    (tmp_path / "answers").mkdir()
    check = Check(
        name=HOSTILE, severity="error", passed=False, found=HOSTILE, advice=HOSTILE, shortcut=True
    )
    result = sample_run(
        tmp_path / "answers", nodes, images=[Path(f"{row}{HOSTILE}") for row in range(90)]
    )
    data = result.data.model_copy(update={"path": HOSTILE, "checks": (check,)})
    changed = {
        "data": data,
        "name": HOSTILE,
        "recipe_text": HOSTILE,
        "recipe_path": HOSTILE,
        "machine": HOSTILE,
        "started": HOSTILE,
        "versions": {HOSTILE: HOSTILE},
    }
    html = write_report(result.model_copy(update=changed), tmp_path).read_text()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 20
    assert not [1 for _, attributes in _Page(html).tags if "alert" in " ".join(attributes)]


def test_disagreeing_images_are_shown_once_with_every_opinion(tmp_path: Path) -> None:
    images = _pictures(tmp_path, 90)
    nodes = [VGG, Node("a", "x", ("vgg16",), 2.5), Node("b", "x", ("vgg16",), 2.5)]
    result = sample_run(tmp_path, nodes, images=images)
    page = read_disagreements(result, tmp_path)
    read_back = answers.read_answers(result, tmp_path)
    chosen = {name: read_back.chosen(name) for name in ("vgg16", "a", "b")}
    differing = (chosen["a"] != chosen["vgg16"]) | (chosen["b"] != chosen["vgg16"])
    shown = [str(tag["alt"]) for tag in page.all("img")]
    assert 0 < len(shown) == len(set(shown)) == int(differing.sum())
    picture = str(page.all("img")[0]["src"])
    stored = Image.open(
        io.BytesIO(base64.b64decode(picture.removeprefix("data:image/jpeg;base64,")))
    )
    assert max(stored.size) <= 144


def test_no_more_than_24_images_of_one_pupil_are_shown(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, Node("noise", "x", ("vgg16",), 30.0)])
    page = read_disagreements(result, tmp_path)
    assert len([tag for tag in page.all("div") if tag.get("class") == "placeholder"]) == 24
    assert "more not shown" in page.text


def test_missing_and_unreadable_images_have_a_placeholder(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    assert thumbnail(broken) is None and thumbnail(None) is None
    page = read(sample_run(tmp_path, [VGG, Node("a", "x", ("vgg16",), 3.0)]), tmp_path)
    missing = [tag for tag in page.all("div") if tag.get("class") == "placeholder"]
    assert missing and "is missing" in str(missing[0]["aria-label"])


def test_predictions_that_are_gone_are_named_and_the_rest_stands(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    evaluation = result.entries[1].evaluation
    assert evaluation
    Path(evaluation.probabilities).unlink()
    text = read(result, tmp_path).text
    assert "The predictions of pupil are no longer on disk" in text
    assert formats.percent_interval(evaluation.metrics.accuracy) in text


def test_predictions_of_other_data_are_refused(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    shorter = result.model_copy(update={"test_labels": result.test_labels[:-1]})
    with pytest.raises(PupilaError, match=r"shape \(107, 2\).*106 test images and 2 classes"):
        write_report(shorter, tmp_path)


def test_data_docs_inside_the_folder_are_linked_relatively(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG])
    inside, outside = tmp_path / "run" / "docs" / "index.html", tmp_path / "elsewhere.html"
    links: list[str | None] = []
    for docs in (inside, outside):
        data = result.data.model_copy(update={"data_docs": str(docs)})
        page = read(result.model_copy(update={"data": data}), tmp_path / "run")
        links += [tag["href"] for tag in page.all("a") if "docs" in str(tag) or "file" in str(tag)]
    assert links == ["docs/index.html", outside.resolve().as_uri()]


def test_groups_have_a_table_where_there_are_any(tmp_path: Path, page: _Page) -> None:
    assert "By site" in page.text and "north 54 images" in page.text
    assert "By site" not in read(sample_run(tmp_path, [VGG], groups=False), tmp_path).text


def test_every_table_has_headers_and_every_picture_a_text(page: _Page) -> None:
    assert all(tag.get("scope") for tag in page.all("th"))
    assert all(tag.get("alt") for tag in page.all("img"))
    pictures = page.all("svg")
    assert pictures and all(tag.get("aria-label") or tag.get("aria-hidden") for tag in pictures)


def test_the_roc_curve_has_the_area_that_was_judged(run: RunResult, place: Path) -> None:
    read_back = answers.read_answers(run, place)
    for entry in run.entries:
        curve = figures.roc_points(read_back.labels == 0, read_back.probabilities[entry.name][:, 0])
        area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))
        assert entry.evaluation and entry.evaluation.metrics.auc
        assert area == pytest.approx(entry.evaluation.metrics.auc.value)


def test_images_of_equal_score_make_a_slope_in_the_roc_curve() -> None:
    curve = figures.roc_points(np.array([True, False, True]), np.array([0.5, 0.5, 0.5]))
    assert curve == [(0.0, 0.0), (1.0, 1.0)]


def test_a_paired_difference_is_narrower_where_answers_go_together() -> None:
    right = np.arange(100) < 90
    same = answers.paired_difference(right, right)
    apart = answers.paired_difference(right, right[::-1])
    assert same.value == apart.value == 0
    assert same.high - same.low < apart.high - apart.low


def test_a_paired_difference_agrees_with_the_formula_worked_by_hand() -> None:
    first = np.array([True] * 9 + [False])
    second = np.array([True] * 6 + [False] * 4)  # 3 gained, none lost, 10 images
    found = answers.paired_difference(first, second)
    half = 1.959964 * ((4 / 12 + 1 / 12 - (3 / 12) ** 2) / 12) ** 0.5
    assert (found.value, found.low) == (pytest.approx(0.3), pytest.approx(0.25 - half))


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


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.percent(0.9533), "95.3 %"),
        (formats.percent(float("nan")), "–"),
        (formats.points(-0.0093), "−0.9"),
        (formats.size(837_412), "837 KB"),
        (formats.size(59_414_112), "59.4 MB"),
        (formats.size(999_999), "1.00 MB"),
        (formats.size(12), "12 B"),
        (formats.count(3_415_586), "3.42 M"),
        (formats.count(None), "–"),
        (formats.milliseconds(0.4567), "0.457 ms"),
        (formats.milliseconds(212.4), "212 ms"),
        (formats.smaller(59_400_000, 837_000), "71× smaller than"),
        (formats.smaller(1_265_120, 1_322_900), "about as large as"),
        (formats.smaller(1_000_000, 1_500_000), "1.5× larger than"),
        (formats.ratio(10, 0), "–"),
        (formats.duration(0.44), "0.4 s"),
        (formats.duration(754.2), "12 min 34 s"),
        (formats.duration(7500), "2 h 05 min"),
        (formats.moment("2026-11-25T01:25:30+00:00"), "25 November 2026, 01:25 UTC"),
        (formats.moment("soon"), "soon"),
        (formats.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_are_written_one_way(written: str, expected: str) -> None:
    assert written.replace("\u00a0", " ") == expected


def test_an_interval_that_is_no_number_draws_nothing() -> None:
    nan = float("nan")
    assert figures.interval_bar(Estimate(value=nan, low=nan, high=nan, method=""), 0, 1) == ""


def _boxes(drawn: str) -> list[tuple[float, float, float, float]]:
    pattern = r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"'
    return [
        (float(x), float(y), float(width), float(height))
        for x, y, width, height in re.findall(pattern, drawn)
    ]


def _pictures(folder: Path, number: int) -> list[Path]:
    paths = [folder / f"{row:03d}.jpg" for row in range(number)]
    for row, path in enumerate(paths):
        Image.new("RGB", (200, 160), (row, 80, 200 - row)).save(path)
    return paths


def test_a_pupil_without_a_teacher_of_the_run_is_not_set_against_one(tmp_path: Path) -> None:
    evolved = Node(
        *("evolved", "distill-evolutionary", (), 0.3, "keras", 500_000), taught=True, compared=False
    )
    result = sample_run(tmp_path, [VGG, evolved])
    lineage = Lineage.of(result.entries)
    assert [pupil.name for pupil in lineage.pupils()] == ["evolved"]
    assert lineage.reference(lineage.entries["evolved"]) is None
    assert headline(result, lineage, answers.read_answers(result, tmp_path)).teacher is None
    assert "smaller than" not in read(result, tmp_path).text


def test_what_was_not_shown_all_images_is_not_put_forward_nor_what_was_made_from_it(
    tmp_path: Path,
) -> None:
    nodes = [
        VGG,
        Node("whole", "distill", ("vgg16",), 0.0, "keras", 2_000_000),
        Node("part", "distill", ("vgg16",), 0.0, "keras", 1_000_000),
        Node("part-lite", "export-tflite", ("part",), 0.0, "tflite", 500_000),
    ]
    result = _changed(sample_run(tmp_path, nodes), "part", without={"source": ("acrima",)})
    verdict = headline(result, Lineage.of(result.entries), answers.read_answers(result, tmp_path))
    assert verdict.keeps and verdict.pupil and verdict.pupil.name == "whole"


def test_of_two_of_one_size_the_one_that_ships_a_threshold_is_put_forward(tmp_path: Path) -> None:
    nodes = [VGG, *(Node(each, "distill", ("vgg16",), 0.0) for each in ("plain", "set", "other"))]
    result = sample_run(tmp_path, nodes)
    record = result.entries[2].record
    assert record
    threshold = Threshold(positive="glaucoma", value=0.3, chosen_on="validation")
    result = _changed(result, "set", record=record.model_copy(update={"threshold": threshold}))
    verdict = headline(result, Lineage.of(result.entries), answers.read_answers(result, tmp_path))
    assert verdict.pupil and verdict.pupil.name == "set"


def _changed(result: RunResult, name: str, **changes: Any) -> RunResult:
    entries = (
        each.model_copy(update=changes) if each.name == name else each for each in result.entries
    )
    return result.model_copy(update={"entries": tuple(entries)})


def test_it_is_said_which_figures_no_threshold_changes(page: _Page) -> None:
    assert "of the most probable class, whatever threshold a model ships" in page.text
