"""Compares a quantised flatbuffer with its float original on validation images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec, Progress, Step, ties
from pupila.arrays import Pixels
from pupila.exact import as_written, exact
from pupila.litert.interpreter import Interpreter
from pupila.measured import FloatComparison, Measured, PluginWarning
from pupila.task import TaskMethods, Truths, answers_of_outputs, methods_of
from pupila.threads import model_threads
from pupila_quantize.calibration import choose_rows

COLLAPSE = 0.05
"""Smallest loss of validation accuracy, as a fraction, that counts as a collapse."""

_MAX_IMAGES = 500
"""Most validation images in a comparison, chosen evenly from the classes: `quantize-mixed`
compares once for each layer."""


@dataclass(frozen=True)
class FloatReference:
    """The float model's predictions for the validation images, for comparing quantised models."""

    images: Pixels
    classes: tuple[str, ...]
    """Names of the model's classes, in the order of its columns."""
    task: TaskMethods
    truths: Truths
    """What the labels say, with classes in the model's order."""
    expected: NDArray[np.float32]
    """Answers of the float model `(images, columns)`, columns in the model's order."""
    progress: Progress

    @classmethod
    def of(cls, step: Step[Any]) -> FloatReference:
        """Return the predictions of the step's input model, from the cache or computed now.

        Raises:
            PupilaError: the step has no data, or no validation images.
        """
        (artifact,) = step.inputs
        validation = _sample(step.split("validation"), step.seed)
        answers = step.predictions.of(artifact, validation, step.progress)
        task, own = methods_of(validation.task), artifact.record.output.classes
        return cls(
            images=validation.pixels(artifact.record.input),
            classes=own,
            task=task,
            truths=task.truths(replace(validation, classes=own)),
            expected=answers[:, task.columns_of(validation.classes, own)],
            progress=step.progress,
        )

    def compare(self, flatbuffer: Path, output: OutputSpec) -> FloatComparison:
        """Compare a quantised flatbuffer with the float model; `output` is its output spec."""
        actual = answers_of_outputs(output, predict(flatbuffer, self.images, self.progress))
        return FloatComparison(
            validation_images=len(self.truths),
            validation_accuracy=self._accuracy(actual),
            float_accuracy=self._accuracy(self.expected),
            agreement=float(self.task.same(actual, self.expected).mean()),
            divergence=float(self.task.divergence(actual, self.expected).mean()),
            largest_difference=float(np.abs(actual - self.expected).max()),
            tied=self.task.tied(actual),
            float_tied=self.task.tied(self.expected),
        )

    def _accuracy(self, answers: NDArray[np.float32]) -> float:
        return float(self.task.right(answers, self.truths, self.classes).mean())


def accuracy_lost(comparison: FloatComparison) -> Fraction:
    """Return how much validation accuracy quantisation has lost, as an exact number.

    Accuracy is a fraction of the images. The loss is negative if the quantised model is better than
    the float model.
    """
    images = comparison.validation_images
    return exact(comparison.float_accuracy, images) - exact(comparison.validation_accuracy, images)


def add_warning(comparison: FloatComparison, warning: str | None = None) -> Measured:
    """Return a comparison together with its warnings, if any.

    `warning` is a warning of the caller. A second warning is added if accuracy has collapsed. A
    third warning is added if more images than in the float model share the highest probability of a
    class (see `pupila.ties`).
    """
    warnings = (warning, _collapse(comparison), _ties(comparison))
    sentences = " ".join(sentence for sentence in warnings if sentence)
    return Measured(comparison, PluginWarning(warning=sentences) if sentences else {})


def _collapse(comparison: FloatComparison) -> str | None:
    if accuracy_lost(comparison) < as_written(COLLAPSE):
        return None
    return (
        f"Accuracy falls from {comparison.float_accuracy:.3f} in float to "
        f"{comparison.validation_accuracy:.3f} on {comparison.validation_images} validation "
        f"images. quantize-mixed finds the layers that lose it; quantize-int16x8 loses less."
    )


def _ties(comparison: FloatComparison) -> str | None:
    """Return a warning if more images share the highest probability than in the float model."""
    if comparison.tied <= comparison.float_tied:
        return None
    return ties.warning_of(comparison.tied, comparison.validation_images, "validation images")


def _sample(validation: Dataset, seed: int) -> Dataset:
    if len(validation) <= _MAX_IMAGES:
        return validation
    rows = choose_rows(validation, _MAX_IMAGES, seed)
    frame = validation.frame.iloc[rows]
    return Dataset.of(frame, validation.classes, validation.cache, validation.task)


def predict(
    flatbuffer: Path, images: NDArray[np.uint8] | Pixels, progress: Progress
) -> NDArray[np.float32]:
    """Return the raw, dequantised outputs `(images, columns)` of a flatbuffer.

    `images` are RGB images `(images, height, width, 3)`.
    """
    interpreter = Interpreter(flatbuffer, threads=model_threads())
    return interpreter.predict(images, progress, what="validation images", precision=np.float64)
