"""The techniques: what is cut differs, and `pupila_prune.cycle` has what they share."""

from __future__ import annotations

from typing import Any

from pupila import Step, StepResult
from pupila.keras_files import macs, parameters
from pupila.measured import ClusteringResult, Measured
from pupila_prune.clusters import Clusters, values_by_kernel
from pupila_prune.config import Clustering, FilterPruning, MagnitudePruning, WeightPruning
from pupila_prune.cycle import run, write_chosen
from pupila_prune.filters import Filters
from pupila_prune.kernels import clustered_kernels, sparsity
from pupila_prune.rounds import Rounds
from pupila_prune.sizes import file_sizes
from pupila_prune.training_targets import opened
from pupila_prune.weights import Cut, Weights, least_curved, least_flow, smallest


def prune_filters(step: Step[FilterPruning]) -> StepResult:
    """Cut filters in rounds, and retrain after each; keep the smallest model within the budget.

    Raises:
        PupilaError: the model is no graph of Keras' own layers, does not end as declared, has a
            weight that is no number, or nothing that can be cut; or the loss of a round is no
            longer a number.
    """
    model = opened(step.inputs[0])
    strategy = Filters(step, model)
    rounds = run(step, model, strategy)
    measured, model = strategy.measured(rounds), write_chosen(step, rounds)
    return _product(step, model, None, measured)


def prune_magnitude(step: Step[MagnitudePruning]) -> StepResult:
    """Set the smallest weights to 0, in rounds, and retrain the others after each.

    Raises:
        PupilaError: the model is no graph of Keras' own layers, does not end as declared, has no
            kernel, a weight that is no number, or as many zeros as asked for; or the loss of a
            round is no longer a number.
    """
    return _pruned_weights(step, "prune-magnitude", smallest(step.config))


def prune_obd(step: Step[WeightPruning]) -> StepResult:
    """Set the weights to 0 without which the loss grows least; else as `prune_magnitude`."""
    return _pruned_weights(step, "prune-obd", least_curved(step))


def prune_synflow(step: Step[WeightPruning]) -> StepResult:
    """Set the weights to 0 through which the least flows; else as `prune_magnitude`.

    Raises:
        PupilaError: as there, or the flow cannot be followed through a layer.
    """
    return _pruned_weights(step, "prune-synflow", least_flow)


def cluster(step: Step[Clustering]) -> StepResult:
    """Let the weights of each kernel share a few values, and retrain these.

    Raises:
        PupilaError: the model is no graph of Keras' own layers, does not end as declared, has no
            kernel to cluster, or a weight that is no number; or the loss is no longer a number.
    """
    model = opened(step.inputs[0])
    clustered_kernels(model)  # refuses a model without any
    rounds = run(step, model, Clusters(step.config))
    model = write_chosen(step, rounds)
    sizes = file_sizes(step.inputs[0], step.output, "values that repeat")
    measured = Measured(rounds.warning(), _clustered(rounds, model), sizes)
    return _product(step, model, step.inputs[0].record.sparsity and sparsity(model), measured)


def _clustered(rounds: Rounds, model: Any) -> ClusteringResult:
    """Return what clustering cost; no parameter is removed, though they share values."""
    uncut, clustered = rounds.curve
    result = rounds.result()
    return ClusteringResult(
        round=result.round,
        validation_accuracy=clustered.validation_accuracy,
        budget_met=rounds.is_within_budget(result.round),
        reason=result.reason,
        history=result.history,
        uncut_validation_accuracy=uncut.validation_accuracy,
        values_by_kernel=values_by_kernel(model),
    )


def _pruned_weights(step: Step[Any], name: str, cut: Cut) -> StepResult:
    model = opened(step.inputs[0])
    strategy = Weights(name, step.config, model, cut)
    rounds = run(step, model, strategy)
    model = write_chosen(step, rounds)
    sizes = file_sizes(step.inputs[0], step.output, "zeros")
    measured = Measured(rounds.warning(), rounds.result(), strategy.measured(model), sizes)
    return _product(step, model, sparsity(model), measured)


def _product(step: Step[Any], model: Any, zeros: float | None, measured: Measured) -> StepResult:
    return StepResult.like(
        step.inputs[0],
        format="keras",
        parameters=parameters(model),
        macs=macs(model),
        sparsity=zeros,
        untrained=False,
        measured=measured,
    )
