"""Students of localization that are trained by the techniques, to the end."""

from __future__ import annotations

import pytest

from pupila import OutputSpec, Predictions, installed
from pupila.testing import (
    DISC,
    disc_locator,
    ignore_progress,
    keras_artifact,
    run_step,
)
from pupila_localization.task import Localization

TASK = Localization()
NAMES = (DISC,)
QUICK = {
    "student": "conv-32-64-8",
    "size": [32, 48],
    "epochs": 2,
    "batch_size": 6,
    "augmentation": {"views": 2},
}


def test_a_student_is_distilled_from_coordinates_and_read_back(store, dataset, tmp_path):
    teacher = disc_locator(store, kind="coordinates")
    plugin = installed().step("distill")
    config = plugin.config.model_validate(QUICK | {"alpha": 0.5})
    ran = run_step(plugin, config, [teacher], tmp_path, store=store, dataset=dataset)
    record = ran.artifact.record
    assert record.output == OutputSpec(
        task="localization", kind="heat-map", classes=NAMES, size=(6, 10, 3)
    )
    assert (record.input.height, record.input.width) == (32, 48)
    history = record.measured["history"]
    assert history["loss"][-1] < history["loss"][0]


BEGINNING = {"from": "teacher", "head": 8}


@pytest.mark.long
def test_distilling_the_beginning_of_a_locator_comes_close_to_it(store, dataset, tmp_path, locator):
    plugin = installed().step("distill")
    settings = QUICK | {"student": BEGINNING, "size": None, "epochs": 40, "learning_rate": 3e-2}
    settings |= {"batch_size": 3, "augmentation": {"views": 4}}
    config = plugin.config.model_validate(settings)
    ran = run_step(plugin, config, [locator], tmp_path, store=store, dataset=dataset)
    predictions, test = Predictions(tmp_path / "predictions"), dataset.select("test")
    ours, theirs = (
        predictions.of(artifact, test, ignore_progress) for artifact in (ran.artifact, locator)
    )
    assert TASK.right(theirs, TASK.truths(test), NAMES).mean() > 0.9
    assert TASK.right(ours, TASK.truths(test), NAMES).mean() > 0.7
    assert TASK.same(ours, theirs).mean() > 0.5


def test_a_locator_is_fine_tuned_from_a_classifier(store, dataset, tmp_path):
    classifier = keras_artifact(store, classes=("cat", "dog"))
    plugin = installed().step("fine-tune")
    assert plugin.features_only
    assert plugin.can_do("localization")
    settings = QUICK | {"student": BEGINNING, "size": [32, 48], "epochs": 3}
    config = plugin.config.model_validate(settings)
    ran = run_step(plugin, config, [classifier], tmp_path, store=store, dataset=dataset)
    assert ran.artifact.record.output.size == (8, 12, 3)
    history = ran.artifact.record.measured["history"]
    assert history["loss"][-1] < history["loss"][0]


def test_the_control_trains_on_labels_alone(store, dataset, tmp_path):
    plugin = installed().step("train")
    config = plugin.config.model_validate(QUICK | {"epochs": 3})
    ran = run_step(plugin, config, [], tmp_path, store=store, dataset=dataset)
    assert ran.artifact.record.output.size == (6, 10, 3)
