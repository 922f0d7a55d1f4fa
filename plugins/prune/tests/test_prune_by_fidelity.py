"""Epochs and rounds chosen by fidelity to the uncut model on altered images."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import keras_files
from pupila.training.altered import Altered
from pupila_prune.config import FilterPruning
from pupila_prune.rounds import Round, Rounds
from pupila_prune.techniques import prune_filters

keras = keras_files.import_keras()
layers = keras.layers

BY_FIDELITY = {
    "choose_by": "fidelity",
    "rounds": 1,
    "epochs": 3,
    "sparsity": 0.5,
    "batch_size": 8,
    "augmentation": {"views": 1},
}


def colour_net():
    """A net that compares blue with red; half of its filters do nothing."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 1, activation="relu", name="colours")(image)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))
    kernel, answer = np.full((1, 1, 3, 8), 1e-3), np.zeros((8, 2))
    kernel[0, 0, [2, 0], [0, 1]] = 0.1
    answer[:2] = [[1, -1], [-1, 1]]
    model.get_layer("colours").kernel.assign(kernel)
    model.get_layer("answer").kernel.assign(answer)
    return model


def test_the_epoch_and_the_budget_are_of_fidelity_to_the_uncut_model(models, step_on):
    model = models(colour_net())
    step = step_on(FilterPruning.model_validate(BY_FIDELITY), model)
    measured = prune_filters(step).measured
    uncut, cut = measured["curve"]
    assert uncut["validation_fidelity"] == 1
    assert cut["validation_fidelity"] == measured["validation_fidelity"]
    (history,) = measured["history"]
    assert cut["validation_fidelity"] == pytest.approx(
        max(history["validation_fidelity"]), abs=1e-4
    )
    thinner = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    altered = Altered.of(step, model.record.input)
    answers = np.asarray(thinner(altered.pictures.astype(np.float32)))
    assert altered.fidelity(np.log(answers)) == pytest.approx(cut["validation_fidelity"], abs=1e-3)
    assert "fidelity on altered validation images" in measured["reason"] or measured["budget_met"]


def test_the_round_is_chosen_by_its_loss_of_fidelity(tmp_path):
    kept = Rounds(tmp_path, "key", max_rounds=3, budget=0.1, images=10)
    for accuracy, fidelity in ((1.0, 1.0), (0.5, 0.95), (1.0, 0.91), (1.0, 0.6)):
        kept.curve.append(Round(10, 0.0, accuracy, 100, {}, fidelity))
    assert kept.chosen == 2
    assert kept.result().reason == (
        "Round 3 lost 0.4 of fidelity on altered validation images, more than the budget of 0.1."
    )
