"""The history of a training, as an artifact reports it."""

from __future__ import annotations

from pupila.measured import Measured
from pupila.training.checkpoint import TrainingHistory

HISTORY = TrainingHistory(
    epochs=[
        {"loss": 0.5, "val_loss": 0.41},
        {"loss": 0.3, "val_loss": 0.3},
        {"loss": 0.2, "val_loss": 0.6},
    ],
    seconds=1.234,
)


def test_a_summary_has_the_best_epoch_and_the_metrics_of_all() -> None:
    summary = HISTORY.summary()
    assert (summary.best_epoch, summary.epochs, summary.seconds) == (2, 3, 1.23)
    assert summary.history == {"loss": [0.5, 0.3, 0.2], "validation_loss": [0.41, 0.3, 0.6]}


def test_a_summary_lists_the_metrics_that_are_named_and_takes_fields_of_the_caller() -> None:
    measured = Measured(HISTORY.summary("loss", unlabelled_images=7))
    assert measured["history"] == {"loss": [0.5, 0.3, 0.2]}
    assert measured["unlabelled_images"] == 7
    assert "validation_accuracy" not in measured
