"""The page as a whole: it stands alone, escapes what it is given, and survives what is missing."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pytest
from report_pages import Page, read
from sample_runs import CONTROL, HOSTILE, PUPIL, VGG, XCEPTION, Node, sample_run

from pupila import PupilaError
from pupila_flows.report import formatting
from pupila_flows.report.page import write_report
from pupila_flows.results import Check, RunResult


def test_nothing_is_fetched_from_anywhere(run: RunResult, run_folder: Path, page: Page) -> None:
    html = write_report(run, run_folder).read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert "url(" not in html and "@import" not in html
    assert not page.all("link")


def test_the_only_script_is_ours_and_the_policy_allows_no_other(
    run: RunResult, run_folder: Path
) -> None:
    html = write_report(run, run_folder).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"img-src data:; script-src 'sha256-{digest}'\"" in html
    assert not re.findall(r"\b(?:fetch|import|innerHTML|eval|XMLHttpRequest)\b", script)


def test_every_entry_stands_in_the_results(run: RunResult, page: Page) -> None:
    for entry in run.entries:
        evaluation = entry.evaluation
        assert entry.name in page.text and evaluation
        assert (
            formatting.percent(evaluation.metrics.accuracy.value).replace("\u00a0", " ")
            in page.text
        )
        assert formatting.percent_interval(evaluation.metrics.accuracy) in page.text


def test_the_same_run_gives_the_same_bytes(run: RunResult, run_folder: Path) -> None:
    assert write_report(run, run_folder).read_bytes() == write_report(run, run_folder).read_bytes()


def test_the_page_shows_the_first_seed_and_a_table_of_all(tmp_path: Path) -> None:
    again = [
        replace(PUPIL, name="pupil#8", repeats="pupil", control="control#8", seed=8),
        replace(CONTROL, name="control#8", repeats="control", seed=8),
    ]
    page = read(sample_run(tmp_path, [VGG, XCEPTION, PUPIL, CONTROL, *again]), tmp_path)
    assert "2 seeds: 7, 8. Results below are those of seed 7" in page.text
    assert "Over seeds" in page.text
    assert len([tag for tag in page.all("svg") if "Accuracy by seed" in str(tag)]) == 1
    named = [tag for tag in page.all("svg") if str(tag.get("aria-label")).startswith("ROC")]
    assert len(named) == 4, "a curve of each entry of the first seed, and of no other"


def test_synthetic_data_is_announced_above_everything(tmp_path: Path, page: Page) -> None:
    words = "Synthetic images: nothing here is medical"
    synthetic = read(sample_run(tmp_path, [VGG, PUPIL], synthetic=True), tmp_path)
    assert synthetic.text.index(words) < synthetic.text.index("Goal")
    assert words not in page.text


def test_the_caution_about_one_source_names_the_shortcuts_found(page: Page) -> None:
    caution = page.text[page.text.index("Read with care") : page.text.index("Every artifact as")]
    assert "show that the software works, not that it can diagnose" in caution
    assert "Mean colour alone separates the classes with AUC 0.90" in caution
    assert "2 pairs" not in caution


def test_a_run_without_any_evaluation_still_has_a_report(tmp_path: Path) -> None:
    nodes = [
        Node("vgg16", "keras-h5", evaluated=False, error="Out of memory."),
        Node("pupil", "distill", ("vgg16",), evaluated=False),
    ]
    result = sample_run(tmp_path, nodes)
    text = read(result, tmp_path).text
    assert "Nothing was evaluated in this run" in text and "Out of memory." in text


def test_a_single_teacher_is_evaluated_without_talk_of_pupils(tmp_path: Path) -> None:
    text = read(sample_run(tmp_path, [VGG]), tmp_path).text
    assert "Evaluate vgg16 on" in text and "No pupil to compare with a teacher" in text


def test_a_recipe_with_nothing_in_it_does_not_break_the_report(tmp_path: Path) -> None:
    text = read(sample_run(tmp_path, [], test_images=(), test_labels=()), tmp_path).text
    assert "Nothing was evaluated in this run" in text


def test_each_artifact_names_the_version_that_made_it(page: Page) -> None:
    assert "distill ← vgg16, xception · dist-distill 0.1.5 ·" in page.text
    assert "quantize-int8 ← pupil-float · dist-quantize 0.1.10 ·" in page.text
    assert "Installed when this run ended pupila-core 0.1.0" in page.text


def test_names_paths_and_errors_are_escaped_everywhere(tmp_path: Path) -> None:
    name = f"p{HOSTILE}"
    nodes = [
        Node(f"t{HOSTILE}", f"keras-{HOSTILE}"),
        Node(name, f"u{HOSTILE}", (f"t{HOSTILE}",), 3.0, config={HOSTILE: HOSTILE}),
        Node("e", "distill", (name,), error=HOSTILE, evaluated=False),
    ]
    (tmp_path / "answers").mkdir()
    check = Check(
        name=HOSTILE,
        severity="error",
        passed=False,
        observed=HOSTILE,
        advice=HOSTILE,
        shortcut=True,
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
    assert html.count("<script") == 1
    assert html.count("&lt;script&gt;") > 20
    assert not [1 for _, attributes in Page(html).tags if "alert" in " ".join(attributes)]


def test_predictions_that_are_gone_are_named_and_the_rest_stands(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    evaluation = result.entries[1].evaluation
    assert evaluation
    Path(evaluation.probabilities).unlink()
    text = read(result, tmp_path).text
    assert "The predictions of pupil are no longer on disk" in text
    assert formatting.percent_interval(evaluation.metrics.accuracy) in text


def test_predictions_of_other_data_are_refused(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    shorter = result.model_copy(update={"test_labels": result.test_labels[:-1]})
    with pytest.raises(PupilaError, match=r"shape \(107, 2\), expected \(106, 2\)"):
        write_report(shorter, tmp_path)


@pytest.mark.parametrize("docs", ["run/docs", "data-docs/a & b", "other/where"])
def test_the_link_to_data_docs_leads_there_from_the_page(docs: str, tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG])
    index = tmp_path / docs / "index.html"
    data = result.data.model_copy(update={"data_docs": str(index)})
    page = read(result.model_copy(update={"data": data}), tmp_path / "run")
    (link,) = [str(tag["href"]) for tag in page.all("a") if not str(tag["href"]).startswith("#")]
    assert (tmp_path / "run" / unquote(link)).resolve() == index


def test_every_table_has_headers_and_every_picture_a_text(page: Page) -> None:
    assert all(tag.get("scope") for tag in page.all("th"))
    assert all(tag.get("alt") for tag in page.all("img"))
    pictures = page.all("svg")
    assert pictures and all(tag.get("aria-label") or tag.get("aria-hidden") for tag in pictures)
