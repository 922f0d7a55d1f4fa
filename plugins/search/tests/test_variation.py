from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pupila import InputSpec, PupilaError
from pupila.testing.nested import pictures
from pupila_search.building import build, load, weights_of
from pupila_search.genome import Block, Genome, Space
from pupila_search.variation import Appending, HistoricalMarks, Parent, Variation

INPUT = InputSpec(height=32, width=32)


def variation(seed=0, **limits):
    space = replace(Space(INPUT, 2, max_bytes=200_000), **limits)
    return Variation(space, np.random.default_rng(seed), HistoricalMarks())


def parent_of(genome):
    return Parent(genome, weights_of(build(genome, INPUT, 2)))


def test_initial_genomes_are_valid_and_differ():
    drawing = variation()
    genomes = [drawing.initial() for _ in range(30)]
    assert not any(drawing.space.fault(genome) for genome in genomes)
    assert len({genome.structure for genome in genomes}) > 20


def test_one_seed_draws_one_sequence():
    drawing, other = variation(5), variation(5)
    assert [drawing.initial() for _ in range(5)] == [other.initial() for _ in range(5)]
    assert drawing.random.random() == other.random.random()


def test_descendants_stay_valid_and_preserve_what_they_claim():
    drawing = variation(3)
    genome = drawing.initial()
    parent, preserved, images = parent_of(genome), 0, pictures(images=2)
    model = build(genome, INPUT, 2)
    load(model, parent.weights)
    for _ in range(15):
        child = drawing.mutate(parent)
        assert drawing.space.fault(child.genome) == ""
        after = build(child.genome, INPUT, 2)
        load(after, child.weights)
        if child.preserved:
            preserved += 1
            was, now = (np.asarray(net(images, training=False)) for net in (model, after))
            assert np.abs(was - now).max() <= 1e-4 * np.abs(was).max(), child.change
        parent, model = Parent(child.genome, weights_of(after)), after
    assert preserved >= 3


def test_every_kind_of_change_is_drawn():
    drawing = variation(1)
    parent = parent_of(drawing.initial())
    words = {drawing.mutate(parent).change.split()[0] for _ in range(150)}
    assert {"insert", "remove", "widen", "narrow", "kernel", "stride"} <= words


def test_the_same_innovation_has_the_same_mark_in_all_genomes():
    marks = HistoricalMarks()
    first = marks.of(None, -1, "convolution")
    one = Genome(blocks=(Block(mark=first, kind="convolution", filters=8),))
    behind = marks.of(one, first, "separable")
    assert marks.of(one, first, "separable") == behind
    longer = Genome(blocks=(*one.blocks, Block(mark=behind, kind="separable", filters=8)))
    assert marks.of(longer, first, "separable") not in (first, behind)
    assert marks.of(one, first, "convolution") not in (first, behind)


def chain(*blocks):
    return Genome(blocks=tuple(Block(mark=m, kind="convolution", filters=f) for m, f in blocks))


def test_a_crossover_is_aligned_by_marks():
    first = parent_of(chain((0, 8), (1, 16), (5, 24)))
    second = parent_of(chain((0, 32), (2, 40), (1, 48)))
    for seed in range(10):
        child = variation(seed).cross(first, second, equally_fit=False)
        if child.change == "cross":
            assert [block.mark for block in child.genome.blocks] == [0, 1, 5]
            assert child.genome.blocks[0].filters in (8, 32)
            assert child.genome.blocks[1].filters in (16, 48)
            assert child.genome.blocks[2].filters == 24
            kernel = child.weights["block_0_conv"][0]
            assert kernel.shape[-1] == child.genome.blocks[0].filters
            load(build(child.genome, INPUT, 2), child.weights)
            return
    raise AssertionError("no cross in ten seeds")


def test_blocks_that_only_one_of_equally_fit_parents_has_are_taken_by_chance():
    first, second = parent_of(chain((0, 8), (1, 16), (5, 24))), parent_of(chain((0, 8), (2, 40)))
    drawn = []
    for seed in range(60):
        drawing = Variation(Space(INPUT, 2), np.random.default_rng(seed), HistoricalMarks(count=10))
        drawn.append(drawing.cross(first, second, equally_fit=True))
    crosses = [child for child in drawn if child.change == "cross"]
    marks = {tuple(block.mark for block in child.genome.blocks) for child in crosses}
    # block 2 stands behind block 0, as in `second`; (0, 1, 5) is the first parent itself
    assert marks == {(0,), (0, 1), (0, 5), (0, 2), (0, 2, 1), (0, 2, 5), (0, 2, 1, 5)}
    for child in crosses:
        load(build(child.genome, INPUT, 2), child.weights)
        assert ("block_2_conv" in child.weights) == any(b.mark == 2 for b in child.genome.blocks)


def test_a_space_without_a_valid_child_is_refused():
    with pytest.raises(PupilaError, match=r"no valid child.*max_bytes.*3000"):
        variation(max_bytes=3000).initial()


def test_appending_is_what_the_study_did():
    drawing = Appending(Space(INPUT, 2), np.random.default_rng(0), HistoricalMarks())
    parent = parent_of(drawing.initial())
    drawn = [drawing.append(parent) for _ in range(30)]
    children = [child for child in drawn if child]
    assert len(children) == len(drawn)
    last = [child.genome.blocks[-1] for child in children]
    assert {block.filters for block in last} <= {16, 32, 64, 128, 256, 512}
    assert {block.normalised for block in last} == {True, False}
    assert all(block.pooling == "max" and block.kernel == 3 for block in last)
    assert all("block_0_conv" in child.weights for child in children)
    assert all("logits" not in child.weights for child in children)
