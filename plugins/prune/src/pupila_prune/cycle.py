"""Runs the cycle of rounds that all techniques share: cut, retrain, evaluate, repeat.

A `Strategy` decides which weights a round cuts, and keeps them cut during retraining. A round
trains on the labels and on the uncut model's answers to the same images, with the losses of the
task (see `pupila.training.retraining`). The uncut model's answers are computed once. The cycle ends
after its last round, or after two rounds in a row that lose more than the budget. The budget is a
loss of accuracy on the validation images; with `choose_by: fidelity`, it is a loss of fidelity to
the uncut model on altered images.

The smallest model within the budget is kept. If no model is within the budget, the model that lost
the least is kept, and `measured` says so. The kept model was chosen on the validation images, so
its accuracy on them is optimistic. The final metrics are those on the test images.

A killed run continues at its last epoch: `scratch` has the model of each finished round and the
state of the current round. For this to work, the weights that a round cuts must depend only on the
model of the round before, the seed and the settings.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from pupila import Progress, Step
from pupila.keras_files import import_keras, macs, save
from pupila.measured import history_of
from pupila.training.checkpoint import Checkpoint, TrainingHistory
from pupila.training.fitting import fit
from pupila.training.retraining import RetrainingTargets
from pupila_prune.config import Retraining
from pupila_prune.heads import add_output, training_form
from pupila_prune.rounds import Round, Rounds
from pupila_prune.training_targets import key_of, uncut_accuracy

keras = import_keras()


class Strategy(Protocol):
    """What a technique must implement: how a model is cut, and how it stays cut in training."""

    name: str
    rounds: int

    def cut(self, model: Any, number: int) -> Any:
        """Return a cut copy of `model`, to be retrained; None if nothing can be cut.

        `model` is the result of the round before; `number` counts rounds from 1.
        """
        ...

    def keep_cut(self, model: Any) -> AbstractContextManager[None]:
        """Return a context for training in which cut weights stay cut."""
        ...

    def parameters(self, model: Any) -> int:
        """Return the number of parameters that remain in a model."""
        ...


def run(step: Step[Any], model: Any, strategy: Strategy) -> Rounds:
    """Cut and retrain a model in rounds, and return the rounds.

    `model` is the uncut model that `pupila_prune.training_targets.open_model` returned.

    Raises:
        PupilaError: the loss of a round is no longer finite.
    """
    config: Retraining = step.config
    targets, key = RetrainingTargets.of(step), key_of(step, strategy.name)
    images = len(step.split("validation"))
    rounds = Rounds(step.scratch, key, strategy.rounds, config.budget, images)
    total, fidelity = strategy.parameters(model), 1.0 if targets.altered else None
    rounds.begin(Round(total, 0.0, uncut_accuracy(step), macs(model), {}, fidelity))
    model = rounds.last_model() or model
    while not rounds.is_finished():
        keras.utils.set_random_seed(step.seed)
        model = strategy.cut(model, len(rounds.curve))
        if model is None:
            break
        history = _retrain(step, model, strategy, targets, rounds)
        rounds.add(_summary(model, strategy, history, rounds.curve[0].parameters), model)
    return rounds


def write_chosen(step: Step[Any], rounds: Rounds) -> Any:
    """Write and return the model of the chosen round, with the declared output activation."""
    (artifact,) = step.inputs
    model = add_output(rounds.model(rounds.chosen), artifact.record.output)
    save(model, step.output)
    return model


def _retrain(
    step: Step[Any], model: Any, strategy: Strategy, targets: RetrainingTargets, rounds: Rounds
) -> TrainingHistory:
    """Retrain the cut model of the current round, and return the training history."""
    config, number = step.config, len(rounds.curve)
    with strategy.keep_cut(model):
        return fit(
            training_form(model, step.inputs[0].record.output),
            targets.loss,
            targets.train,
            targets.validation,
            config,
            step.seed,
            Checkpoint(step.scratch / "training.npz", f"{rounds.key}, round {number}"),
            partial(_report, step.progress, number, rounds.max_rounds),
            targets.altered,
            targets.right,
        )


def _report(progress: Progress, number: int, rounds: int, done: int, total: int, what: str) -> None:
    """Report the progress within round `number` as progress in all rounds."""
    progress((number - 1) * total + done, rounds * total, f"{what}, round {number} of {rounds}")


def _summary(model: Any, strategy: Strategy, training: TrainingHistory, total: int) -> Round:
    remaining = strategy.parameters(model)
    best = training.epochs[training.best_epoch]
    history, fidelity = history_of(training.epochs), best.get("val_fidelity")
    removed = 1 - remaining / total
    return Round(remaining, removed, best["val_accuracy"], macs(model), history, fidelity)
