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
from pupila.training.schedule import LARGEST_GRADIENT, Schedule

keras = import_keras()

_WEIGHT_DECAY = 1e-3


AfterStep = Callable[[], None]
"""Called after each step of training."""


class Trainee(Protocol):
    """What is trained: a model, its optimizer, and how it learns and answers."""

    @property
    def variables(self) -> list[Any]: ...

    @property
    def trainable_variables(self) -> list[Any]: ...

    @property
    def optimizer(self) -> Any: ...

    def learn(self, batches: Batches, after_step: AfterStep) -> EpochMetrics:
        """Take a step for each batch; return `loss` and `accuracy`, means over all images."""
        ...

    def evaluate(self, batches: Batches) -> EpochMetrics:
        """Return `val_loss` and `val_accuracy`, means over all images."""
        ...

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits `(images, classes)` of pictures `(images, height, width, 3)`."""
        ...


def optimizer(schedule: Schedule, steps: int) -> Any:
    """Return AdamW for epochs of `steps` steps: its rate rises for one epoch, then falls to 0.

    The fall is a cosine: Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts.
    """
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.learning_rate / 10,
        decay_steps=max(1, (schedule.epochs - 1) * steps),
        warmup_target=schedule.learning_rate,
        warmup_steps=steps,
    )
    return keras.optimizers.AdamW(rate, weight_decay=_WEIGHT_DECAY, clipnorm=LARGEST_GRADIENT)


def compile_for(model: Any, loss: Loss, classes: int, schedule: Schedule, steps: int) -> None:
    """Give a model its loss, optimizer and accuracy.

    Compilation by XLA is off: on a CPU it makes these nets two to twenty times slower (measured).
    """
    metric = keras.metrics.MeanMetricWrapper(accuracy(classes), name="accuracy")
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
) -> TrainingHistory:
    """Train a Keras 3 model, see `train`."""
    steps = len(epoch_batches(images, 0, seed, schedule.batch_size))
    compile_for(model, loss, images.classes, schedule, steps)
    trainee = _Compiled(model, images.classes, schedule.batch_size)
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
    """Train until the last epoch or until patience is over; leave the best epoch in `trainee`.

    The best is that of the lowest validation loss, or with `altered` that of the highest fidelity
    on those images; what is judged and kept is the mean of the weights where the schedule says so.
    A run that was killed goes on after the last epoch that it ended.

    Raises:
        PupilaError: the loss is no longer a number.
    """
    average = Average(trainee.variables, schedule.average) if schedule.average else None
    course = checkpoint.restore(trainee, average)
    judged = all_in_order(validation, schedule.batch_size)
    while _goes_on(course, schedule):
        epoch, started = len(course.history), time.monotonic()
        batches = epoch_batches(images, epoch, seed, schedule.batch_size)
        figures = trainee.learn(batches, average.update if average else _nothing)
        with average.in_place() if average else nullcontext():
            figures |= trainee.evaluate(judged)
            _check_finite(figures, epoch, schedule)
            if altered:
                figures["val_fidelity"] = altered.fidelity(trainee.answer(altered.pictures))
            course.history.append(figures)
            if course.best_epoch == epoch:
                course.best = snapshot(trainee)
        course.seconds += time.monotonic() - started
        checkpoint.save(trainee, course, average)
        progress(epoch + 1, schedule.epochs, _reached(figures))
    assign(trainee, course.best)
    return course


@dataclass(frozen=True)
class _Compiled:
    """A compiled Keras model, whose first columns are the logits of the classes."""

    model: Any
    classes: int
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
        def ended(batch: int, logs: Any) -> None:
            after_step()

        callback = keras.callbacks.LambdaCallback(on_train_batch_end=ended)
        called = [] if after_step is _nothing else [callback]
        history = self.model.fit(batches, shuffle=False, verbose=0, callbacks=called).history
        return {name: float(values[-1]) for name, values in history.items()}

    def evaluate(self, batches: Batches) -> EpochMetrics:
        found = self.model.evaluate(batches, verbose=0, return_dict=True)
        return {f"val_{name}": float(value) for name, value in found.items()}

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self.model.predict(pictures, batch_size=self.batch_size, verbose=0)
        return outputs[:, : self.classes]


def _nothing() -> None:
    """Do nothing after a step."""


def _goes_on(course: TrainingHistory, schedule: Schedule) -> bool:
    """Tell whether there is another epoch: neither the last one nor patience was reached."""
    done = len(course.history)
    if not done or schedule.patience is None:
        return done < schedule.epochs
    return done < schedule.epochs and done - 1 - course.best_epoch < schedule.patience


def _reached(figures: EpochMetrics) -> str:
    """Say what an epoch came to."""
    said = f"epochs, validation accuracy {figures['val_accuracy']:.3f}"
    fidelity = figures.get("val_fidelity")
    return said if fidelity is None else f"{said}, fidelity {fidelity:.3f}"


def _check_finite(figures: EpochMetrics, epoch: int, schedule: Schedule) -> None:
    """Look at what epoch `epoch` (from 0) came to.

    Raises:
        PupilaError: a loss is no longer a number.
    """
    broken = [name for name in ("loss", "val_loss") if not math.isfinite(figures[name])]
    if broken:
        raise PupilaError(
            f"Training broke down in epoch {epoch + 1} of {schedule.epochs}: {broken[0]} is "
            f"{figures[broken[0]]!r}. Lower `learning_rate` (it is {schedule.learning_rate!r}), or "
            f"raise `batch_size` (it is {schedule.batch_size!r})."
        )
