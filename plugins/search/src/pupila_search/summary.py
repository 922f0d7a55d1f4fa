"""Builds the result of a search: the chosen model, its ancestors, the front, all candidates."""

from __future__ import annotations

from collections.abc import Sequence

from pupila.measured import (
    Ancestor,
    BlockSize,
    PickWith,
    SearchedModel,
    SearchResult,
)
from pupila.measured import Candidate as TriedCandidate
from pupila.measured import Genome as MeasuredGenome
from pupila_search.candidates import Candidate
from pupila_search.genome import Genome, Space, block_sizes, head_sizes, positions_left
from pupila_search.population import Population
from pupila_search.training_targets import TrainingTargets

_RULE = "highest validation accuracy within max_bytes, then lowest validation loss"
_BY_FIDELITY = "highest fidelity on altered validation images within max_bytes"
_TAKEN_WITH = PickWith(use="search-pick", setting="pick")
"""The technique that takes another model of the Pareto front, and its setting for the name."""


def result_of(
    population: Population, targets: TrainingTargets, chosen: Candidate, front: Sequence[Candidate]
) -> SearchResult:
    """Return the result of a search that chose the candidate `chosen`; `front` is the Pareto front.

    `tied` lists the models within `max_bytes` that are not significantly worse than the chosen
    model. If the model was chosen by fidelity, `tied` is empty, since the test compares accuracies.
    """
    by_fidelity = population.config.by_fidelity
    tried, comparisons = population.trained, population.comparisons
    seconds = max(
        (metrics.ended_seconds for candidate in tried for metrics in candidate.stages), default=0.0
    )
    return SearchResult(
        strategy=population.config.strategy,
        chosen=chosen.name,
        rule=_BY_FIDELITY if by_fidelity else _RULE,
        tied=tuple(
            candidate.name
            for candidate in population.within_bytes()
            if candidate is not chosen
            and not by_fidelity
            and not comparisons.is_better(chosen.metrics.wrong, candidate.metrics.wrong)
        ),
        looks=comparisons.looks,
        validation_accuracy=chosen.metrics.validation_accuracy,
        validation_images=len(targets.validation),
        chosen_model=_model(chosen, population),
        front=tuple(_model(candidate, population) for candidate in front),
        taken_with=_TAKEN_WITH,
        family=tuple(map(_ancestor, family(chosen, population.candidates))),
        candidates=tuple(map(_candidate, population.candidates)),
        max_bytes=population.config.max_bytes,
        stages_trained=sum(len(candidate.stages) for candidate in tried),
        failed=sum(candidate.failed is not None for candidate in population.candidates),
        seconds=seconds,
        candidates_per_minute=round(60 * len(tried) / seconds, 2) if seconds else None,
        teachers=targets.teachers.teachers,
    )


def family(chosen: Candidate, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return a candidate and its ancestors, the oldest first."""
    numbers, waiting = set[int](), [chosen.number]
    while waiting:
        number = waiting.pop()
        if number not in numbers:
            numbers.add(number)
            waiting += candidates[number].parents
    return [candidates[number] for number in sorted(numbers)]


def sizes(genome: Genome, space: Space) -> tuple[BlockSize, ...]:
    """Return the output shape and parameters of each block, then of the head.

    Parameters are counted as in the exported file, where normalisation is folded into the
    convolution.
    """
    blocks: list[BlockSize] = []
    before = 0
    for count, block in enumerate(genome.blocks, start=1):
        part = Genome(blocks=genome.blocks[:count], head=genome.head)
        layers = block_sizes(part, space.input)
        learned = sum(layer.entries + layer.channels for layer in layers)
        rows, columns = positions_left(part, space.input)
        blocks.append(
            BlockSize(
                rows=rows,
                columns=columns,
                channels=block.filters,
                parameters=learned - before,
            )
        )
        before = learned
    last = list(head_sizes(genome, space.input, space.classes, space.task))
    learned = sum(layer.entries + layer.channels for layer in last)
    rows, columns = (1, 1) if space.task is None else positions_left(genome, space.input)
    channels = last[-1].channels
    return (*blocks, BlockSize(rows=rows, columns=columns, channels=channels, parameters=learned))


def _model(candidate: Candidate, population: Population) -> SearchedModel:
    best = candidate.metrics
    return SearchedModel(
        name=candidate.name,
        parents=_parents(candidate),
        change=candidate.change,
        preserved=candidate.preserved,
        generation=candidate.born,
        genome=MeasuredGenome.model_validate(candidate.genome.model_dump()),
        sizes=sizes(candidate.genome, population.space),
        bytes=candidate.bytes,
        macs=candidate.macs,
        seed=candidate.seed,
        epochs=sum(metrics.epochs for metrics in candidate.stages),
        stage=best.stage,
        validation_loss=best.validation_loss,
        validation_fidelity=best.validation_fidelity,
        latency_ms=candidate.latency_ms,
        validation_accuracy=population.comparisons.interval(best.wrong),
    )


def _ancestor(candidate: Candidate) -> Ancestor:
    return Ancestor(
        name=candidate.name,
        parents=_parents(candidate),
        change=candidate.change,
        preserved=candidate.preserved,
        generation=candidate.born,
    )


def _parents(candidate: Candidate) -> tuple[str, ...]:
    return tuple(f"c{number}" for number in candidate.parents)


def _candidate(candidate: Candidate) -> TriedCandidate:
    """Return a candidate as it appears in the result; fields without a value are left out."""
    known = TriedCandidate(name=candidate.name, bytes=candidate.bytes, generation=candidate.born)
    if candidate.stages:
        known = known.model_copy(
            update={
                "seconds": candidate.stages[-1].ended_seconds,
                "stage_accuracies": tuple(
                    metrics.validation_accuracy for metrics in candidate.stages
                ),
                "stage_seconds": tuple(metrics.ended_seconds for metrics in candidate.stages),
            }
        )
    if candidate.failed:
        return known.model_copy(update={"failed": candidate.failed})
    if not candidate.stages:
        return known.model_copy(update={"skipped": "no time was left"})
    best = candidate.metrics
    return known.model_copy(
        update={
            "validation_accuracy": best.validation_accuracy,
            "validation_loss": round(best.validation_loss, 4),
            "validation_fidelity": best.validation_fidelity,
            "latency_ms": candidate.latency_ms,
            "stages": len(candidate.stages),
        }
    )
