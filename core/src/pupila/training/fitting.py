"""Trains a model epoch by epoch: cosine decay, early stopping, a checkpoint after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.keras_files import import_keras
from pupila.runtime import Progress
from pupila.training.altered import Altered
from pupila.training.average import Average
from pupila.training.batches import Batches, Images, all_in_order, epoch_batches
from pupila.training.checkpoint import Checkpoint, EpochMetrics, TrainingHistory, assign, snapshot
from pupila.training.loss import Loss, accuracy
from pupila.training.schedule import LARGEST_GRADIENT, WEIGHT_DECAY, LearningRate, Schedule

keras = import_keras()


AfterStep = Callable[[], None]
"""A function that is called after each training step."""


class Trainee(Protocol):
    """A model in training, which can learn, be evaluated and predict."""

    @property
    def variables(self) -> list[Any]: ...

    @property
    def trainable_variables(self) -> list[Any]: ...

    @property
    def optimizer(self) -> Any: ...

    def learn(self, batches: Batches, after_step: AfterStep) -> EpochMetrics:
        """Take one training step per batch; return `loss` and `accuracy`, means over all images.

        Call `after_step` after each step.
        """
        ...

    def evaluate(self, batches: Batches) -> EpochMetrics:
        """Return `val_loss` and `val_accuracy`, means over all images."""
        ...

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits `(images, classes)` of pictures `(images, height, width, 3)`."""
        ...


def optimizer(schedule: Schedule, steps: int) -> Any:
    """Return the optimizer AdamW with the learning rate of `LearningRate`.

    `steps` is the number of steps in an epoch.
    """
    rate = keras.optimizers.schedules.CosineDecay(**LearningRate.of(schedule, steps).of_keras())
    return keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, clipnorm=LARGEST_GRADIENT)


def compile_for(model: Any, loss: Loss, right: Loss, schedule: Schedule, steps: int) -> None:
    """Compile a model with a loss, an optimizer and the metric accuracy: the mean of `right`.

    `steps` is the number of steps in an epoch. Compilation by XLA is off: on a CPU, it makes these
    nets two to twenty times slower (measured).
    """
    metric = keras.metrics.MeanMetricWrapper(right, name="accuracy")
    model.compile(optimizer(schedule, steps), loss, metrics=[metric], jit_compile=False)


def fit(
    model: Any,
    loss: Loss,
    images: Images,
    validation: Images,
    schedule: Schedule,
    seed: int,
    checkpoint: Checkpoint,
    progress: Progress,
    altered: Altered | None = None,
    right: Loss | None = None,
) -> TrainingHistory:
    """Compile and train a Keras 3 model, as `train` does.

    `right` tells which images are answered right; by default, as a classifier answers them.
    """
    steps = len(epoch_batches(images, 0, seed, schedule.batch_size))
    compile_for(model, loss, right or accuracy(images.classes), schedule, steps)
    values = altered.output.columns if altered else images.classes
    trainee = _KerasTrainee(model, values, schedule.batch_size)
    return train(trainee, images, validation, schedule, seed, checkpoint, progress, altered)


def train(
    trainee: Trainee,
    images: Images,
    validation: Images,
    schedule: Schedule,
    seed: int,
    checkpoint: Checkpoint,
    progress: Progress,
    altered: Altered | None = None,
) -> TrainingHistory:
    """Train to the last epoch, or stop early, and return the history.

    At the end, `trainee` has the weights of the best epoch. The best epoch is the epoch with the
    lowest validation loss. With `altered`, it is the epoch with the highest fidelity on the altered
    images. If the schedule averages weights, the averaged weights are evaluated and kept. A killed
    run resumes after the last epoch that it finished.

    Raises:
        PupilaError: the loss is no longer a number.
    """
    average = Average(trainee.variables, schedule.average) if schedule.average else None
    history = checkpoint.restore(trainee, average)
    validation_batches = all_in_order(validation, schedule.batch_size)
    while _has_next_epoch(history, schedule):
        epoch, started = len(history.epochs), time.monotonic()
        batches = epoch_batches(images, epoch, seed, schedule.batch_size)
        metrics = trainee.learn(batches, average.update if average else _do_nothing)
        with average.in_place() if average else nullcontext():
            metrics |= trainee.evaluate(validation_batches)
            _check_finite(metrics, epoch, schedule)
            if altered:
                metrics["val_fidelity"] = altered.fidelity(trainee.answer(altered.pictures))
            history.epochs.append(metrics)
            if history.best_epoch == epoch:
                history.best = snapshot(trainee)
        history.seconds += time.monotonic() - started
        checkpoint.save(trainee, history, average)
        progress(epoch + 1, schedule.epochs, _describe(metrics))
    assign(trainee, history.best)
    return history


@dataclass(frozen=True)
class _KerasTrainee:
    """A compiled Keras model whose first output values are the answer, such as logits."""

    model: Any
    values: int
    batch_size: int

    @property
    def variables(self) -> list[Any]:
        return self.model.variables

    @property
    def trainable_variables(self) -> list[Any]:
        return self.model.trainable_variables

    @property
    def optimizer(self) -> Any:
        return self.model.optimizer

    def learn(self, batches: Batches, after_step: AfterStep) -> EpochMetrics:
        def on_batch_end(batch: int, logs: Any) -> None:
            after_step()

        callback = keras.callbacks.LambdaCallback(on_train_batch_end=on_batch_end)
        callbacks = [] if after_step is _do_nothing else [callback]
        history = self.model.fit(batches, shuffle=False, verbose=0, callbacks=callbacks).history
        return {name: float(values[-1]) for name, values in history.items()}

    def evaluate(self, batches: Batches) -> EpochMetrics:
        metrics = self.model.evaluate(batches, verbose=0, return_dict=True)
        return {f"val_{name}": float(value) for name, value in metrics.items()}

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self.model.predict(pictures, batch_size=self.batch_size, verbose=0)
        return outputs.reshape(len(pictures), -1)[:, : self.values]


def _do_nothing() -> None:
    pass


def _has_next_epoch(history: TrainingHistory, schedule: Schedule) -> bool:
    """Whether training goes on: epochs are left and patience is not exhausted."""
    done = len(history.epochs)
    if not done or schedule.patience is None:
        return done < schedule.epochs
    return done < schedule.epochs and done - 1 - history.best_epoch < schedule.patience


def _describe(metrics: EpochMetrics) -> str:
    """Return the text that the progress display shows after an epoch."""
    text = f"epochs, validation accuracy {metrics['val_accuracy']:.3f}"
    fidelity = metrics.get("val_fidelity")
    return text if fidelity is None else f"{text}, fidelity {fidelity:.3f}"


def _check_finite(metrics: EpochMetrics, epoch: int, schedule: Schedule) -> None:
    """Check the losses of epoch `epoch` (from 0).

    Raises:
        PupilaError: a loss is no longer a number.
    """
    broken = [name for name in ("loss", "val_loss") if not math.isfinite(metrics[name])]
    if broken:
        raise PupilaError(
            f"Training broke down in epoch {epoch + 1} of {schedule.epochs}: {broken[0]} is "
            f"{metrics[broken[0]]!r}. Lower `learning_rate` (it is {schedule.learning_rate!r}), or "
            f"raise `batch_size` (it is {schedule.batch_size!r})."
        )
