"""Sets weights to 0 by a schedule, and keeps them 0 while the others are retrained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from pupila import PupilaError, Step
from pupila.measured import WeightSparsity
from pupila_prune.config import MagnitudePruning, WeightPruning
from pupila_prune.constraints import Masked, zeros_held
from pupila_prune.heads import trained_form
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
    among_all,
    has_groups,
    scheduled,
    two_of_four,
    within_layers,
)
from pupila_prune.rebuild import copy_of
from pupila_prune.synflow import synflow_masks
from pupila_prune.training_targets import ranking_batches
from pupila_prune.weight_saliency import magnitude, obd

Cut = Callable[[Any, Sequence[Kernel], float], Masks]
"""Of a model, its kernels and a sparsity: which weights are kept. None that is 0 already is."""

_MOST_SEEN = 128
"""Training images by which curvature is measured, at most, drawn anew for each seed: each takes a
backward pass for each class."""


class Weights:
    """The strategy of `prune-magnitude`, `prune-obd` and `prune-synflow`."""

    def __init__(self, name: str, config: WeightPruning, model: Any, cut: Cut) -> None:
        self.name, self.rounds = name, config.rounds
        self._cut, self._final = cut, config.sparsity
        self._is_patterned = isinstance(config, MagnitudePruning) and config.pattern is not None
        self._initial = sparsity(model)
        if self._initial >= self._final and not self._is_patterned:
            raise PupilaError(
                f"Of the model's kernels {self._initial:.4g} are 0 already, and `sparsity` is "
                f"{self._final:.4g}: nothing is to be cut. Raise `sparsity`, or leave the step out."
            )

    def cut(self, model: Any, number: int) -> Any:
        model = copy_of(model)
        kernels = kernels_of(model)
        aim = scheduled(self._initial, self._final, number, self.rounds)
        for kernel, keep in zip(kernels, self._cut(model, kernels, aim), strict=True):
            kernel.variable.assign(Masked(keep)(kernel.variable.value))
        return model

    def held(self, model: Any) -> AbstractContextManager[None]:
        return zeros_held(model)

    def parameters(self, model: Any) -> int:
        return nonzero_parameters(model)

    def measured(self, model: Any) -> WeightSparsity:
        """Return which part of the kernels is 0, of all together and of each."""
        each = {name: round(part, 4) for name, part in sparsity_by_kernel(model).items()}
        zeros = WeightSparsity(sparsity=round(sparsity(model), 4), sparsity_by_kernel=each)
        if not self._is_patterned:
            return zeros
        dense = tuple(kernel.name for kernel in kernels_of(model) if not has_groups(kernel))
        return zeros.model_copy(update={"kept_dense": dense})


def smallest(config: MagnitudePruning) -> Cut:
    """Cut the smallest weights, of each kernel or of all, or two of every four."""

    def cut(model: Any, kernels: Sequence[Kernel], aim: float) -> Masks:
        scores = _zeros_first(kernels, magnitude(kernels))
        if config.pattern:
            return [_patterned(each, worth) for each, worth in zip(kernels, scores, strict=True)]
        return (within_layers if config.scope == "layer" else among_all)(scores, aim)

    return cut


def least_curved(step: Step[WeightPruning]) -> Cut:
    """Cut the weights without which the loss grows least."""

    def cut(model: Any, kernels: Sequence[Kernel], aim: float) -> Masks:
        form = trained_form(model, step.inputs[0].record.output.kind)
        scores = obd(form, kernels, ranking_batches(step, _MOST_SEEN, batch_size=1))
        return among_all(_zeros_first(kernels, scores), aim)

    return cut


least_flow: Cut = synflow_masks
"""Cut the weights through which the least flows."""


def _patterned(kernel: Kernel, worth: Any) -> Any:
    return two_of_four(kernel, worth) if has_groups(kernel) else np.ones(worth.shape, bool)


def _zeros_first(kernels: Sequence[Kernel], scores: Scores) -> Scores:
    """Let what was cut be cut again, before what is worth as little."""
    return [np.where(k.values == 0, -1, s) for k, s in zip(kernels, scores, strict=True)]
