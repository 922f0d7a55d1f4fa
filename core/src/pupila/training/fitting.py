"""Trains a model epoch by epoch: cosine decay, early stopping, a checkpoint after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pupila.errors import PupilaError
from pupila.keras_files import import_keras
from pupila.runtime import Progress
from pupila.training.batches import Batches, Images, all_in_order, epoch_batches
from pupila.training.checkpoint import Checkpoint, Course, Figures, assign, snapshot
from pupila.training.loss import Loss, accuracy
from pupila.training.schedule import LARGEST_GRADIENT, Schedule

keras = import_keras()

OneEpoch = Callable[[Batches, Batches], Figures]
"""Trains on the first batches, judges on the second; gives loss, accuracy, val_loss, val_accuracy.

The means are over all images.
"""

_WEIGHT_DECAY = 1e-3


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
) -> Course:
    """Train a Keras 3 model, see `train`."""
    steps = len(epoch_batches(images, 0, seed, schedule.batch_size))
    compile_for(model, loss, images.classes, schedule, steps)
    one_epoch = partial(_one_epoch, model)
    return train(model, one_epoch, images, validation, schedule, seed, checkpoint, progress)


def train(
    trainee: Any,
    one_epoch: OneEpoch,
    images: Images,
    validation: Images,
    schedule: Schedule,
    seed: int,
    checkpoint: Checkpoint,
    progress: Progress,
) -> Course:
    """Train until the last epoch or until patience is over; leave the best epoch in `trainee`.

    That is a model, or what else has `variables`, `trainable_variables` and an `optimizer`. A run
    that was killed goes on after the last epoch that it ended.

    Raises:
        PupilaError: the loss is no longer a number.
    """
    course = checkpoint.restore(trainee)
    judged = all_in_order(validation, schedule.batch_size)
    while _goes_on(course, schedule):
        epoch, started = len(course.history), time.monotonic()
        figures = one_epoch(epoch_batches(images, epoch, seed, schedule.batch_size), judged)
        _check_finite(figures, epoch, schedule)
        course.history.append(figures)
        if course.best_epoch == epoch:
            course.best = snapshot(trainee)
        course.seconds += time.monotonic() - started
        checkpoint.save(trainee, course)
        reached = f"epochs, validation accuracy {figures['val_accuracy']:.3f}"
        progress(epoch + 1, schedule.epochs, reached)
    assign(trainee, course.best)
    return course


def _goes_on(course: Course, schedule: Schedule) -> bool:
    """Tell whether there is another epoch: neither the last one nor patience was reached."""
    done = len(course.history)
    if not done or schedule.patience is None:
        return done < schedule.epochs
    return done < schedule.epochs and done - 1 - course.best_epoch < schedule.patience


def _one_epoch(model: Any, batches: Batches, validation: Batches) -> Figures:
    history = model.fit(batches, validation_data=validation, shuffle=False, verbose=0).history
    return {name: float(values[-1]) for name, values in history.items()}


def _check_finite(figures: Figures, epoch: int, schedule: Schedule) -> None:
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
