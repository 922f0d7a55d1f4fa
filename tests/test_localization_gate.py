"""The gate on locators: the mean error, and what is found, against a teacher and elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.evaluation import Cost, Evaluation, Latency
from pupila.task import MetricSettings, methods_of
from pupila_flows.gate.decision import decide
from pupila_flows.gate.external import differences
from pupila_flows.gate.inputs import (
    Case,
    ExternalPredictions,
    GateExternalSet,
    GateInputs,
    GateModel,
    Images,
    Incumbent,
)
from pupila_flows.jobs.gate import AskGate
from pupila_flows.recipe.gate import ExternalGate, GateSection, Margins
from pupila_flows.report.sections.gate import plot
from pupila_flows.report.terminal import gate_rows
from pupila_flows.results import Finding, GateResult
from pupila_flows.run.gate import gate_failures
from pupila_flows.run.single import perform_alone
from pupila_flows.workspace import Workspace

Floats = NDArray[np.float64]
TASK = "localization"
IMAGES, ABSENT = 200, 4
ASPECT, RADIUS = 0.75, 0.064
"""Height by width of the images, and the radius of every disc, as a fraction of the width."""


def drawn_truths() -> Floats:
    """Return what the labels say; nothing is there in the last images."""
    random = np.random.default_rng(0)
    centres = random.uniform(0.3, 0.7, (IMAGES, 2))
    rest = np.tile([RADIUS, RADIUS / ASPECT, 1.0, ASPECT], (IMAGES, 1))
    truths = np.concatenate([centres, rest], axis=1)
    truths[-ABSENT:, :4], truths[-ABSENT:, 4] = np.nan, 0
    return truths


TRUTHS = drawn_truths()


def answers_off_by(errors: Floats) -> Floats:
    """Return answers whose centres are off by so many percent of the width, in any direction."""
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, IMAGES)
    answers = np.nan_to_num(TRUTHS[:, :5], nan=0.5)
    answers[:, 0] += errors / 100 * np.cos(angle)
    answers[:, 1] += errors / 100 * np.sin(angle) / ASPECT
    return answers


def usual_errors(seed: int = 2) -> Floats:
    return 0.45 * np.exp(0.5 * np.random.default_rng(seed).standard_normal(IMAGES))


def rows_of(truths: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in truths)


TEACHER = usual_errors()
GOOD = TEACHER + np.random.default_rng(3).normal(0.02, 0.1, IMAGES).clip(-TEACHER, None)
WORSE = TEACHER + 0.5
SPLIT = Images(
    fingerprint="test",
    paths=tuple(f"{row}.png" for row in range(IMAGES)),
    labels=(0,) * IMAGES,
    truths=rows_of(TRUTHS),
)
Models = Callable[[str, Floats], GateModel]


@pytest.fixture
def locator(tmp_path: Path) -> Models:
    def made(name: str, errors: Floats) -> GateModel:
        answers, path = answers_off_by(errors), tmp_path / f"{name}.npy"
        np.save(path, answers)
        settings = MetricSettings(classes=("disc",))
        metrics = methods_of(TASK).metrics(answers, TRUTHS, settings)
        evaluation = Evaluation(
            artifact=name,
            format="tflite",
            runtime="LiteRT",
            cpu="one",
            cost=Cost(
                size_bytes=1000,
                gzip_bytes=900,
                parameters=None,
                macs=None,
                latency=Latency(median_ms=5, p95_ms=6, repeats=50, threads=2),
                peak_memory_bytes=None,
            ),
            split="test",
            metrics=metrics,
            validation=metrics.accuracy,
            probabilities=str(path),
            validation_probabilities=str(path),
        )
        return GateModel(name=name, evaluation=evaluation)

    return made


def asked(
    ours: GateModel, teacher: GateModel, section: GateSection, *incumbents: Incumbent
) -> GateInputs:
    return GateInputs(
        section=section.of_task(TASK),
        specificity=0.85,
        cases=(
            Case(entry="int8", made="so", artifact=ours, teacher=teacher, incumbents=incumbents),
        ),
        task=TASK,
        classes=("disc",),
        positive="",
        test=SPLIT,
        validation=SPLIT.model_copy(update={"fingerprint": "validation"}),
    )


def findings(result: GateResult) -> dict[str, Finding]:
    (artifact,) = result.artifacts
    return {finding.condition: finding for finding in artifact.findings}


BY_DEFAULT = GateSection(fidelity=None)


def test_by_default_what_is_found_and_the_mean_error_are_compared(locator: Models):
    assert BY_DEFAULT.of_task(TASK).margins.asked == {"accuracy": 0.05, "error": 0.2}
    result = decide(asked(locator("int8", GOOD), locator("big", TEACHER), BY_DEFAULT))
    right, error = findings(result).values()
    assert (right.condition, right.verdict, error.verdict) == ("accuracy", "pass", "pass")
    assert right.text.startswith("Detection rate is 100.0 %, against 100.0 % of big: ")
    known = slice(0, IMAGES - ABSENT)
    assert error.tested == IMAGES - ABSENT
    assert error.value == pytest.approx(GOOD[known].mean())
    assert error.difference is not None and error.other == pytest.approx(TEACHER[known].mean())
    assert error.difference.value == pytest.approx((GOOD - TEACHER)[known].mean())
    low, high = (
        f"{end:+.2f}".replace("-", "−") for end in (error.difference.low, error.difference.high)
    )
    assert error.text == (
        f"Mean error is {error.value:.2f} % of the width, against {error.other:.2f} % of the width "
        f"of big: +0.02 (95 % interval {low} to {high}); more is worse. It is shown to add less "
        f"than 0.20 % of the width. An error is the distance of the centres; it counts up to half "
        f"the true radius, as what is farther off is a matter of whether it was found."
    )
    assert [row["condition"] for row in gate_rows(result)] == ["detection rate", "mean error"]


def test_a_larger_error_fails_with_the_images_on_which_it_grows_most(locator: Models):
    ours = WORSE.copy()
    ours[[7, 30]] += [1.5, 1.0]
    inputs = asked(locator("int8", ours), locator("big", TEACHER), BY_DEFAULT)
    better = locator("float", GOOD)
    result = decide(inputs.model_copy(update={"rivals": (better,)}))
    error = findings(result)["error"]
    assert error.verdict == "fail"
    assert gate_failures(result) == ["gate: int8 fails: mean error against big"]
    assert error.difference is not None and error.difference.low > 0.2
    assert (
        "It is shown to add more than the allowed 0.20 % of the width: the interval begins "
        f"{error.difference.low - 0.2:.2f} % of the width above." in error.text
    )
    assert [image.path for image in error.images[:2]] == ["7.png", "30.png"]
    assert error.images[0].truth.startswith("disc at ")
    assert error.images[0].other is not None
    assert error.advice.startswith("In this run, float (an error of 0.5")
    assert "whose error grows most" in error.advice


def test_an_error_in_between_is_inconclusive_and_says_how_many_images_are_needed(locator: Models):
    ours = locator("int8", TEACHER + np.random.default_rng(5).uniform(0, 0.38, IMAGES))
    error = findings(decide(asked(ours, locator("big", TEACHER), BY_DEFAULT)))["error"]
    assert error.verdict == "inconclusive" and error.needs_images is not None
    assert "That leaves open whether it adds less than 0.20 % of the width: " in error.text
    assert (
        f"test images with an error would decide it, and there are {IMAGES - ABSENT}" in error.text
    )
    assert (
        error.advice == "Add test images. No other step of this run does better on the "
        "validation images."
    )


def test_a_smaller_error_is_a_gain(locator: Models):
    error = findings(decide(asked(locator("int8", TEACHER), locator("big", WORSE), BY_DEFAULT)))[
        "error"
    ]
    assert error.verdict == "pass"
    assert error.difference is not None and error.difference.high < 0
    assert ": −0.50 (95 % interval −" in error.text


def test_what_is_far_off_counts_for_found_and_up_to_half_a_radius_for_the_error(locator: Models):
    ours = TEACHER.copy()
    ours[:30] = 25.0
    result = findings(decide(asked(locator("int8", ours), locator("big", TEACHER), BY_DEFAULT)))
    right, error = result["accuracy"], result["error"]
    assert right.verdict == "fail" and right.value == pytest.approx(1 - 30 / IMAGES)
    counted = 30 * (100 * RADIUS / 2) + TEACHER[30 : IMAGES - ABSENT].sum()
    assert error.value == pytest.approx(counted / (IMAGES - ABSENT))


def test_losses_are_drawn_on_the_left(locator: Models):
    def drawn(ours: Floats) -> float:
        inputs = asked(locator("int8", ours), locator("big", TEACHER), BY_DEFAULT)
        text = str(plot(findings(decide(inputs))["error"]))
        return float(text.split('cx="')[1].split('"')[0])

    assert drawn(WORSE) < drawn(GOOD) < 130 < drawn(TEACHER * 0.6)


def test_published_versions_are_compared_by_the_margins_of_published(locator: Models):
    published = Incumbent(
        role="published",
        title="version 2",
        names=("int8",),
        artifact=locator("version 2 (published)", TEACHER),
    )
    section = GateSection(margins=Margins(), fidelity=None, published=Margins(error=0.3))
    ours, teacher = locator("int8", WORSE), locator("big", WORSE)
    error = findings(decide(asked(ours, teacher, section, published)))["error"]
    assert (error.verdict, error.against, error.limit) == ("fail", "published", 0.3)
    assert "of version 2 (published): +0.5" in error.text


def elsewhere(locator: Models, ours: Floats, margins: Margins | None) -> GateInputs:
    section = GateSection(fidelity=None, external=ExternalGate(margins=margins))
    inputs = asked(locator("int8", GOOD), locator("big", TEACHER), section)
    there = GateExternalSet(
        name="clinic-b",
        images=SPLIT.model_copy(update={"fingerprint": "b"}),
        labelled=True,
        predictions=tuple(
            ExternalPredictions(name=name, probabilities=model.evaluation.probabilities)
            for name, model in (
                ("int8", locator("there-int8", ours)),
                ("big", locator("there-big", TEACHER)),
            )
        ),
    )
    return inputs.model_copy(update={"external": (there,)})


@pytest.mark.parametrize(
    ("margins", "verdicts"),
    [
        (None, [("accuracy", "pass"), ("error", "fail")]),
        (Margins(error=1.0), [("error", "pass")]),
        (Margins(), []),
    ],
)
def test_external_sets_have_the_same_margins_or_their_own(
    locator: Models, margins: Margins | None, verdicts: list[tuple[str, str]]
):
    result = decide(elsewhere(locator, WORSE, margins))
    there = [finding for finding in result.artifacts[0].findings if finding.external]
    assert [(finding.condition, finding.verdict) for finding in there] == verdicts
    assert all(" on clinic-b is " in finding.text for finding in there)


def test_differences_on_external_sets_are_those_of_found_and_error(locator: Models):
    inputs = elsewhere(locator, WORSE, None)
    compared = differences(inputs, inputs.cases[0], inputs.external[0])
    assert set(compared) == {"accuracy", "error"}
    assert compared["error"].value == pytest.approx(0.5, abs=0.01)


def test_where_nothing_is_there_the_error_cannot_be_compared(locator: Models):
    inputs = asked(locator("int8", GOOD), locator("big", TEACHER), BY_DEFAULT)
    absent = TRUTHS.copy()
    absent[:, :4], absent[:, 4] = np.nan, 0
    nothing = SPLIT.model_copy(update={"truths": rows_of(absent)})
    error = findings(decide(inputs.model_copy(update={"test": nothing})))["error"]
    assert error.verdict == "inconclusive"
    assert error.text == (
        "Mean error could not be compared: none of the 200 images has anything to be found."
    )


def test_a_margin_that_allows_any_error_is_inconclusive(locator: Models):
    section = GateSection(margins=Margins(error=50), fidelity=None)
    error = findings(decide(asked(locator("int8", GOOD), locator("big", TEACHER), section)))[
        "error"
    ]
    assert error.verdict == "inconclusive"
    assert "A margin of 50 allows no comparison: errors count up to 3.2 here" in error.text


def test_the_gate_in_its_own_process_knows_where_nothing_is_there(locator: Models, tmp_path: Path):
    inputs = asked(locator("int8", GOOD), locator("big", TEACHER), BY_DEFAULT)
    job = AskGate.of(Workspace.at(tmp_path / "workspace"), inputs)
    assert perform_alone(job) == decide(inputs)
