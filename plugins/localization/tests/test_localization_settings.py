"""Settings and students that do not fit localization, and the defaults that do."""

from __future__ import annotations

from typing import Any

import pytest

from pupila import PupilaError, installed
from pupila.keras_files import import_keras
from pupila.plugin import import_object
from pupila.testing import StepMaker, plugin_installed, store_model
from pupila.views import Augmentation

keras = import_keras()


@pytest.fixture
def distilling(locator, dataset, tmp_path):
    return StepMaker(installed().step("distill").config, {}, [locator], dataset, tmp_path)


def settings_for(task, **given) -> Any:
    return installed().step("distill").config.model_validate(given).for_task(installed().task(task))


def test_default_views_are_mixed_only_where_mixtures_have_a_label():
    hard = settings_for("classification").augmentation
    assert (hard.views, hard.mixup) == (14, 1)
    own = settings_for("localization").augmentation
    assert own == hard.model_copy(update={"mixup": 0})
    again = (
        installed().step("distill").config.model_validate(settings_for("localization").model_dump())
    )
    assert again == settings_for("localization")
    assert settings_for("localization", student="mobile-xs").augmentation == Augmentation()
    assert settings_for("localization", augmentation={"views": 3}).augmentation.views == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"augmentation": {"mixup": 0.2}}, "`mixup` is 0.2, but a mixture of two pictures has no"),
        ({"student": "mobile-xs", "augmentation": {"mixup": 1}}, "no label in the task 'localiz"),
        ({"mean_over_views": True}, "`mean_over_views` is true, but the answers to the views of"),
    ],
)
def test_settings_that_need_mean_labels_are_refused_before_anything_runs(given, said):
    with pytest.raises(PupilaError, match=said):
        settings_for("localization", **given)


FLAT = """
from pupila import Student, hookimpl
from pupila.keras_files import import_keras

@hookimpl
def pupila_students():
    yield Student(name="flat", summary="-", implementation="flat_student:build", size=32)

def build(input, classes):
    keras = import_keras()
    image = keras.Input(input.shape)
    logits = keras.layers.Dense(classes)(keras.layers.Flatten()(image))
    return keras.Model(image, logits, name="flat")
"""


def test_a_student_without_a_feature_map_is_refused(distilling, tmp_path):
    with plugin_installed(tmp_path / "site", "flat-student", "flat_student", FLAT):
        new_student = import_object("pupila_distill.new_student:new_student")
        with pytest.raises(PupilaError, match="'flat' has no feature map with a position"):
            new_student(distilling(student="flat"))


def test_a_classifiers_coarse_layers_cannot_begin_a_locator(distilling, store):
    image = keras.Input((32, 48, 3))
    x = keras.layers.Conv2D(4, 16, strides=16, name="coarse")(image)
    answer = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    teacher = store_model(store, keras.Model(image, answer, name="coarse_net"), ("cat", "dog"))
    new_student = import_object("pupila_distill.new_student:new_student")
    fine_tuning = installed().step("fine-tune").config
    step = distilling(inputs=[teacher], config=fine_tuning, student={"from": "teacher"})
    with pytest.raises(
        PupilaError, match=r"'coarse_net' has no layer .* for every 8 pixels or less"
    ):
        new_student(step)
