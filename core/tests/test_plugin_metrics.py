"""Metrics that packages add: their values, their intervals, and what is refused of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.evaluation import Figure, Metrics
from pupila.plugin_metrics import metrics_of_answers
from pupila.plugin_registry import installed
from pupila.result_plugins import Metric
from pupila.task import MetricSettings
from pupila.testing import plugin_installed

CLASSES = ("normal", "glaucoma")
PLUGIN = """
import numpy as np

from pupila import Metric, hookimpl


@hookimpl
def pupila_metrics():
    yield Metric(
        name="cost",
        summary="Mean cost of the decisions, where a missed disease costs five false alarms",
        implementation=f"{__name__}:cost",
        title="cost",
        unit="false alarms",
        lower_is_better=True,
        decided=True,
        bounds=(0.0, 5.0),
    )
    yield Metric(
        name="f1",
        summary="Harmonic mean of sensitivity and precision",
        implementation=f"{__name__}:f1",
        title="F1",
        per_image=False,
        decided=True,
    )


def cost(answers, truths, classes):
    costs = np.array([[0.0, 1.0], [5.0, 0.0]])
    return costs[truths, answers.argmax(axis=1)]


def f1(answers, truths, classes):
    called = answers.argmax(axis=1) == 1
    hits, all_ = (called & (truths == 1)).sum(), called.sum() + (truths == 1).sum()
    return 2 * hits / all_ if all_ else np.nan
"""

Installed = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def package(tmp_path: Path) -> Installed:
    @contextmanager
    def install(code: str) -> Generator[None]:
        with plugin_installed(tmp_path / "path", "costs-for-pupila", "their_metrics", code):
            yield

    return install


def answers(confidences: Sequence[float]) -> NDArray[np.float64]:
    """Return probabilities, given those of glaucoma."""
    positive = np.array(confidences, np.float64)
    return np.stack([1 - positive, positive], axis=1)


TRUTHS = np.array([0] * 30 + [1] * 20)
SCORES = answers([0.1] * 27 + [0.9] * 3 + [0.8] * 16 + [0.3] * 4)


def measure(**settings: object) -> Metrics:
    chosen = MetricSettings(classes=CLASSES, positive="glaucoma", **settings)  # pyright: ignore
    return metrics_of_answers("classification", SCORES, TRUTHS, chosen)


def figures(**settings: object) -> dict[str, Figure]:
    metrics = measure(**settings)
    assert metrics.figures == ()
    assert metrics.not_measured == {}
    return {figure.name: figure for figure in metrics.added}


def test_metrics_of_core_come_in_by_the_door_of_all_packages():
    known = figures()
    assert list(known) == ["balanced_accuracy", "log_loss"]
    balanced, loss = known["balanced_accuracy"].estimate, known["log_loss"].estimate
    assert balanced.value == pytest.approx((27 / 30 + 16 / 20) / 2)
    true = SCORES[np.arange(50), TRUTHS]
    assert loss.value == pytest.approx(-np.log(true).mean())
    for estimate in (balanced, loss):
        assert estimate.low < estimate.value < estimate.high
    assert known["log_loss"].lower_is_better and not known["balanced_accuracy"].lower_is_better
    assert installed().origin(installed().metrics("classification")[0]).distribution == (
        "pupila-core"
    )


def test_a_metric_of_a_package_is_measured_for_images_and_for_a_set(package: Installed):
    with package(PLUGIN):
        known = figures()
    assert list(known) == ["balanced_accuracy", "cost", "f1", "log_loss"]
    cost, f1 = known["cost"], known["f1"]
    assert cost.estimate.value == pytest.approx((3 + 4 * 5) / 50)
    assert (cost.title, cost.unit) == ("cost", "false alarms")
    assert f1.estimate.value == pytest.approx(2 * 16 / (16 + 3 + 20))
    assert f1.estimate.low < f1.estimate.value < f1.estimate.high


def test_decisions_are_those_at_the_threshold_that_ships(package: Installed):
    from pupila.artifact import Threshold

    low = Threshold(positive="glaucoma", value=0.2, chosen_on="validation")
    with package(PLUGIN):
        assert figures(shipped=low)["cost"].estimate.value == pytest.approx(3 / 50)
    assert figures(shipped=low)["balanced_accuracy"].estimate.value == pytest.approx(0.95)


def test_intervals_are_by_patient_and_wider_if_images_of_one_are_alike():
    alike = np.repeat(np.arange(10), 5)
    plain, by_patient = figures()["log_loss"], figures(patients=alike)["log_loss"]
    assert plain.estimate.value == by_patient.estimate.value
    assert "by patient" in by_patient.estimate.method
    width = [known.estimate.high - known.estimate.low for known in (plain, by_patient)]
    assert width[1] > 1.5 * width[0]


def test_about_95_of_100_intervals_contain_the_truth():
    random, inside = np.random.default_rng(3), 0
    truth = 0.5 * -np.log(0.9) + 0.5 * -np.log(0.4)  # half of the answers have either confidence
    for _ in range(100):
        labels = random.integers(0, 2, 80)
        sure = np.where(random.random(80) < 0.5, 0.9, 0.4)
        scores = answers(np.where(labels == 1, sure, 1 - sure).tolist())
        settings = MetricSettings(classes=CLASSES, positive="glaucoma")
        metrics = metrics_of_answers("classification", scores, labels, settings)
        estimate = next(figure for figure in metrics.added if figure.name == "log_loss").estimate
        inside += estimate.low <= truth <= estimate.high
    assert 0.9 <= inside / 100 <= 1


def test_images_without_a_value_are_left_out_and_a_set_without_one_has_no_figure(
    package: Installed,
):
    positives_only = PLUGIN.replace(
        "return costs[truths, answers.argmax(axis=1)]",
        "return np.where(truths == 1, costs[truths, answers.argmax(axis=1)], np.nan)",
    ).replace("return 2 * hits / all_ if all_ else np.nan", "return np.nan")
    with package(positives_only):
        known = figures()
    assert known["cost"].estimate.value == pytest.approx(4 * 5 / 20)
    assert "f1" not in known


@pytest.mark.parametrize(
    ("line", "broken", "message"),
    [
        (
            "return costs[truths, answers.argmax(axis=1)]",
            "return costs[truths, answers.argmax(axis=1)][1:]",
            r"Metric 'cost' of costs-for-pupila returned values of shape \(49,\) for 50 images: "
            r"expected \(50,\), finite or NaN.",
        ),
        (
            "return costs[truths, answers.argmax(axis=1)]",
            "return costs[truths, answers.argmax(axis=1)] * 2",
            r"returned 10 for an image, outside of its bounds \(0.0, 5.0\).",
        ),
        (
            "return 2 * hits / all_ if all_ else np.nan",
            "return np.array([0.5, 0.6])",
            r"Metric 'f1' of costs-for-pupila returned \[0.5, 0.6\] for 50 images: expected one "
            r"number, or NaN.",
        ),
        (
            "return costs[truths, answers.argmax(axis=1)]",
            "return costs[truths + 1, answers.argmax(axis=1)]",
            r"Metric 'cost' of costs-for-pupila raised IndexError: index 2 .*, on 50 images of ",
        ),
    ],
)
def test_wrong_values_cost_the_metric_alone_and_name_its_package(
    package: Installed, line: str, broken: str, message: str
):
    with package(PLUGIN.replace(line, broken)):
        metrics = measure()
    ((name, reason),) = metrics.not_measured.items()
    assert re.search(message, reason)
    names = [figure.name for figure in metrics.added]
    assert name not in names
    assert {"balanced_accuracy", "log_loss"} < {*names}


def test_a_metric_of_another_task_is_left_out(package: Installed):
    with package(PLUGIN.replace("decided=True,", 'tasks=frozenset({"localization"}),')):
        assert list(figures()) == ["balanced_accuracy", "log_loss"]
        assert "cost" in [metric.name for metric in installed().metrics("localization")]


def test_a_metric_whose_name_a_recipe_cannot_have_is_left_out_alone(package: Installed):
    with package(PLUGIN.replace('name="cost"', 'name="accuracy"')):
        (broken,) = (known for known in installed().broken if known.name == "their_metrics")
        assert "metric 'accuracy' has name='accuracy', where lower-case words" in broken.error
        assert str(broken).startswith("Metric 'accuracy' of costs-for-pupila 1.0 is skipped: ")
        assert "f1" in [metric.name for metric in installed().metrics("classification")]
        assert list(figures()) == ["balanced_accuracy", "f1", "log_loss"]


def test_only_bounded_values_of_images_take_a_margin():
    metric = Metric(name="one", summary="One", implementation="no:where", title="one")
    assert not metric.takes_margin
    metrics = {metric.name: metric.takes_margin for metric in installed().metrics("classification")}
    assert metrics == {"balanced_accuracy": False, "log_loss": True}
