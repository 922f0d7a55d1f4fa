"""The two searches: evolution, and the study's appending of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pupila_search.candidates import Candidate
from pupila_search.genome import Genome
from pupila_search.morphism import Child
from pupila_search.population import Population
from pupila_search.selection import Fitness, fitness, tournament
from pupila_search.variation import Appending, Marks, Parent, Variation


@dataclass(frozen=True)
class Breeder:
    """A candidate that may have children."""

    candidate: Candidate
    fitness: Fitness
    """Among those it was chosen from."""


def evolve(laboratory: Population, seed: int) -> None:
    """Breed generations until the budget is spent.

    Each generation is trained by successive halving (Jamieson and Talwalkar 2016, "Non-stochastic
    best arm identification and hyperparameter optimization", algorithm 1): all for a few epochs,
    the better half by loss, or by fidelity where that chooses, for more. Of parents and children
    those breed that NSGA-II ranks first, and that are not too old (see `pupila_search.selection`).

    Raises:
        PupilaError: the space has no valid child.
        OSError: the disk is full.
    """
    config = laboratory.config
    variation = Variation(laboratory.space, np.random.default_rng(seed), Marks())
    fresh = [_first(variation.initial()) for _ in range(_room(laboratory, config.population))]
    first = _halved(laboratory, [laboratory.admit(each, (), 0) for each in fresh])
    population = _best(laboratory, first)
    generation = 1
    while laboratory.goes_on() and population:
        born: list[Candidate] = []
        for _ in range(_room(laboratory, config.children)):
            child, parents = _bred(laboratory, variation, population)
            born.append(laboratory.admit(child, parents, generation))
        old = [each.candidate for each in population]
        young = [each for each in old if generation - each.born < config.max_age]
        together = young + _halved(laboratory, born)
        population = _best(laboratory, together or old)[: config.population]
        generation += 1


def append(laboratory: Population, seed: int) -> None:
    """Let students grow by a block at a time, as the study did.

    Equal students are trained; in each round as many as `children` are picked at random and get a
    block appended, and the most accurate of all go on.

    Raises:
        PupilaError: the first student is too large already.
        OSError: the disk is full.
    """
    config, random = laboratory.config, np.random.default_rng(seed)
    appending = Appending(laboratory.space, random, Marks())
    first = _first(appending.initial())
    count = _room(laboratory, config.population)
    equal = [laboratory.admit(first, (), 0) for _ in range(count)]
    students: list[Candidate] = laboratory.learn(equal, 0)
    generation = 1
    while laboratory.goes_on() and students:
        count = min(_room(laboratory, config.children), len(students))
        chosen = [students[int(place)] for place in random.permutation(len(students))[:count]]
        grown = [(appending.appended(_parent(each)), each) for each in chosen]
        fitting = [(child, each) for child, each in grown if child is not None]
        if not fitting:
            break
        born = [laboratory.admit(child, (each,), generation) for child, each in fitting]
        together = students + laboratory.learn(born, 0)
        best = sorted(together, key=lambda each: each.figures.order[: 1 + config.by_fidelity])
        students = best[: config.population]
        generation += 1


STRATEGIES = {"evolve": evolve, "append": append}


def _room(laboratory: Population, wanted: int) -> int:
    """Return how many candidates `max_candidates` has room for."""
    most = laboratory.config.max_candidates
    return wanted if most is None else min(wanted, most - len(laboratory.candidates))


def _first(genome: Genome) -> Child:
    return Child(genome, {}, False, "initial")


def _parent(candidate: Candidate) -> Parent:
    return Parent(candidate.genome, candidate.weights())


def _bred(
    laboratory: Population, variation: Variation, population: Sequence[Breeder]
) -> tuple[Child, list[Candidate]]:
    """Return a child of one or two of the population, which has the fittest first.

    Of two parents the fitter comes first.
    """
    order, random = list(range(len(population))), variation.random
    first, second = tournament(order, random), tournament(order, random)
    if first != second and random.random() < laboratory.config.crossover:
        fitter, other = (population[place] for place in sorted((first, second)))
        equal = fitter.fitness == other.fitness
        parents = [fitter.candidate, other.candidate]
        return variation.crossed(*map(_parent, parents), equally_fit=equal), parents
    chosen = population[first].candidate
    return variation.mutated(_parent(chosen)), [chosen]


def _halved(laboratory: Population, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Train the stages, each of the better half of those before; return all that were trained."""
    going_on = list(candidates)
    for stage in range(len(laboratory.config.epochs)):
        passed = laboratory.learn(going_on, stage)
        best = sorted(passed, key=lambda each: each.stages[-1].shortfall)
        going_on = best[: -(-len(best) // 2)]
    return [each for each in candidates if each.stages and each.failed is None]


def _best(laboratory: Population, candidates: Sequence[Candidate]) -> list[Breeder]:
    """Order candidates as NSGA-II does, the fittest first."""
    names = laboratory.config.objectives
    values = [[each.objective(name) for name in names] for each in candidates]
    breeders = map(Breeder, candidates, fitness(values))
    return sorted(breeders, key=lambda each: each.fitness)
