"""Which layers lose accuracy in int8, and the fewest of them that must stay in float.

The *sensitivity* of a layer is the divergence of the model's answers, KL(float ‖ quantised) in
nats over validation images, when that layer alone is in int8 (Wu et al. 2020, "Integer
quantization for deep learning inference: principles and empirical evaluation", section 6.1, take
the loss of accuracy; a divergence needs no labels, and tells layers apart where no image changes
its class). As there, layers are left in float one by one, the most sensitive first, until the loss
of accuracy is within the budget.
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
"""From scopes to how the model does when they are treated so."""


@dataclass(frozen=True)
class Sensitivity:
    """What a layer does to the answers when it alone is in int8."""

    layer: Layer
    divergence: float | None
    """None where the answers are no numbers any more."""
    accuracy: float


@dataclass(frozen=True)
class Mixture:
    """The layers left in float, and what that came to."""

    in_float: tuple[Layer, ...]
    comparison: FloatComparison
    within: bool


def sensitivities(layers: Sequence[Layer], alone: Measure) -> list[Sensitivity]:
    """Measure every layer, and return the most sensitive first; `alone` is given one scope."""
    found: list[Sensitivity] = []
    for layer in layers:
        comparison = alone([layer.scope])
        found.append(Sensitivity(layer, comparison.divergence, comparison.validation_accuracy))
    return sorted(found, key=_sensitivity, reverse=True)


def _sensitivity(layer: Sensitivity) -> float:
    return math.inf if layer.divergence is None else layer.divergence


def choose(ranked: Sequence[Sensitivity], without: Measure, budget: float) -> Mixture:
    """Leave layers in float until at most `budget` of accuracy is lost, a fraction.

    `without` is given the scopes in float. Where no number of layers is enough, the mixture of the
    best accuracy is returned, of equal ones that with the fewest in float.
    """
    best: Mixture | None = None
    for count in range(len(ranked) + 1):
        kept = tuple(each.layer for each in ranked[:count])
        comparison = without([layer.scope for layer in kept])
        within = accuracy_lost(comparison) <= as_written(budget)
        tried = Mixture(kept, comparison, within)
        if tried.within:
            return tried
        if best is None or accuracy_lost(tried.comparison) < accuracy_lost(best.comparison):
            best = tried
    if best is None:
        raise ValueError("no mixture was tried")
    return best
