"""Model soups: one model whose weights are the mean of several.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", recipe 1 for the greedy soup.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from average_weights import AverageWeights
from average_weights.results import Soup
from pupila import Artifact, Dataset, PupilaError, Step, StepResult, keras_files
from pupila.digest import short_digest
from pupila.measured import Measured
from pupila.task import answers_of_outputs

Weights = list[NDArray[np.float32]]

_BATCH_IMAGES = 32


def average(step: Step[AverageWeights]) -> StepResult:
    """Write the mean of `step.inputs`, or of those that help, as one model."""
    for other in step.inputs[1:]:
        _check_same_spec(step.inputs[0], other)
    models = [keras_files.load(artifact) for artifact in step.inputs]
    for number, model in enumerate(models[1:], start=2):
        _check_same_architecture(models[0], model, number)
    weights = [model.get_weights() for model in models]
    validation = step.split("validation")
    alone = [_accuracy_alone(step, artifact, validation) for artifact in step.inputs]
    if step.config.choice == "uniform":
        chosen = list(range(len(models)))
    else:
        chosen = _greedy(step, models[0], weights, alone, validation)
    models[0].set_weights(_mean([weights[number] for number in chosen]))
    keras_files.save(models[0], step.output)
    return StepResult.like(
        step.inputs[0],
        format="keras",
        measured=Measured(
            Soup(
                ingredients=tuple(step.inputs[number].digest for number in chosen),
                validation_accuracy=_accuracy(models[0], step.inputs[0], validation),
                validation_accuracy_of_inputs=tuple(alone),
                validation_images=len(validation),
            )
        ),
    )


def _greedy(
    step: Step[AverageWeights],
    model: Any,
    weights: list[Weights],
    alone: list[float],
    validation: Dataset,
) -> list[int]:
    """Return which inputs to average: from the best on, each that does not lower the accuracy.

    The weights of `model` are overwritten.
    """
    best_first = sorted(range(len(weights)), key=lambda number: -alone[number])
    chosen, reached = best_first[:1], alone[best_first[0]]
    for turn, number in enumerate(best_first[1:], start=1):
        model.set_weights(_mean([weights[member] for member in [*chosen, number]]))
        accuracy = _accuracy(model, step.inputs[0], validation)
        if accuracy >= reached:
            chosen, reached = [*chosen, number], accuracy
        step.progress(turn, len(weights) - 1, "models tried")
    return chosen


def _mean(weights: list[Weights]) -> Weights:
    return [np.mean(same, axis=0) for same in zip(*weights, strict=True)]


def _accuracy_alone(step: Step[AverageWeights], artifact: Artifact, images: Dataset) -> float:
    answers = step.predictions.of(artifact, images, step.progress)
    return float((answers.argmax(axis=1) == images.labels).mean())


def _accuracy(model: Any, artifact: Artifact, images: Dataset) -> float:
    """Return the accuracy of a model with the input and output of `artifact`."""
    output = artifact.record.output
    columns = [output.classes.index(name) for name in images.classes]
    pixels, hits = images.pixels(artifact.record.input), 0
    for start in range(0, len(images), _BATCH_IMAGES):
        rows = slice(start, start + _BATCH_IMAGES)
        outputs = np.asarray(model(pixels[rows].astype(np.float32), training=False))
        answers = answers_of_outputs(output, outputs)[:, columns].argmax(axis=1)
        hits += int((answers == images.labels[rows]).sum())
    return hits / len(images)


def _check_same_spec(first: Artifact, other: Artifact) -> None:
    for part in ("input", "output"):
        ours, theirs = getattr(first.record, part), getattr(other.record, part)
        if ours != theirs:
            raise PupilaError(
                f"average-weights cannot mix models of different {part}: "
                f"{short_digest(first.digest)} has {ours!r}, {short_digest(other.digest)} has "
                f"{theirs!r}. Give it fine-tunings of one model."
            )


def _check_same_architecture(first: Any, other: Any, number: int) -> None:
    """Check that the kinds of layers, in order, and the shapes of all weights are the same."""
    ours, theirs = _architecture(first), _architecture(other)
    if ours == theirs:
        return
    differing = next(
        (pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]),
        (f"{len(ours)} layers and weights", f"{len(theirs)}"),
    )
    raise PupilaError(
        f"average-weights cannot mix architectures: input 1 has {differing[0]} where input "
        f"{number} has {differing[1]}. Give it fine-tunings of one model."
    )


def _architecture(model: Any) -> list[str]:
    layers = [type(layer).__name__ for layer in model.layers]
    return layers + [f"weights of shape {tuple(weight.shape)}" for weight in model.weights]
