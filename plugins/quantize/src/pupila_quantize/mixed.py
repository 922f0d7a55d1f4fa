"""Measures which layers lose accuracy in int8, and chooses the fewest that must stay in float.

The *sensitivity* of a layer is the divergence of the model's answers to validation images when only
that layer is in int8. For a classifier it is KL(float ‖ quantised) in nats; other tasks have their
own. Layers are left in float one by one, the most sensitive first, until the loss of accuracy is
within the budget.

This is the method of Wu et al. 2020, "Integer quantization for deep learning inference: principles
and empirical evaluation", section 6.1, with one difference: their sensitivity is the loss of
accuracy. A divergence needs no labels, and ranks layers even if no image changes its class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pupila.exact import as_written
from pupila.measured import FloatComparison
from pupila_quantize.comparing import accuracy_lost
from pupila_quantize.graph import Layer

Measure = Callable[[Sequence[str]], FloatComparison]
"""Takes scopes of operators (see `pupila_quantize.graph.Layer`), quantises only these operators or
all others, and compares the result with the float model."""


@dataclass(frozen=True)
class Sensitivity:
    """How the model's predictions change if only this layer is in int8."""

    layer: Layer
    divergence: float | None
    """Divergence from the float model's answers; None if it is not finite."""
    accuracy: float
    """Accuracy on the validation images, as a fraction."""


@dataclass(frozen=True)
class Mixture:
    """A choice of layers to leave in float, and the comparison with the float model."""

    in_float: tuple[Layer, ...]
    comparison: FloatComparison
    within_budget: bool


def sensitivities(layers: Sequence[Layer], alone: Measure) -> list[Sensitivity]:
    """Return the sensitivity of every layer, the most sensitive first.

    `alone` is a function that takes the scopes of layers. The function must quantise only these
    layers, and compare the result with the float model. Each call has the scope of one layer.
    """
    measured: list[Sensitivity] = []
    for layer in layers:
        comparison = alone([layer.scope])
        measured.append(Sensitivity(layer, comparison.divergence, comparison.validation_accuracy))
    return sorted(measured, key=_sensitivity, reverse=True)


def _sensitivity(layer: Sensitivity) -> float:
    return math.inf if layer.divergence is None else layer.divergence


def choose(ranked: Sequence[Sensitivity], without: Measure, budget: float) -> Mixture:
    """Return the mixture with the fewest layers in float that loses at most `budget` of accuracy.

    Layers are left in float in the order of `ranked`. `budget` is a fraction of the validation
    images. `without` is a function that takes the scopes of the layers that stay in float. The
    function must quantise all other layers, and compare the result with the float model. If no
    mixture is within the budget, the mixture with the best accuracy is returned. If several
    mixtures have the best accuracy, the one with the fewest layers in float is returned.
    """
    best: Mixture | None = None
    for count in range(len(ranked) + 1):
        in_float = tuple(sensitivity.layer for sensitivity in ranked[:count])
        comparison = without([layer.scope for layer in in_float])
        within_budget = accuracy_lost(comparison) <= as_written(budget)
        mixture = Mixture(in_float, comparison, within_budget)
        if mixture.within_budget:
            return mixture
        if best is None or accuracy_lost(mixture.comparison) < accuracy_lost(best.comparison):
            best = mixture
    if best is None:
        raise ValueError("no mixture was tried")
    return best
