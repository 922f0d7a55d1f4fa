"""What is kept: the epoch of the best loss or fidelity, its weights or their running mean."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import keras_files
from pupila.testing import finish_after_kill
from pupila.training.altered import Altered
from pupila_distill.techniques import distill

UNSTEADY = {"epochs": 6, "patience": None, "learning_rate": 0.05}
"""So that the best epoch is neither the last one nor the same by loss and by fidelity."""


def answers(step, pictures):
    """Return what the model answers that a step wrote."""
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    return np.asarray(model(np.asarray(pictures, np.float32)))


def test_the_epoch_of_the_highest_fidelity_is_kept(distilling):
    reports = []
    step = distilling(
        choose_by="fidelity", progress=lambda *said: reports.append(said[2]), **UNSTEADY
    )
    product = distill(step)
    measured, history = product.measured, product.measured["history"]
    fidelities = history["validation_fidelity"]
    assert measured["best_epoch"] == 1 + int(np.argmax(fidelities))
    assert measured["validation_fidelity"] == pytest.approx(max(fidelities), abs=1e-4)
    altered = Altered.of(step, product.input)
    fidelity = altered.fidelity(np.log(answers(step, altered.pictures)))
    assert fidelity == pytest.approx(max(fidelities), abs=1e-3)
    assert measured["best_epoch"] != 1 + int(np.argmin(history["validation_loss"])), history
    assert reports[-1].endswith(f", fidelity {fidelities[-1]:.3f}")


def test_with_the_loss_no_altered_image_is_answered(distilling):
    measured = distill(distilling(epochs=1)).measured
    assert "validation_fidelity" not in measured["history"]
    assert measured["validation_fidelity"] is None


def test_the_mean_of_the_weights_is_evaluated_and_kept(distilling, dataset):
    """With the labels alone to learn from, the loss is their cross-entropy."""
    steps = [
        distilling(str(average), average=average, alpha=1, epochs=3) for average in (None, 0.9)
    ]
    plain, averaged = ([distill(step), step] for step in steps)
    losses = averaged[0].measured["history"]["validation_loss"]
    assert losses != plain[0].measured["history"]["validation_loss"]
    assert averaged[0].measured["history"]["loss"] == plain[0].measured["history"]["loss"]
    validation = dataset.select("validation")
    probabilities = answers(averaged[1], validation.pixels(averaged[0].input)[:])
    loss = -np.log(probabilities[np.arange(len(validation)), validation.labels]).mean()
    assert loss == pytest.approx(min(losses), rel=0.01, abs=1e-4)


@pytest.mark.parametrize(
    "student", ["conv-32-64-8", pytest.param("mobile-xs", marks=pytest.mark.long)]
)
def test_a_killed_run_goes_on_by_fidelity_and_with_the_mean(distilling, student):
    settings = {"choose_by": "fidelity", "average": 0.9, "epochs": 4, "student": student}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = distill(unbroken).measured
    measured = finish_after_kill(distill, broken).measured
    assert measured["history"] == expected["history"]
    assert measured["best_epoch"] == expected["best_epoch"]
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3))
    np.testing.assert_array_equal(answers(unbroken, pictures), answers(broken, pictures))


def test_patience_counts_from_the_epoch_that_is_chosen(distilling):
    step = distilling(choose_by="fidelity", epochs=12, patience=1, learning_rate=0.5)
    measured = distill(step).measured
    assert measured["epochs"] == measured["best_epoch"] + 1 < 12
