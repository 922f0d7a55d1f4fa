"""Breeding: blocks that only one of two parents has come from the fitter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pupila import InputSpec
from pupila_search.building import build, weights_of
from pupila_search.candidates import Candidate, CandidateMetrics, write_weights
from pupila_search.genome import Block, Genome, Space
from pupila_search.strategies import _breed, _rank
from pupila_search.variation import HistoricalMarks, Variation

INPUT = InputSpec(height=32, width=32)
POPULATION: Any = SimpleNamespace(config=SimpleNamespace(crossover=1, objectives=("loss", "bytes")))


@pytest.fixture
def candidate(tmp_path):
    """Return a function that makes a trained candidate with blocks of those marks."""

    def made(number, marks, loss, size):
        blocks = tuple(Block(mark=m, kind="convolution", filters=8 * (number + 1)) for m in marks)
        genome, folder = Genome(blocks=blocks), tmp_path / str(number)
        folder.mkdir()
        stage = CandidateMetrics("stage-0", 1, loss, 0.9, (0,), None, 1.0, 1.0)
        tried = Candidate(number, genome, (), "", False, 0, 0, size, 1, folder, [stage])
        write_weights(tried.weights_path("stage-0"), weights_of(build(genome, INPUT, 2)))
        return tried

    return made


def crosses(breeders, draws=150):
    """Return the marks of children of two parents, and the parents."""
    for seed in range(draws):
        variation = Variation(
            Space(INPUT, 2), np.random.default_rng(seed), HistoricalMarks(count=10)
        )
        child, parents = _breed(POPULATION, variation, breeders)
        if child.change == "cross":
            yield tuple(block.mark for block in child.genome.blocks), parents


def test_what_only_one_parent_has_comes_from_the_fitter_whichever_was_drawn_first(candidate):
    worse = candidate(0, (0, 1, 2, 3), loss=0.9, size=2000)
    fitter = candidate(1, (0, 1, 5), loss=0.1, size=1000)
    children = list(crosses(_rank(POPULATION, [worse, fitter])))
    assert len(children) > 5
    assert {marks for marks, _ in children} == {(0, 1, 5)}
    assert all(parents == [fitter, worse] for _, parents in children)


def test_equally_fit_parents_both_give_blocks(candidate):
    small = candidate(0, (0, 1, 2), loss=0.9, size=1000)
    right = candidate(1, (0, 1, 5), loss=0.1, size=2000)
    breeders = _rank(POPULATION, [small, right])
    assert breeders[0].fitness == breeders[1].fitness
    marks = {marks for marks, _ in crosses(breeders)}
    assert {frozenset(genes) & {2, 5} for genes in marks} == {
        frozenset(genes) for genes in ((), (2,), (5,), (2, 5))
    }
