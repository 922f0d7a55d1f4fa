"""The result of a search: the front, the family of the chosen one, all candidates, the course."""

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
from pupila_search.genome import Genome, Space, layer_sizes, positions_left
from pupila_search.population import Population
from pupila_search.training_targets import Lesson

_RULE = "highest validation accuracy within maximum_bytes, then lowest validation loss"
_BY_FIDELITY = "highest fidelity on altered validation images within maximum_bytes"
_TAKEN_WITH = PickWith(use="search-pick", setting="pick")
"""The technique that takes another model of the front, and the setting that names it."""


def result_of(
    laboratory: Population, lesson: Lesson, chosen: Candidate, front: Sequence[Candidate]
) -> SearchResult:
    """Return what was found; `tied` are those of the models within the bytes.

    None is where fidelity chose: the paired test is of accuracies.
    """
    by_fidelity = laboratory.config.by_fidelity
    tried, luck = laboratory.tried, laboratory.luck
    seconds = max((each.ended_seconds for of in tried for each in of.stages), default=0.0)
    return SearchResult(
        strategy=laboratory.config.strategy,
        chosen=chosen.name,
        rule=_BY_FIDELITY if by_fidelity else _RULE,
        tied=tuple(
            each.name
            for each in laboratory.affordable()
            if each is not chosen
            and not by_fidelity
            and not luck.tells_apart(chosen.figures.wrong, each.figures.wrong)
        ),
        looks=luck.looks,
        validation_accuracy=chosen.figures.validation_accuracy,
        validation_images=len(lesson.validation),
        chosen_model=_model(chosen, laboratory),
        front=tuple(_model(each, laboratory) for each in front),
        taken_with=_TAKEN_WITH,
        family=tuple(map(_ancestor, family(chosen, laboratory.candidates))),
        candidates=tuple(map(_candidate, laboratory.candidates)),
        maximum_bytes=laboratory.config.maximum_bytes,
        stages_trained=sum(len(each.stages) for each in tried),
        failed=sum(each.failed is not None for each in laboratory.candidates),
        seconds=seconds,
        candidates_per_minute=round(60 * len(tried) / seconds, 2) if seconds else None,
        teachers=lesson.teachers.teachers,
    )


def family(chosen: Candidate, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return a candidate and all that it descends from, the first born first."""
    numbers, waiting = set[int](), [chosen.number]
    while waiting:
        number = waiting.pop()
        if number not in numbers:
            numbers.add(number)
            waiting += candidates[number].parents
    return [candidates[number] for number in sorted(numbers)]


def sizes(genome: Genome, space: Space) -> tuple[BlockSize, ...]:
    """Return what each block gives, and what is learned in it; the last is the head.

    Parameters are those of the exported file, where normalisation is folded into the convolution.
    """
    head = 2 if genome.head.units else 1
    blocks: list[BlockSize] = []
    before = 0
    for place, block in enumerate(genome.blocks, start=1):
        part = Genome(blocks=genome.blocks[:place], head=genome.head)
        layers = list(layer_sizes(part, space.input, space.classes))[:-head]
        learned = sum(each.entries + each.channels for each in layers)
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
    last = list(layer_sizes(genome, space.input, space.classes))[-head:]
    learned = sum(each.entries + each.channels for each in last)
    return (*blocks, BlockSize(rows=1, columns=1, channels=space.classes, parameters=learned))


def _model(candidate: Candidate, laboratory: Population) -> SearchedModel:
    figures = candidate.figures
    return SearchedModel(
        name=candidate.name,
        parents=_parents(candidate),
        change=candidate.change,
        preserved=candidate.preserved,
        generation=candidate.born,
        genome=MeasuredGenome.model_validate(candidate.genome.model_dump()),
        sizes=sizes(candidate.genome, laboratory.space),
        bytes=candidate.bytes,
        macs=candidate.macs,
        seed=candidate.seed,
        epochs=sum(each.epochs for each in candidate.stages),
        stage=figures.stage,
        validation_loss=figures.validation_loss,
        validation_fidelity=figures.validation_fidelity,
        latency_ms=candidate.latency_ms,
        validation_accuracy=laboratory.luck.interval(figures.wrong),
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
    """Return how far a candidate got; what is not known of it is left out."""
    known = TriedCandidate(name=candidate.name, bytes=candidate.bytes, generation=candidate.born)
    if candidate.stages:
        known = known.model_copy(
            update={
                "seconds": candidate.stages[-1].ended_seconds,
                "stage_accuracies": tuple(each.validation_accuracy for each in candidate.stages),
                "stage_seconds": tuple(each.ended_seconds for each in candidate.stages),
            }
        )
    if candidate.failed:
        return known.model_copy(update={"failed": candidate.failed})
    if not candidate.stages:
        return known.model_copy(update={"skipped": "no time was left"})
    figures = candidate.figures
    return known.model_copy(
        update={
            "validation_accuracy": figures.validation_accuracy,
            "validation_loss": round(figures.validation_loss, 4),
            "validation_fidelity": figures.validation_fidelity,
            "latency_ms": candidate.latency_ms,
            "stages": len(candidate.stages),
        }
    )
