"""The strategy of weight pruning: sets weights to 0 in rounds, and keeps them at 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from pupila import PupilaError, Step
from pupila.measured import WeightSparsity
from pupila_prune.config import MagnitudePruning, WeightPruning
from pupila_prune.constraints import MaskConstraint, keep_zeros
from pupila_prune.heads import training_form
from pupila_prune.kernels import (
    Kernel,
    kernels_of,
    nonzero_parameters,
    sparsity,
    sparsity_by_kernel,
)
from pupila_prune.masks import (
    Masks,
    Scores,
    has_groups,
    masks_across_layers,
    masks_per_layer,
    sparsity_after,
    two_of_four,
)
from pupila_prune.rebuild import copy_model
from pupila_prune.synflow import synflow_masks
from pupila_prune.training_targets import ranking_batches
from pupila_prune.weight_saliency import magnitude, obd

MaskRule = Callable[[Any, Sequence[Kernel], float], Masks]
"""Takes a model, its kernels and a sparsity; returns masks of the weights to keep."""

_MAX_IMAGES = 128
"""Largest number of training images that measure curvature for `prune-obd`; the seed chooses them
at random. Each image needs a backward pass for each class."""


class WeightStrategy:
    """The strategy of `prune-magnitude`, `prune-obd` and `prune-synflow`."""

    def __init__(self, name: str, config: WeightPruning, model: Any, rule: MaskRule) -> None:
        self.name, self.rounds = name, config.rounds
        self._rule, self._final = rule, config.sparsity
        self._is_patterned = isinstance(config, MagnitudePruning) and config.pattern is not None
        self._initial = sparsity(model)
        if self._initial >= self._final and not self._is_patterned:
            raise PupilaError(
                f"Of the model's kernels {self._initial:.4g} are 0 already, and `sparsity` is "
                f"{self._final:.4g}: nothing is to be cut. Raise `sparsity`, or leave the step out."
            )

    def cut(self, model: Any, number: int) -> Any:
        model = copy_model(model)
        kernels = kernels_of(model)
        target = sparsity_after(self._initial, self._final, number, self.rounds)
        for kernel, keep in zip(kernels, self._rule(model, kernels, target), strict=True):
            kernel.variable.assign(MaskConstraint(keep)(kernel.variable.value))
        return model

    def keep_cut(self, model: Any) -> AbstractContextManager[None]:
        return keep_zeros(model)

    def parameters(self, model: Any) -> int:
        return nonzero_parameters(model)

    def measured(self, model: Any) -> WeightSparsity:
        """Return the sparsity of all kernels together, and of each kernel."""
        by_kernel = {name: round(value, 4) for name, value in sparsity_by_kernel(model).items()}
        result = WeightSparsity(sparsity=round(sparsity(model), 4), sparsity_by_kernel=by_kernel)
        if not self._is_patterned:
            return result
        dense = tuple(kernel.name for kernel in kernels_of(model) if not has_groups(kernel))
        return result.model_copy(update={"kept_dense": dense})


def by_magnitude(config: MagnitudePruning) -> MaskRule:
    """Return a rule that cuts the smallest weights.

    The settings `config` decide among which weights the rule looks for the smallest: in each kernel
    separately, in all kernels together, or in every four successive weights, of which it cuts two.
    """

    def masks(model: Any, kernels: Sequence[Kernel], target: float) -> Masks:
        scores = _zeros_first(kernels, magnitude(kernels))
        if config.pattern:
            return [_pattern_mask(k, s) for k, s in zip(kernels, scores, strict=True)]
        choose = masks_per_layer if config.scope == "layer" else masks_across_layers
        return choose(scores, target)

    return masks


def by_obd(step: Step[WeightPruning]) -> MaskRule:
    """Return a rule that cuts the weights whose removal raises the loss least."""

    def masks(model: Any, kernels: Sequence[Kernel], target: float) -> Masks:
        form = training_form(model, step.inputs[0].record.output)
        scores = obd(form, kernels, ranking_batches(step, _MAX_IMAGES, batch_size=1))
        return masks_across_layers(_zeros_first(kernels, scores), target)

    return masks


by_synflow: MaskRule = synflow_masks
"""Rule that cuts the weights with the least synaptic flow (see `pupila_prune.synflow`)."""


def _pattern_mask(kernel: Kernel, scores: Any) -> Any:
    return two_of_four(kernel, scores) if has_groups(kernel) else np.ones(scores.shape, bool)


def _zeros_first(kernels: Sequence[Kernel], scores: Scores) -> Scores:
    """Return scores in which weights of 0 have the lowest score, so that they are cut first."""
    return [np.where(k.values == 0, -1, s) for k, s in zip(kernels, scores, strict=True)]
