"""The release gate: what it decides, how it explains itself, and what a recipe may ask."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from publishable_runs import release
from sample_runs import BINARY, SPECIFICITY, Node, sample_run

from pupila import PupilaError
from pupila.artifact import Threshold
from pupila.evaluation import Cost, Evaluation, Latency
from pupila.metrics import metrics_of
from pupila.store import Store
from pupila.testing import draw_images, keras_artifact
from pupila_flows import assignments
from pupila_flows.data import read_data
from pupila_flows.gate.asking import judged_by, made_words, objections
from pupila_flows.gate.decision import decide
from pupila_flows.gate.incumbents import Incumbents
from pupila_flows.gate.lines import NO_GATE, gate_lines, gate_rows
from pupila_flows.gate.question import Case, Question, Side
from pupila_flows.gate.section import GateSection, Limits, Margins
from pupila_flows.plan import RecipeError, read_plan
from pupila_flows.registry import open_registry
from pupila_flows.registry.publishing import publish
from pupila_flows.report import write_report
from pupila_flows.report.answers import read_answers
from pupila_flows.report.headline import headline
from pupila_flows.report.lineage import Lineage
from pupila_flows.results import Finding, GateResult, RunResult
from pupila_flows.run import Run
from pupila_flows.workspace import Workspace

Floats = NDArray[np.float64]
ACCURACY = Margins(accuracy=0.05)
IMAGES = 200
LABELS = np.arange(IMAGES) % 2

Sides = Callable[..., Side]


def answered(wrong: int, first: int = 0, probability: float = 0.9) -> Floats:
    """Answers that are wrong for so many images, from the `first` on."""
    right = np.full(IMAGES, probability)
    right[first : first + wrong] = 1 - probability
    scores = np.empty((IMAGES, 2))
    scores[np.arange(IMAGES), LABELS] = right
    scores[np.arange(IMAGES), 1 - LABELS] = 1 - right
    return scores


@pytest.fixture
def side(tmp_path: Path) -> Sides:
    """A judged model, of what it answers; validation images are those of the test."""

    def made(
        name: str,
        scores: Floats,
        size_bytes: int = 1000,
        locked: bool = True,
        shipped: float | None = None,
    ) -> Side:
        path = tmp_path / f"{name}.npy"
        np.save(path, scores)
        validation = (scores, LABELS) if locked else None
        latency = Latency(median_ms=5, p95_ms=6, repeats=50, threads=2)
        cost = Cost(
            size_bytes=size_bytes,
            gzip_bytes=900,
            parameters=None,
            macs=None,
            latency=latency,
            peak_memory_bytes=None,
        )
        evaluation = Evaluation(
            artifact=name,
            format="tflite",
            runtime="LiteRT",
            cpu="one",
            cost=cost,
            split="test",
            metrics=metrics_of(scores, LABELS, BINARY, "glaucoma", SPECIFICITY, validation),
            probabilities=str(path),
        )
        threshold = (
            Threshold(positive="glaucoma", value=shipped, chosen_on="validation")
            if shipped
            else None
        )
        return Side(name=name, evaluation=evaluation, threshold=threshold)

    return made


def asked(
    section: GateSection, artifact: Side | None, teacher: Side | None, **more: Side | str
) -> Question:
    case = Case(entry="int8", made="quantize-int8 of float", artifact=artifact, teacher=teacher)
    return Question(
        section=section,
        cases=(case.model_copy(update=more),),
        published="version 2" if more else None,
        classes=BINARY,
        positive="glaucoma",
        images=tuple(f"{row}.png" for row in range(IMAGES)),
        labels=tuple(LABELS.tolist()),
        columns={"site": tuple("north" if row < 180 else "south" for row in range(IMAGES))},
    )


def only(result: GateResult) -> Finding:
    ((finding,),) = (each.findings for each in result.artifacts)
    return finding


@pytest.mark.parametrize(
    ("wrong", "verdict", "needs", "words"),
    [
        (0, "pass", False, ["+5.0 points", "shown to lose less than 5 points"]),
        (12, "pass", False, ["−1.0 points", "shown to lose less than 5 points"]),
        (18, "inconclusive", True, ["leaves open whether it loses less than 5 points", "are 200"]),
        (23, "inconclusive", True, ["as it looks now, it would fail"]),
        (20, "inconclusive", False, ["at the margin itself, so no number of images would tell"]),
        (45, "fail", False, ["shown to lose more than the 5 points", "the interval ends"]),
    ],
)
def test_a_margin_has_three_verdicts(
    side: Sides, wrong: int, verdict: str, needs: bool, words: list[str]
):
    teacher = side("vgg", answered(10))
    result = decide(asked(GateSection(margins=ACCURACY), side("int8", answered(wrong)), teacher))
    finding = only(result)
    assert result.verdict == finding.verdict == verdict
    assert (finding.needs_images is not None) == needs
    assert finding.needs_images is None or finding.needs_images > IMAGES
    assert all(each in finding.text for each in words), finding.text
    assert bool(finding.advice) == (verdict != "pass")
    assert (result.best == "int8") == (verdict != "pass")
    assert finding.difference
    low, high = finding.difference.low, finding.difference.high
    assert {"pass": low >= -0.05, "fail": high < -0.05}.get(verdict, low < -0.05 <= high)


def test_a_failure_names_the_images_that_only_the_artifact_gets_wrong_the_surest_first(side: Sides):
    teacher, scores = side("vgg", answered(10)), answered(60)
    scores[35] = [0.01, 0.99] if LABELS[35] == 0 else [0.99, 0.01]
    finding = only(decide(asked(GateSection(margins=ACCURACY), side("int8", scores), teacher)))
    assert finding.images[0] == "35.png"
    assert len(finding.images) == 24
    assert not {f"{row}.png" for row in range(10)} & set(finding.images)


def test_what_is_published_has_margins_of_its_own(side: Sides):
    section = GateSection(margins=ACCURACY, published=Margins(accuracy=0.001))
    alike = side("vgg", answered(10))
    found = decide(asked(section, side("int8", answered(11)), alike, incumbent=alike))
    teacher, published = found.artifacts[0].findings
    assert (teacher.against, teacher.verdict) == ("vgg", "pass")
    assert (published.against, published.verdict, published.limit) == (
        "published",
        "inconclusive",
        0.001,
    )
    assert "of version 2 (published)" not in teacher.text
    assert "of version 2 (published)" in published.text
    assert found.published == "version 2"


def test_what_is_the_very_artifact_that_is_published_is_not_compared_with_it(side: Sides):
    same = side("vgg", answered(10))
    section = GateSection(margins=ACCURACY, published=Margins(accuracy=0.001))
    compared = decide(asked(section, same, same, incumbent=same))
    assert compared.verdict == "inconclusive"
    unchanged = decide(asked(section, same, same, standing="same"))
    assert unchanged.verdict == "pass"
    _, finding = unchanged.artifacts[0].findings
    assert finding.text == ("int8 is the very artifact of version 2 (published): it loses nothing.")


def test_what_has_no_counterpart_in_the_published_version_is_not_passed_unless_that_is_wanted(
    side: Sides,
):
    same = side("vgg", answered(10))
    renamed = asked(GateSection(margins=ACCURACY), same, same, standing="missing")
    question = renamed.model_copy(update={"published_names": ("left-int8", "web")})
    found = decide(question)
    assert found.verdict == "inconclusive"
    (told,) = objections(found)
    assert "version 2 (published), which has no artifact of that name" in told
    assert "it has left-int8, web" in told
    assert "`published: {}`" in found.artifacts[0].findings[-1].advice
    lifted = GateSection(margins=ACCURACY, published=Margins())
    assert decide(question.model_copy(update={"section": lifted})).verdict == "pass"


def test_an_artifact_of_which_nothing_was_asked_is_not_passed_and_that_is_told(side: Sides):
    section = GateSection(margins=Margins(), published=Margins(accuracy=0.02))
    found = decide(asked(section, side("int8", answered(0)), side("vgg", answered(0))))
    assert found.verdict == "inconclusive"
    assert objections(found) == [
        "gate: int8: inconclusive: Nothing was asked of int8, so nothing is shown."
    ]


def test_images_without_a_value_are_a_group_and_a_column_without_any_is_not_passed(side: Sides):
    section = GateSection(margins=Margins(accuracy=0.15), by=("site",))
    question = asked(section, side("int8", answered(15, first=183)), side("vgg", answered(0)))
    half = ("north",) * 180 + ("",) * 20
    found = decide(question.model_copy(update={"columns": {"site": half}})).artifacts[0]
    assert {each.group: each.verdict for each in found.findings} == {
        None: "pass",
        "site is not given": "fail",
        "site = north": "pass",
    }
    empty = decide(question.model_copy(update={"columns": {"site": ("",) * IMAGES}}))
    assert empty.verdict == "inconclusive"
    assert "Groups by site cannot be asked: no test image has a value" in objections(empty)[0]


def test_every_value_of_a_column_is_asked_for_itself(side: Sides):
    wrong_in_the_south = side("int8", answered(15, first=183))
    section = GateSection(margins=Margins(accuracy=0.15), by=("site",))
    found = decide(asked(section, wrong_in_the_south, side("vgg", answered(0)))).artifacts[0]
    assert {each.group: each.verdict for each in found.findings} == {
        None: "pass",
        "site = north": "pass",
        "site = south": "fail",
    }
    assert found.verdict == "fail"


def test_sensitivity_is_read_at_the_threshold_that_was_locked(side: Sides):
    section = GateSection(margins=Margins(sensitivity=0.1))
    teacher = side("vgg", answered(10))
    shipped = only(decide(asked(section, side("int8", answered(10), shipped=0.95), teacher)))
    assert (shipped.verdict, shipped.value, shipped.other) == ("fail", 0.0, 0.95)
    assert (
        "It is read at its shipped threshold, 0.950, where specificity is 100.0 %" in shipped.text
    )
    locked = only(decide(asked(section, side("int8", answered(10)), teacher)))
    assert (locked.verdict, locked.value) == ("pass", 0.95)
    assert "the threshold chosen on the validation images" in locked.text
    none = only(decide(asked(section, side("int8", answered(10), locked=False), teacher)))
    assert none.verdict == "inconclusive"
    assert "No threshold of 'int8' was locked" in none.text


def test_several_figures_are_adjusted_together(side: Sides):
    section = GateSection()
    finding, *others = (
        decide(asked(section, side("int8", answered(13)), side("vgg", answered(10))))
        .artifacts[0]
        .findings
    )
    assert [each.condition for each in (finding, *others)] == ["accuracy", "auc", "sensitivity"]
    values = sorted(each.p_value for each in (finding, *others) if each.p_value is not None)
    least = min(each.adjusted for each in (finding, *others) if each.adjusted is not None)
    assert least == pytest.approx(3 * values[0])


def test_a_figure_that_would_pass_only_by_itself_is_inconclusive_and_says_so(side: Sides):
    section = GateSection(margins=Margins(accuracy=0.046, sensitivity=0.001))
    teacher = side("vgg", answered(10))
    finding, _ = decide(asked(section, side("int8", answered(13)), teacher)).artifacts[0].findings
    assert finding.p_value is not None and finding.adjusted is not None and finding.difference
    assert 0.0125 < finding.p_value <= 0.025 < finding.adjusted
    assert finding.difference.low >= -0.046
    assert finding.verdict == "inconclusive"
    assert "but not as one of several figures that are asked at once" in finding.text


@pytest.mark.parametrize(
    ("limits", "verdict", "words"),
    [
        (Limits(size_bytes=1000), "pass", "Size is 1,000 bytes: it keeps to the limit, at most"),
        (Limits(size_bytes=900), "fail", "100 bytes too much, as it may be at most 900 bytes"),
        (Limits(latency_ms=4), "fail", "Time per image is 5 ms: 1 ms too much"),
        (Limits(accuracy=0.9), "pass", "at least 90.0 %"),
        (Limits(accuracy=0.95), "inconclusive", "no number of images would tell"),
        (Limits(accuracy=0.99), "fail", "4 points too low, as it must be at least 99.0 %"),
        (Limits(agreement=0.9), "pass", "Agreement with vgg is 100.0 %"),
    ],
)
def test_a_limit_holds_whatever_it_is_compared_with(
    side: Sides, limits: Limits, verdict: str, words: str
):
    section = GateSection(margins=Margins(), limits=limits)
    scores = answered(10)
    finding = only(decide(asked(section, side("int8", scores), side("vgg", scores))))
    assert finding.verdict == verdict
    assert words in finding.text


def test_advice_names_the_steps_of_the_run_that_do_better(side: Sides):
    question = asked(
        GateSection(margins=ACCURACY), side("int8", answered(45)), side("vgg", answered(10))
    )
    rivals = (side("float", answered(11)), side("half", answered(13)), side("worse", answered(48)))
    finding = only(decide(question.model_copy(update={"rivals": rivals})))
    assert (
        "Of this run, float (accuracy 94.5 %), half (accuracy 93.5 %) do better." in finding.advice
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"error": "litert: it does not run"}, "fail", "int8 cannot be released: litert"),
        ({"artifact": None}, "fail", "it was not judged"),
        ({"teacher": None}, "inconclusive", "there is no judged model to compare with"),
    ],
)
def test_what_cannot_be_asked_is_not_passed(
    side: Sides, changes: dict[str, object], verdict: str, words: str
):
    question = asked(
        GateSection(margins=ACCURACY), side("int8", answered(0)), side("vgg", answered(10))
    )
    case = question.cases[0].model_copy(update=changes)
    result = decide(question.model_copy(update={"cases": (case,)}))
    assert result.verdict == verdict
    assert words in result.artifacts[0].findings[0].text
    assert words in " ".join(objections(result))


def test_a_gate_that_judges_nothing_is_not_passed(side: Sides):
    question = asked(GateSection(), side("int8", answered(0)), side("vgg", answered(0)))
    result = decide(question.model_copy(update={"cases": ()}))
    assert result.verdict == "fail"
    assert "name some in `gate.judges`" in str(result.reason)
    assert objections(result) == [f"gate: {result.reason}"]


def test_predictions_of_other_images_are_refused(side: Sides):
    question = asked(GateSection(), side("int8", answered(0)), side("vgg", answered(0)))
    fewer = question.model_copy(
        update={"images": question.images[:9], "labels": question.labels[:9]}
    )
    with pytest.raises(PupilaError, match=re.escape("expected (9, 2)")):
        decide(fewer)
    Path(question.cases[0].artifact.evaluation.probabilities).unlink()  # pyright: ignore
    with pytest.raises(PupilaError, match="run again"):
        decide(question)


def test_a_question_is_the_same_wherever_the_workspace_lies(side: Sides):
    question = asked(GateSection(), side("int8", answered(0)), None)
    path = question.cases[0].artifact.evaluation.probabilities  # pyright: ignore
    moved = Question.model_validate_json(
        question.model_dump_json().replace(path, f"/elsewhere/{Path(path).name}")
    )
    assert moved.identity() == question.identity()


def test_the_exports_at_the_ends_are_judged_unless_others_are_named(tmp_path: Path):
    run = sample_run(tmp_path)
    names = [each.name for each in judged_by(GateSection(), run.entries)]
    assert names == [
        "vgg16-int8",
        "pupil-float16",
        "pupil-dynamic",
        "pupil-int8",
        "pupil-int4",
        "pupil-web",
    ]
    chosen = judged_by(GateSection(judges=("pupil-float",)), run.entries)
    assert [each.name for each in chosen] == ["pupil-float"]
    by_name = {each.name: each for each in run.entries}
    assert made_words(by_name["pupil-int8"], by_name) == (
        "quantize-int8 of pupil-float: export-tflite of pupil: distill of vgg16 and xception"
    )


@pytest.fixture
def told(tmp_path: Path) -> RunResult:
    """A run with a gate, over images that are there."""
    images = sorted(draw_images(tmp_path / "images", images=10).rglob("*.png"))
    vgg = Node("vgg16", "keras-h5", (), 0.3, "keras")
    nodes = [
        vgg,
        Node("float", "export-tflite", ("vgg16",), 0.01),
        Node("int8", "quantize-int8", ("float",), 9.0),
    ]
    run = sample_run(tmp_path, nodes, images=images)
    by_name = {
        entry.name: Side(name=entry.name, evaluation=entry.evaluation)
        for entry in run.entries
        if entry.evaluation
    }
    question = Question(
        section=GateSection(margins=Margins(accuracy=0.2), limits=Limits(size_bytes=5_000_000)),
        cases=tuple(
            Case(entry=name, made="tried so", artifact=by_name[name], teacher=by_name["vgg16"])
            for name in ("float", "int8")
        ),
        classes=run.data.classes,
        positive="glaucoma",
        images=run.test_images,
        labels=run.test_labels,
    )
    return run.model_copy(update={"gate": decide(question)})


def test_the_report_shows_verdicts_intervals_and_pictures(told: RunResult, tmp_path: Path):
    page = write_report(told, tmp_path).read_text()
    gate = page[page.index('id="gate"') : page.index('id="results"')]
    assert told.gate and [each.verdict for each in told.gate.artifacts] == ["pass", "fail"]
    assert "✓ pass" in gate and "✗ fail" in gate
    assert gate.count('class="forest pass"') == 3
    assert gate.count('class="forest fail"') == 1
    assert "tried so" in gate
    assert "data:image/jpeg" in gate
    assert (
        'id="gate"'
        not in write_report(
            told.model_copy(update={"gate": None, "sweep": {"int8.x": (1,)}}), tmp_path
        ).read_text()
    )
    without = write_report(told.model_copy(update={"gate": None}), tmp_path).read_text()
    assert "nothing of this run may be published" in without


def test_the_terminal_says_what_did_not_pass_and_what_to_try(told: RunResult):
    assert told.gate
    rows = gate_rows(told.gate)
    assert [row["verdict"] for row in rows] == ["PASS", "", "FAIL", ""]
    lines = "\n".join(gate_lines(told))
    assert lines.startswith("Gate: FAIL")
    assert "  int8 (tried so): fail" in lines
    assert "    try: Of this run" in lines or "    try: No other step" in lines
    plain = told.model_copy(update={"gate": None})
    assert gate_lines(plain) == ["Gate: none in the recipe."]
    publishing = plain.model_copy(update={"recipe_text": "name: night\npublish: {}\n"})
    assert gate_lines(publishing) == [NO_GATE]


def test_the_headline_says_what_the_gate_says(told: RunResult, tmp_path: Path):
    def title(run: RunResult) -> str:
        found = headline(run, Lineage.of(run.entries), read_answers(run, tmp_path))
        assert (found.keeps, found.pupil is None) == (passes, False)
        return found.title

    assert told.gate
    passes = True
    assert title(told) == (
        "float is about as large as vgg16 and passes the release gate; the run does not, for int8 "
        "(fail)"
    )
    worst = told.gate.artifacts[1].model_copy(update={"entry": "float"})
    gate = told.gate.model_copy(update={"artifacts": (worst,), "best": "float"})
    passes = False
    assert title(told.model_copy(update={"gate": gate})) == (
        "Nothing passes the release gate; float comes nearest"
    )
    page = write_report(told, tmp_path).read_text()
    assert "smallest that passes the gate" in page and "shown to lose at most 5" not in page


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that publishes as `clinic`; nothing of it was made."""
    images = draw_images(tmp_path / "images", images=2)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: clinic\ndata: {path: images}\n"
        "steps: {int8: {use: train, with: {student: conv-32-64-8}}}\n"
        "gate: {}\npublish: {to: registry}\n"
    )
    place = Workspace.at(tmp_path / "empty")
    return Run(read_plan(recipe), place, read_data(images, None, place.cache), ())


def test_what_is_published_is_neither_fetched_nor_judged_where_it_is_the_artifact_itself(
    run: Run, tmp_path: Path
):
    given = release(tmp_path)
    (int8,) = (each for each in given.result.entries if each.name == "int8")
    assert Incumbents.of(run, GateSection()).standing(int8) is None
    publish(open_registry(str(tmp_path / "registry")), given)
    incumbents = Incumbents.of(run, GateSection())
    assert incumbents.standing(int8) == "same"
    assert incumbents.of_entry(int8) is None
    assert not list((run.place.store.root / "objects").iterdir())
    assert incumbents.standing(int8.model_copy(update={"artifact": "another"})) is None
    renamed = int8.model_copy(update={"name": "small"})
    assert (incumbents.standing(renamed), incumbents.of_entry(renamed)) == ("missing", None)
    assert replace(incumbents, named=("int8",)).standing(renamed) is None
    lifted = Incumbents.of(run, GateSection(published=Margins()))
    assert lifted.version and (lifted.standing(int8), lifted.standing(renamed)) == (None, None)


def test_what_the_store_holds_already_is_not_fetched_again(tmp_path: Path):
    given, registry = release(tmp_path), open_registry(str(tmp_path / "registry"))
    publish(registry, given)
    version = registry.current("clinic")
    assert version
    shutil.rmtree(tmp_path / "registry" / "clinic" / "versions" / "000001" / "artifacts")
    store = Workspace.at(tmp_path / ".pupila").store
    assert registry.fetch(version, "int8", store).digest == version.artifacts["int8"]
    with pytest.raises(PupilaError):
        registry.fetch(version, "int8", Store(tmp_path / "another"))


def test_a_judgement_belongs_to_the_processor_that_it_was_timed_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    artifact = release(tmp_path).artifacts["int8"]

    def key() -> str:
        section = run.plan.recipe.evaluate
        return assignments.judge(
            run.place, "int8", artifact, run.dataset, run.positive, section
        ).key

    here = key()
    assert key() == here
    monkeypatch.setattr(assignments, "cpu_name", lambda: "another")
    another = key()
    monkeypatch.setattr(os, "cpu_count", lambda: 1024)
    assert len({here, another, key()}) == 3


def written(folder: Path, recipe: str) -> Path:
    """Write a recipe, and the data and the teacher that it names."""
    rows = [
        f"{path.relative_to(folder)},{path.parent.name},{path.parent.parent.name},"
        f"{'here' if path.stem == '0' else 'there'}"
        for path in sorted(draw_images(folder / "images", images=2).rglob("*.png"))
    ]
    (folder / "images.csv").write_text("\n".join(["path,label,split,site", *rows]))
    (folder / "model.keras").write_bytes(b"PK")
    path = folder / "recipe.yaml"
    path.write_text(recipe)
    return path


RECIPE = """\
name: gated
data: {path: images.csv}
teachers:
  big: {path: model.keras, classes: [square, triangle]}
steps:
  lite: {use: export-tflite, from: big}
  alone: {use: train, with: {student: conv-32-64-8}}
  page: {use: site, from: lite}
  one: {use: one-class, from: big, with: {positive: square}}
  after: {use: export-tflite, from: one}
gate: GATE
"""


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("{}", None),
        ("{judges: [lite], by: [site], limits: {size_bytes: 9}}", None),
        ("{judges: [alone], margins: {}, limits: {accuracy: 0.9}}", None),
        ("{judges: [after]}", None),
        ("{judges: [one]}", "'one' has no teacher behind it to be compared with"),
        (
            "{judges: [lit]}",
            "'lit' is no step: the gate judges what a step made. Did you mean 'lite'?",
        ),
        ("{judges: [page]}", "'page' uses site, whose artifacts are not judged"),
        ("{judges: [alone]}", "'alone' has no teacher behind it to be compared with"),
        ("{margins: {}}", "gate asks nothing"),
        (
            "{margins: {acuracy: 0.1}}",
            "gate.margins.acuracy is no known field. Did you mean 'accuracy'?",
        ),
        ("{margins: {accuracy: 0}}", "gate.margins.accuracy"),
        ("{by: [sit]}", "the data has no column 'sit' beside path, label and split; it has site."),
        ("{published: {accuracy: 0.1}}", "the recipe has no `publish`"),
        ("{margins: {}, limits: {size_bytes: 9}, by: [site]}", "gate.by asks for the margins"),
    ],
)
def test_a_recipe_asks_for_what_can_be_asked(tmp_path: Path, gate: str, words: str | None):
    recipe = written(tmp_path, RECIPE.replace("GATE", gate))
    if words is None:
        assert read_plan(recipe).recipe.gate
        return
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert problem.line == 11
    assert words in problem.message


@pytest.mark.parametrize(
    ("gate", "artifacts", "line", "words"),
    [
        ("{}", "[page]", None, None),
        ("{judges: [lite]}", "[lite, page]", None, None),
        ("{margins: {}, limits: {size_bytes: 9}, published: {auc: 0.1}}", "[]", None, None),
        (
            "{margins: {}, published: {auc: 0.1}}",
            "[]",
            11,
            "gate.published alone asks nothing of a first version",
        ),
        ("{judges: [after]}", "[after, lite]", 12, "'lite' would always be withheld"),
        (
            "{judges: [after]}",
            "[after, page]",
            12,
            "'page' would always be withheld, as the gate does not judge 'lite'",
        ),
    ],
)
def test_a_recipe_that_could_never_publish_is_told_so(
    tmp_path: Path, gate: str, artifacts: str, line: int | None, words: str | None
):
    recipe = written(
        tmp_path, RECIPE.replace("GATE", gate) + f"publish: {{artifacts: {artifacts}}}"
    )
    if words is None:
        assert read_plan(recipe).recipe.publish
        return
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert words in problem.message


def test_a_step_at_the_end_that_has_no_teacher_to_be_compared_with_is_told(tmp_path: Path):
    last = RECIPE.replace("  after: {use: export-tflite, from: one}\n", "").replace("GATE", "{}")
    recipe = written(tmp_path, last)
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert "'one', the last of its branch" in problem.message
    partial = last.replace("from: big, with", "from: big, without: {site: [there]}, with")
    recipe.write_text(partial)
    assert read_plan(recipe).recipe.gate


@pytest.mark.long
def test_a_run_whose_gate_does_not_pass_ends_failed_and_a_run_whose_gate_passes_is_published(
    tmp_path: Path,
):
    draw_images(tmp_path / "images", images=12)
    teacher = keras_artifact(Store(tmp_path / "teacher"))
    recipe = f"""\
name: gated
data: {{path: images}}
teachers: {{big: {{path: {teacher.path}}}}}
steps:
  lite: {{use: export-tflite, from: big}}
gate:
  margins: {{accuracy: 0.6}}
  published: {{accuracy: 0.001}}
  limits: {{size_bytes: LIMIT}}
publish: {{}}
"""

    def run(limit: int) -> tuple[subprocess.CompletedProcess[str], RunResult]:
        (tmp_path / "recipe.yaml").write_text(recipe.replace("LIMIT", str(limit)))
        environment = {key: value for key, value in os.environ.items() if "PREFECT" not in key}
        done = subprocess.run(
            [sys.executable, "-m", "pupila_flows", "run", "recipe.yaml"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        runs = tmp_path / ".pupila" / "runs" / "gated"
        latest = max(runs.iterdir())
        result = RunResult.model_validate_json((latest / "result.json").read_text())
        shutil.rmtree(latest)
        return done, result

    failed, result = run(10)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert result.gate and result.gate.verdict == "fail"
    assert "bytes too much, as it may be at most 10 bytes" in failed.stdout
    assert "lite came nearest; it is kept as an artifact, not published." in failed.stdout
    assert result.publication and result.publication.outcome == "withheld"
    passed, result = run(1_000_000)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert result.gate and result.gate.verdict == "pass" and result.gate.published is None
    assert result.publication and result.publication.version == 1
    again, result = run(999_999)
    assert again.returncode == 0, again.stdout + again.stderr
    assert result.gate and result.gate.published == "version 1"
    assert {each.against for each in result.gate.artifacts[0].findings} == {
        "big",
        "published",
        None,
    }
