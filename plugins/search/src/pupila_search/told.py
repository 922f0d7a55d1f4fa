"""What a search tells: the front, the family of the chosen one, all candidates, the course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pupila_search.candidates import Candidate
from pupila_search.genome import Genome, Space, layer_sizes, positions_left
from pupila_search.laboratory import Laboratory
from pupila_search.lesson import Lesson

_RULE = "highest validation accuracy within maximum_bytes, then lowest validation loss"
_TAKEN_WITH = {"use": "search-pick", "setting": "pick"}
"""The technique that takes another model of the front, and the setting that names it."""


def measured_of(
    laboratory: Laboratory, lesson: Lesson, chosen: Candidate, front: Sequence[Candidate]
) -> dict[str, Any]:
    """Return it as JSON; accuracies are 0..1 with 95 % intervals, bytes those of int8 files.

    `tied` names the models within the bytes whose interval overlaps that of the chosen one: on
    these validation images they cannot be told apart from it.
    """
    tried = laboratory.tried
    stages = sum(len(each.stages) for each in tried)
    seconds = max((each.ended_seconds for of in tried for each in of.stages), default=0.0)
    return {
        "strategy": laboratory.config.strategy,
        "chosen": chosen.name,
        "rule": _RULE,
        "tied": [
            each.name
            for each in laboratory.affordable()
            if each is not chosen and each.figures.high >= chosen.figures.low
        ],
        "validation_accuracy": chosen.figures.validation_accuracy,
        "validation_images": len(lesson.validation),
        "chosen_model": _portrait(chosen, laboratory.space),
        "front": [_portrait(each, laboratory.space) for each in front],
        "taken_with": _TAKEN_WITH,
        "family": [_kinship(each) for each in family(chosen, laboratory.candidates)],
        "candidates": [_brief(each) for each in laboratory.candidates],
        "history": history(laboratory),
        "stages_trained": stages,
        "failed": sum(each.failed is not None for each in laboratory.candidates),
        "seconds": seconds,
        "candidates_per_minute": round(60 * len(tried) / seconds, 2) if seconds else None,
        "teachers": lesson.teachers,
    }


def family(chosen: Candidate, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return a candidate and all that it descends from, the first born first."""
    numbers, waiting = set[int](), [chosen.number]
    while waiting:
        number = waiting.pop()
        if number not in numbers:
            numbers.add(number)
            waiting += candidates[number].parents
    return [candidates[number] for number in sorted(numbers)]


def history(laboratory: Laboratory) -> list[dict[str, Any]]:
    """Return the best accuracy within the bytes by the time at which it was reached."""
    most = laboratory.config.maximum_bytes
    ended = sorted(
        (figures.ended_seconds, figures.validation_accuracy, each.name)
        for each in laboratory.tried
        if most is None or each.bytes <= most
        for figures in each.stages
    )
    steps: list[dict[str, Any]] = []
    for seconds, accuracy, name in ended:
        if not steps or accuracy > steps[-1]["validation_accuracy"]:
            steps.append({"seconds": seconds, "validation_accuracy": accuracy, "name": name})
    return steps


def sizes(genome: Genome, space: Space) -> list[dict[str, int]]:
    """Return what each block gives, and what is learned in it; the last is the head.

    Parameters are those of the exported file, where normalisation is folded into the convolution.
    """
    head = 2 if genome.head.units else 1
    told: list[dict[str, int]] = []
    before = 0
    for place, block in enumerate(genome.blocks, start=1):
        part = Genome(blocks=genome.blocks[:place], head=genome.head)
        layers = list(layer_sizes(part, space.input, space.classes))[:-head]
        learned = sum(each.entries + each.channels for each in layers)
        rows, columns = positions_left(part, space.input)
        size = {"rows": rows, "columns": columns, "channels": block.filters}
        told.append(size | {"parameters": learned - before})
        before = learned
    last = list(layer_sizes(genome, space.input, space.classes))[-head:]
    learned = sum(each.entries + each.channels for each in last)
    return [*told, {"rows": 1, "columns": 1, "channels": space.classes, "parameters": learned}]


def _portrait(candidate: Candidate, space: Space) -> dict[str, Any]:
    figures = asdict(candidate.figures)
    return _kinship(candidate) | {
        "genome": candidate.genome.model_dump(mode="json"),
        "sizes": sizes(candidate.genome, space),
        "bytes": candidate.bytes,
        "macs": candidate.macs,
        "seed": candidate.seed,
        "epochs": sum(each.epochs for each in candidate.stages),
        **{name: figures[name] for name in ("stage", "validation_loss")},
        "latency_ms": candidate.latency_ms,
        "validation_accuracy": {
            "value": candidate.figures.validation_accuracy,
            "low": candidate.figures.low,
            "high": candidate.figures.high,
        },
    }


def _kinship(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "parents": [f"c{number}" for number in candidate.parents],
        "change": candidate.change,
        "preserved": candidate.preserved,
        "generation": candidate.born,
    }


def _brief(candidate: Candidate) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": candidate.name,
        "bytes": candidate.bytes,
        "generation": candidate.born,
    }
    if candidate.stages:
        told["seconds"] = candidate.stages[-1].ended_seconds
    if candidate.failed:
        return told | {"failed": candidate.failed}
    if not candidate.stages:
        return told | {"skipped": "no time was left"}
    figures = candidate.figures
    return told | {
        "validation_accuracy": figures.validation_accuracy,
        "validation_loss": round(figures.validation_loss, 4),
        "latency_ms": candidate.latency_ms,
        "stages": len(candidate.stages),
    }
