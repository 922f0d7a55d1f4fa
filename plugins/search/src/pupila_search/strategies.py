"""The two search strategies: `evolve`, and `append`, which adds block after block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pupila_search.candidates import Candidate
from pupila_search.genome import Genome
from pupila_search.morphism import Child
from pupila_search.population import Population
from pupila_search.selection import Fitness, fitness, tournament
from pupila_search.variation import Appending, HistoricalMarks, Parent, Variation


@dataclass(frozen=True)
class Breeder:
    """A candidate that may have children."""

    candidate: Candidate
    fitness: Fitness
    """Fitness among the candidates from which this breeder was selected."""


def evolve(population: Population, seed: int) -> None:
    """Breed generations until the budget is spent.

    Each generation is trained by successive halving (Jamieson and Talwalkar 2016, "Non-stochastic
    best arm identification and hyperparameter optimization", algorithm 1): all candidates are
    trained for a few epochs, and then the better half for more epochs. Better means a lower loss,
    or a higher fidelity if fidelity is an objective. Then NSGA-II (see `pupila_search.selection`)
    ranks parents and children together, without parents that are too old. The best of these
    candidates breed next.

    Raises:
        PupilaError: no valid genome was found in the search space.
        OSError: a file cannot be read or written, most often because the disk is full.
    """
    config = population.config
    variation = Variation(population.space, np.random.default_rng(seed), HistoricalMarks())
    fresh = [
        _initial_child(variation.initial())
        for _ in range(_room_left(population, config.population))
    ]
    first = _train_by_halving(population, [population.add(child, (), 0) for child in fresh])
    breeders = _rank(population, first)
    generation = 1
    while population.has_budget() and breeders:
        born: list[Candidate] = []
        for _ in range(_room_left(population, config.children)):
            child, parents = _breed(population, variation, breeders)
            born.append(population.add(child, parents, generation))
        old = [breeder.candidate for breeder in breeders]
        young = [candidate for candidate in old if generation - candidate.born < config.max_age]
        together = young + _train_by_halving(population, born)
        breeders = _rank(population, together or old)[: config.population]
        generation += 1


def append(population: Population, seed: int) -> None:
    """Grow students one block at a time, as in the study behind Pupila (García Perdomo 2023).

    The settings `population` and `children` are numbers of students. At first, `population`
    students of the same architecture are trained. Each round then chooses up to `children` students
    at random, adds a block to a copy of each, and trains the copies. The best `population` of the
    old and the new students go on to the next round.

    Raises:
        PupilaError: the first student is outside the search space.
        OSError: a file cannot be read or written, most often because the disk is full.
    """
    config, random = population.config, np.random.default_rng(seed)
    appending = Appending(population.space, random, HistoricalMarks())
    first = _initial_child(appending.initial())
    count = _room_left(population, config.population)
    equal = [population.add(first, (), 0) for _ in range(count)]
    students: list[Candidate] = population.train_stage(equal, 0)
    generation = 1
    while population.has_budget() and students:
        count = min(_room_left(population, config.children), len(students))
        chosen = [students[int(index)] for index in random.permutation(len(students))[:count]]
        grown = [(appending.append(_parent(student)), student) for student in chosen]
        fitting = [(child, student) for child, student in grown if child is not None]
        if not fitting:
            break
        born = [population.add(child, (student,), generation) for child, student in fitting]
        together = students + population.train_stage(born, 0)
        best = sorted(together, key=lambda student: student.metrics.order[: 1 + config.by_fidelity])
        students = best[: config.population]
        generation += 1


STRATEGIES = {"evolve": evolve, "append": append}


def _room_left(population: Population, wanted: int) -> int:
    """Return `wanted`, or the number of candidates that `max_candidates` still allows if lower."""
    most = population.config.max_candidates
    return wanted if most is None else min(wanted, most - len(population.candidates))


def _initial_child(genome: Genome) -> Child:
    return Child(genome, {}, False, "initial")


def _parent(candidate: Candidate) -> Parent:
    return Parent(candidate.genome, candidate.weights())


def _breed(
    population: Population, variation: Variation, breeders: Sequence[Breeder]
) -> tuple[Child, list[Candidate]]:
    """Return a child and its one or two parents, the fitter parent first.

    `breeders` are sorted, the fittest first.
    """
    order, random = list(range(len(breeders))), variation.random
    first, second = tournament(order, random), tournament(order, random)
    if first != second and random.random() < population.config.crossover:
        fitter, other = (breeders[index] for index in sorted((first, second)))
        equal = fitter.fitness == other.fitness
        parents = [fitter.candidate, other.candidate]
        return variation.cross(*map(_parent, parents), equally_fit=equal), parents
    chosen = breeders[first].candidate
    return variation.mutate(_parent(chosen)), [chosen]


def _train_by_halving(population: Population, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Train candidates in stages, and return all that were trained.

    After each stage, only the better half goes on to the next.
    """
    going_on = list(candidates)
    for stage in range(len(population.config.epochs)):
        passed = population.train_stage(going_on, stage)
        best = sorted(passed, key=lambda candidate: candidate.stages[-1].shortfall)
        going_on = best[: -(-len(best) // 2)]
    return [candidate for candidate in candidates if candidate.stages and candidate.failed is None]


def _rank(population: Population, candidates: Sequence[Candidate]) -> list[Breeder]:
    """Sort candidates by the fitness of NSGA-II, the fittest first."""
    names = population.config.objectives
    values = [[candidate.objective(name) for name in names] for candidate in candidates]
    unsorted = map(Breeder, candidates, fitness(values))
    return sorted(unsorted, key=lambda breeder: breeder.fitness)
