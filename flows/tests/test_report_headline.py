"""Which pupil the report puts forward, and what it dares to say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from report_pages import Page, read
from sample_runs import PUPIL, VGG, Node, sample_run

from pupila.artifact import Threshold
from pupila_flows.report import formatting, predictions
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.sections.headline import BADGE, MARGIN, headline, keeps_accuracy
from pupila_flows.results import Entry, RunResult


def test_the_headline_is_the_smallest_pupil_shown_to_lose_at_most_five_points(
    run: RunResult, place: Path, page: Page
) -> None:
    lineage, read_back = Lineage.of(run.entries), predictions.read_answers(run, place)
    verdict = headline(run, lineage, read_back)
    assert verdict.keeps and verdict.pupil and verdict.teacher and verdict.difference
    assert verdict.difference.low >= -MARGIN
    lows: list[float] = []
    for pupil in lineage.pupils():
        difference = read_back.difference(pupil.name, "vgg16")
        if difference and pupil.size_bytes < verdict.pupil.size_bytes:
            lows.append(difference.low)
    assert lows and max(lows) < -MARGIN
    assert formatting.ratio(verdict.teacher.size_bytes, verdict.pupil.size_bytes) in verdict.title
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
        kept.append(keeps_accuracy(*pair, predictions.read_answers(result, tmp_path)))
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


def _of_accuracy(entry: Entry, accuracy: float) -> Entry:
    """Return an entry that reached that accuracy on the test images."""
    assert entry.evaluation
    metrics = entry.evaluation.metrics
    estimate = metrics.accuracy.model_copy(update={"value": accuracy})
    metrics = metrics.model_copy(update={"accuracy": estimate})
    return entry.model_copy(
        update={"evaluation": entry.evaluation.model_copy(update={"metrics": metrics})}
    )


def test_a_loss_of_just_two_images_of_a_hundred_is_near(tmp_path: Path) -> None:
    paths = [Path(f"{row}.jpg") for row in range(100)]
    result = sample_run(tmp_path, [VGG, PUPIL], images=paths)
    teacher, pupil = result.entries
    entries = (_of_accuracy(teacher, 0.97), _of_accuracy(pupil, 0.95))
    assert pupil.evaluation
    Path(pupil.evaluation.probabilities).unlink()
    result = result.model_copy(update={"entries": entries})
    answers = predictions.read_answers(result, tmp_path)
    verdict = headline(result, Lineage.of(entries), answers)
    assert 0.97 - 0.95 > 0.02 and not verdict.keeps
    assert "loses 2.0 points of accuracy here" in verdict.title


def test_a_run_where_no_pupil_comes_near_its_teacher_says_so(tmp_path: Path) -> None:
    bad = Node("ruin", "quantize-int4", ("vgg16",), 30.0)
    text = read(sample_run(tmp_path, [VGG, bad]), tmp_path).text
    assert "No pupil comes within 2 points of its teacher; ruin comes nearest" in text
    assert "is 15× smaller than vgg16 and" not in text


def test_a_pupil_without_a_teacher_of_the_run_is_not_set_against_one(tmp_path: Path) -> None:
    evolved = Node(
        *("evolved", "distill-evolutionary", (), 0.3, "keras", 500_000), taught=True, compared=False
    )
    result = sample_run(tmp_path, [VGG, evolved])
    lineage = Lineage.of(result.entries)
    assert [pupil.name for pupil in lineage.pupils()] == ["evolved"]
    assert lineage.reference(lineage.entries["evolved"]) is None
    assert headline(result, lineage, predictions.read_answers(result, tmp_path)).teacher is None
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
    verdict = headline(
        result, Lineage.of(result.entries), predictions.read_answers(result, tmp_path)
    )
    assert verdict.keeps and verdict.pupil and verdict.pupil.name == "whole"


def test_of_two_of_one_size_the_one_that_ships_a_threshold_is_put_forward(tmp_path: Path) -> None:
    nodes = [VGG, *(Node(each, "distill", ("vgg16",), 0.0) for each in ("plain", "set", "other"))]
    result = sample_run(tmp_path, nodes)
    record = result.entries[2].record
    assert record
    threshold = Threshold(positive="glaucoma", value=0.3, chosen_on="validation")
    result = _changed(result, "set", record=record.model_copy(update={"threshold": threshold}))
    verdict = headline(
        result, Lineage.of(result.entries), predictions.read_answers(result, tmp_path)
    )
    assert verdict.pupil and verdict.pupil.name == "set"


def _changed(result: RunResult, name: str, **changes: Any) -> RunResult:
    entries = (
        each.model_copy(update=changes) if each.name == name else each for each in result.entries
    )
    return result.model_copy(update={"entries": tuple(entries)})
