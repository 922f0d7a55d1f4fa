"""Settings that every training has: its length, its learning rate, and which epoch is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field

from pupila.errors import PupilaError
from pupila.plugin import Config, Task
from pupila.views import Augmentation

LARGEST_GRADIENT = 1.0
"""Norm to which every trainer clips the gradient of each variable separately, in each step.

The gradients of a net with normalisation vary widely in its first steps. This is Keras' `clipnorm`,
not the norm of all gradients together (`global_clipnorm`; Pascanu et al. 2013, algorithm 1).
"""

WEIGHT_DECAY = 1e-3
"""Weight decay of AdamW."""


class Schedule(Config):
    """Settings of a training: how long it lasts, how fast it learns, and on which pictures."""

    epochs: int = Field(default=40, ge=1, description="Passes over the training images, at most.")
    batch_size: int = Field(default=32, ge=1, description="Images of one training step.")
    learning_rate: float = Field(
        default=6e-3, gt=0, le=1, description="Highest rate of AdamW, which falls to 0 by a cosine."
    )
    patience: int | None = Field(
        default=15,
        ge=1,
        description="Epochs without a better one on the validation images after which training "
        "stops; with null it never stops early.",
    )
    average: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Evaluate and keep the running mean of the weights over the steps. Each step "
        "counts this fraction of the next one: 0.99 averages about the last 100 steps. With null "
        "weights are not averaged.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(), description="How far the views of an image may be from it."
    )

    def for_task(self, task: Task) -> Self:
        if self.augmentation.mixup and not task.mixable:
            raise PupilaError(
                f"`mixup` is {self.augmentation.mixup:g}, but a mixture of two pictures has no "
                f"label in the task {task.name!r}: leave it out."
            )
        return super().for_task(task)


@dataclass(frozen=True)
class LearningRate:
    """A learning rate that rises linearly in the first epoch, then falls to 0 along a cosine.

    The decay is equation 5 of Loshchilov and Hutter 2017, "SGDR", without restarts.
    """

    initial: float
    highest: float
    warm_up_steps: int
    decay_steps: int

    @classmethod
    def of(cls, schedule: Schedule, steps: int) -> LearningRate:
        """Return the learning rate of a schedule whose epochs have `steps` steps."""
        return cls(
            initial=schedule.learning_rate / 10,
            highest=schedule.learning_rate,
            warm_up_steps=steps,
            decay_steps=max(1, (schedule.epochs - 1) * steps),
        )

    def at(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        if step < self.warm_up_steps:
            return self.initial + (self.highest - self.initial) * step / self.warm_up_steps
        fraction = min(1.0, (step - self.warm_up_steps) / self.decay_steps)
        return self.highest * 0.5 * (1 + math.cos(math.pi * fraction))

    def of_keras(self) -> dict[str, float]:
        """Return the arguments of Keras' `CosineDecay`, the same in Keras 2 and Keras 3."""
        return {
            "initial_learning_rate": self.initial,
            "decay_steps": self.decay_steps,
            "warmup_target": self.highest,
            "warmup_steps": self.warm_up_steps,
        }


class SoftTargets(Config):
    """Settings of a training that learns from labels and from another model's answers."""

    alpha: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Weight of the labels, 1: only labels. The rest is that of the answers of the "
        "teacher, or of the model before it was pruned or quantised.",
    )
    temperature: float = Field(
        default=4.0,
        gt=0,
        description="Softens the answers of both models; 1 leaves them as they are.",
    )


class EpochChoice(Config):
    """Setting of a training with a teacher: how the epoch to keep is chosen."""

    choose_by: Literal["loss", "fidelity"] = Field(
        default="loss",
        description="Which epoch is kept. loss: that of the lowest loss on the validation images; "
        "fidelity: that whose answers to altered validation images are most like the teacher's "
        "(the shift suite's value there).",
    )

    def check_inputs(self, count: int) -> None:
        super().check_inputs(count)
        if self.choose_by == "fidelity":
            check_one_teacher("`choose_by` is 'fidelity'", count)


def check_one_teacher(setting: str, teachers: int) -> None:
    """Make sure that a step that chooses by fidelity has only one teacher.

    `setting` says in the message which setting chooses by fidelity; `teachers` is the number of
    teachers.

    Raises:
        PupilaError: there are several teachers.
    """
    if teachers > 1:
        raise PupilaError(
            f"{setting}, which means fidelity to one teacher, but `from` has {teachers}: give one, "
            f"or choose by `loss`."
        )
