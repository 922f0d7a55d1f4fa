"""The epoch that is kept: by the loss at home, or by the fidelity on altered images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pupila import keras_files
from pupila.testing import finish_after_kill
from pupila.training.altered import Altered
from pupila_distill.techniques import distill

UNSTEADY = {"epochs": 6, "patience": None, "learning_rate": 0.05}
"""So that the best epoch is neither the last one nor the same by loss and by fidelity."""


def fidelity_of(step, product):
    """Return how faithful the model is that a step wrote."""
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    altered = Altered.of(step, product.input)
    return altered.fidelity(np.log(np.asarray(model(altered.pictures.astype(np.float32)))))


def test_the_epoch_of_the_highest_fidelity_is_kept(distilling):
    told = []
    step = distilling(choose_by="fidelity", progress=lambda *said: told.append(said[2]), **UNSTEADY)
    product = distill(step)
    measured, history = product.measured, product.measured["history"]
    fidelities = history["validation_fidelity"]
    assert measured["best_epoch"] == 1 + int(np.argmax(fidelities))
    assert measured["validation_fidelity"] == pytest.approx(max(fidelities), abs=1e-4)
    assert fidelity_of(step, product) == pytest.approx(max(fidelities), abs=1e-3)
    assert measured["best_epoch"] != 1 + int(np.argmin(history["validation_loss"])), history
    assert told[-1].endswith(f", fidelity {fidelities[-1]:.3f}")


def test_by_the_loss_no_altered_image_is_asked_about(distilling):
    measured = distill(distilling(epochs=1)).measured
    assert "validation_fidelity" not in measured["history"]
    assert measured["validation_fidelity"] is None


def test_a_killed_run_goes_on_by_fidelity(distilling):
    settings = {"choose_by": "fidelity", "epochs": 4}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = distill(unbroken).measured
    measured = finish_after_kill(lambda told: distill(replace(broken, progress=told))).measured
    assert measured["history"] == expected["history"]
    assert measured["best_epoch"] == expected["best_epoch"]


def test_patience_heeds_what_chooses(distilling):
    step = distilling(choose_by="fidelity", epochs=12, patience=1, learning_rate=0.5)
    measured = distill(step).measured
    assert measured["epochs"] == measured["best_epoch"] + 1 < 12
