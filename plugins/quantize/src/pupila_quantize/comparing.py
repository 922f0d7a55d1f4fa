"""Sets a quantised flatbuffer beside the float one it was made from, on validation images."""

from __future__ import annotations

from dataclasses import dataclass
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
from pupila.threads import model_threads
from pupila_quantize.calibration import choose_rows

COLLAPSE = 0.05
"""Accuracy lost on the validation images, as a fraction, at which a form is said to collapse."""

_LEAST_PROBABILITY = 1e-7

_MOST_IMAGES = 500
"""Of a larger validation split so many are compared, of every class alike: a form may be tried
once for each layer."""


@dataclass(frozen=True)
class Comparison:
    """What the float model answers to the validation images, to hold other forms against."""

    images: Pixels
    labels: NDArray[np.int64]
    """Column of each image's class, as the model has its columns."""
    expected: NDArray[np.float32]
    """Probabilities `(images, classes)` of the float model, in its own columns."""
    progress: Progress

    @classmethod
    def of(cls, step: Step[Any]) -> Comparison:
        """Ask the float model of a step, unless its answers are kept already.

        Raises:
            PupilaError: there is no data, or no validation image.
        """
        (artifact,) = step.inputs
        validation = _some(step.split("validation"), step.seed)
        classes = list(artifact.record.output.classes)
        columns = [classes.index(name) for name in validation.classes]
        asked = step.predictions.of(artifact, validation, step.progress)
        expected = np.empty_like(asked)
        expected[:, columns] = asked
        return cls(
            images=validation.pixels(artifact.record.input),
            labels=np.array(columns)[validation.labels],
            expected=expected,
            progress=step.progress,
        )

    def with_form(self, flatbuffer: Path, output: OutputSpec) -> FloatComparison:
        """Return how another form of the model does, whose output is of that contract."""
        given = output.probabilities(answers(flatbuffer, self.images, self.progress))
        return FloatComparison(
            validation_images=len(self.labels),
            validation_accuracy=self._accuracy(given),
            float_accuracy=self._accuracy(self.expected),
            agreement=float((given.argmax(-1) == self.expected.argmax(-1)).mean()),
            divergence=_divergence(self.expected, given),
            largest_difference=float(np.abs(given - self.expected).max()),
            tied=ties.tied(given),
            float_tied=ties.tied(self.expected),
        )

    def _accuracy(self, probabilities: NDArray[np.float32]) -> float:
        return float((probabilities.argmax(-1) == self.labels).mean())


def accuracy_lost(comparison: FloatComparison) -> Fraction:
    """Return what a form loses beside the float model: images of all that were compared, exactly.

    Negative where it answers more of them right.
    """
    images = comparison.validation_images
    return exact(comparison.float_accuracy, images) - exact(comparison.validation_accuracy, images)


def with_warning(comparison: FloatComparison, warning: str | None = None) -> Measured:
    """Return a comparison, with a warning beside it where accuracy collapses or answers are tied.

    `warning` is what else there is to say.
    """
    said = (warning, _collapse(comparison), _ties(comparison))
    sentences = " ".join(sentence for sentence in said if sentence)
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
    """Say where quantisation ties images; what is tied in float, the evaluation tells."""
    if comparison.tied <= comparison.float_tied:
        return None
    return ties.warning_of(comparison.tied, comparison.validation_images, "validation images")


def _some(validation: Dataset, seed: int) -> Dataset:
    if len(validation) <= _MOST_IMAGES:
        return validation
    rows = choose_rows(validation, _MOST_IMAGES, seed)
    return Dataset.of(validation.frame.iloc[rows], validation.classes, validation.cache)


def answers(
    flatbuffer: Path, images: NDArray[np.uint8] | Pixels, progress: Progress
) -> NDArray[np.float32]:
    """Return the raw outputs of a flatbuffer `(images, columns)`, dequantised."""
    interpreter = Interpreter(flatbuffer, threads=model_threads())
    return interpreter.predict(images, progress, what="validation images", precision=np.float64)


def _divergence(p: NDArray[np.float32], q: NDArray[np.float32]) -> float:
    """Mean over images of KL(p ‖ q), probabilities `(images, classes)`."""
    true, given = (np.clip(each.astype(np.float64), _LEAST_PROBABILITY, 1) for each in (p, q))
    return float((true * np.log(true / given)).sum(-1).mean())
