"""What a model is retrained on after a change, such as pruning: its labels, and its own answers.

Columns of labels and answers are in the order of the model's own classes (or other names).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pupila.dataset import Dataset
from pupila.step import Step
from pupila.task import methods_of
from pupila.training.altered import Altered, altered_for
from pupila.training.batches import Images
from pupila.training.loss import Loss
from pupila.training.targets import pack_targets
from pupila.training.task import training_of
from pupila.views import AS_IS


@dataclass(frozen=True)
class RetrainingTargets:
    """Images with targets for retraining the model of a step, and the loss on these targets."""

    train: Images
    """Training images, with labels and the unchanged model's answers for each augmented view."""
    validation: Images
    altered: Altered | None
    """Altered images, if epochs are chosen by fidelity to the unchanged model; otherwise None."""
    loss: Loss
    right: Loss
    """A metric that is 1 for each image that is answered right, else 0."""

    @classmethod
    def of(cls, step: Step[Any]) -> RetrainingTargets:
        """Run the step's one model on all views of the training images, and on validation images.

        The model may be no better than chance. The step's settings are those of
        `pupila.training.schedule.SoftTargets` and `Schedule`.

        Raises:
            PupilaError: the model's classes are not those of the data, or its answers are not
                finite.
        """
        (model,), config = step.inputs, step.config
        train, validation = own_order(step, "train"), own_order(step, "validation")
        training, size = training_of(train), model.record.input
        taught = training.teach(
            replace(step, unproven=True),
            train,
            validation,
            weights=[1.0],
            temperature=config.temperature,
        )
        labels = training.labels_of_views(train, config.augmentation)
        views = [
            pack_targets(of_view, answers)
            for of_view, answers in zip(labels, taught.views, strict=True)
        ]
        own = pack_targets(training.labels(validation), taught.validation)
        return cls(
            train=Images.of(train, size, views, config.augmentation),
            validation=Images.of(validation, size, [own], AS_IS),
            altered=altered_for(step, size, model.record.output.in_training),
            loss=training.distillation_loss(
                [model.record.output], config.alpha, config.temperature
            ),
            right=training.right(),
        )


def own_order(step: Step[Any], split: str) -> Dataset:
    """Return the images of a split, with the classes in the order of the step's one model.

    Raises:
        PupilaError: the model's classes are not those of the data.
    """
    (model,), images = step.inputs, step.split(split)
    own = model.record.output.classes
    methods_of(images.task).columns_of(own, images.classes)  # raises if they are not
    return replace(images, classes=own)
