"""The pruning techniques and `cluster`; their common cycle is in `pupila_prune.cycle`."""

from __future__ import annotations

from typing import Any

from pupila import Step, StepResult
from pupila.keras_files import macs, parameters
from pupila.measured import ClusteringResult, Measured
from pupila_prune.clusters import ClusterStrategy, values_by_kernel
from pupila_prune.config import Clustering, FilterPruning, MagnitudePruning, WeightPruning
from pupila_prune.cycle import run, write_chosen
from pupila_prune.filters import FilterStrategy
from pupila_prune.kernels import clustered_kernels, sparsity
from pupila_prune.rounds import Rounds
from pupila_prune.sizes import file_sizes
from pupila_prune.training_targets import open_model
from pupila_prune.weights import MaskRule, WeightStrategy, by_magnitude, by_obd, by_synflow


def prune_filters(step: Step[FilterPruning]) -> StepResult:
    """Cut filters in rounds, retrain after each round, and write the smallest model within budget.

    Raises:
        PupilaError: the model is not a graph of Keras' own layers, the model does not end in its
            declared output, a weight or the loss of a round is not finite, or nothing can be cut.
    """
    model = open_model(step.inputs[0])
    strategy = FilterStrategy(step, model)
    rounds = run(step, model, strategy)
    measured, model = strategy.measured(rounds), write_chosen(step, rounds)
    return _result(step, model, None, measured)


def prune_magnitude(step: Step[MagnitudePruning]) -> StepResult:
    """Set the smallest weights to 0 in rounds, and retrain the other weights after each round.

    Raises:
        PupilaError: the model is not a graph of Keras' own layers, the model does not end in its
            declared output, the model has no kernel, a weight or the loss of a round is not finite,
            or the model already has as many zeros as `sparsity` asks for.
    """
    return _prune_weights(step, "prune-magnitude", by_magnitude(step.config))


def prune_obd(step: Step[WeightPruning]) -> StepResult:
    """Like `prune_magnitude`, but cut the weights whose removal raises the loss least.

    Raises:
        PupilaError: as for `prune_magnitude`.
    """
    return _prune_weights(step, "prune-obd", by_obd(step))


def prune_synflow(step: Step[WeightPruning]) -> StepResult:
    """Like `prune_magnitude`, but cut the weights with the least synaptic flow.

    Raises:
        PupilaError: as for `prune_magnitude`; or SynFlow does not support a layer, or the flow is 0
            or infinite.
    """
    return _prune_weights(step, "prune-synflow", by_synflow)


def cluster(step: Step[Clustering]) -> StepResult:
    """Cluster the weights of each kernel into a few shared values, and retrain the values.

    Raises:
        PupilaError: the model is not a graph of Keras' own layers, the model does not end in its
            declared output, the model has no kernel to cluster, or a weight or the loss is not
            finite.
    """
    model = open_model(step.inputs[0])
    clustered_kernels(model)  # refuses a model without any
    rounds = run(step, model, ClusterStrategy(step.config))
    model = write_chosen(step, rounds)
    sizes = file_sizes(step.inputs[0], step.output, "values that repeat")
    measured = Measured(rounds.warning(), _clustering_result(rounds, model), sizes)
    return _result(step, model, step.inputs[0].record.sparsity and sparsity(model), measured)


def _clustering_result(rounds: Rounds, model: Any) -> ClusteringResult:
    """Return the result of clustering. Clustering removes no parameters, so none are reported."""
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


def _prune_weights(step: Step[Any], name: str, rule: MaskRule) -> StepResult:
    model = open_model(step.inputs[0])
    strategy = WeightStrategy(name, step.config, model, rule)
    rounds = run(step, model, strategy)
    model = write_chosen(step, rounds)
    sizes = file_sizes(step.inputs[0], step.output, "zeros")
    measured = Measured(rounds.warning(), rounds.result(), strategy.measured(model), sizes)
    return _result(step, model, sparsity(model), measured)


def _result(step: Step[Any], model: Any, zeros: float | None, measured: Measured) -> StepResult:
    return StepResult.like(
        step.inputs[0],
        format="keras",
        parameters=parameters(model),
        macs=macs(model),
        sparsity=zeros,
        untrained=False,
        measured=measured,
    )
