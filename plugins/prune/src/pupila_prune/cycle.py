"""The cycle that all share: cut, retrain, judge, and again.

What is cut in a round, and how it is kept cut while the rest is trained, is a `Strategy`. A round
trains on the labels and on what the uncut model answers to the same pictures (see
`pupila.training.loss`); these answers are computed once. Where two rounds in a row lose more
accuracy on the validation images than the budget allows (or fidelity to the uncut model on altered
ones, where a recipe says so), the cycle ends. It keeps the smallest model within the budget, or,
where none is, the one that lost the least, and `measured` says so. The same images check the budget
and choose, so what is kept is judged anew, on others, by whoever asks for a verdict.

A killed run goes on at its last epoch: the model of each finished round lies in `scratch`, and so
does the state of the one that is being retrained. What a round cuts is therefore told by the model
of the round before, the seed and the settings alone.
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
from pupila.training.loss import distillation_loss
from pupila_prune.config import Retraining
from pupila_prune.heads import trained_form, with_answer
from pupila_prune.rounds import Round, Rounds
from pupila_prune.training_targets import Lesson, key_of, lesson_of, uncut_accuracy

keras = import_keras()


class Strategy(Protocol):
    """What tells one technique from another."""

    name: str
    rounds: int

    def cut(self, model: Any, number: int) -> Any:
        """Return a new model, of round `number` from 1, that is to be retrained.

        `model` is that of the round before. None where nothing can be cut.
        """
        ...

    def held(self, model: Any) -> AbstractContextManager[None]:
        """Keep cut what a round has cut, for as long as its model is trained."""
        ...

    def parameters(self, model: Any) -> int:
        """Return how many parameters are left."""
        ...


def run(step: Step[Any], model: Any, strategy: Strategy) -> Rounds:
    """Cut and retrain a model, which is as `pupila_prune.training_targets.opened` gives it.

    Raises:
        PupilaError: the loss of a round is no longer a number.
    """
    config: Retraining = step.config
    lesson, key = lesson_of(step), key_of(step, strategy.name)
    images = len(step.split("validation"))
    rounds = Rounds(step.scratch, key, strategy.rounds, config.budget, images)
    left, fidelity = strategy.parameters(model), 1.0 if lesson.altered else None
    rounds.begin(Round(left, 0.0, uncut_accuracy(step), macs(model), {}, fidelity))
    model = rounds.last_model() or model
    while not rounds.ended():
        keras.utils.set_random_seed(step.seed)
        model = strategy.cut(model, len(rounds.curve))
        if model is None:
            break
        course = _retrain(step, model, strategy, lesson, rounds)
        rounds.add(_figures(model, strategy, course, rounds.curve[0].parameters), model)
    return rounds


def write_chosen(step: Step[Any], rounds: Rounds) -> Any:
    """Write the model that is kept, with the answer that is declared; return it."""
    (artifact,) = step.inputs
    model = with_answer(rounds.model(rounds.chosen), artifact.record.output)
    save(model, step.output)
    return model


def _retrain(
    step: Step[Any], model: Any, strategy: Strategy, lesson: Lesson, rounds: Rounds
) -> TrainingHistory:
    """Train what is left of a model."""
    config, number = step.config, len(rounds.curve)
    with strategy.held(model):
        return fit(
            trained_form(model, step.inputs[0].record.output.kind),
            distillation_loss(config.alpha, config.temperature),
            lesson.train,
            lesson.validation,
            config,
            step.seed,
            Checkpoint(step.scratch / "training.npz", f"{rounds.key}, round {number}"),
            partial(_of_all_rounds, step.progress, number, rounds.most),
            lesson.altered,
        )


def _of_all_rounds(
    progress: Progress, number: int, rounds: int, done: int, total: int, what: str
) -> None:
    """Report the progress of one round as that of all."""
    progress((number - 1) * total + done, rounds * total, f"{what}, round {number} of {rounds}")


def _figures(model: Any, strategy: Strategy, training: TrainingHistory, total: int) -> Round:
    left = strategy.parameters(model)
    best = training.epochs[training.best_epoch]
    history, fidelity = history_of(training.epochs), best.get("val_fidelity")
    return Round(left, 1 - left / total, best["val_accuracy"], macs(model), history, fidelity)
