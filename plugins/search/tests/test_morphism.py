from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec
from pupila.testing.nested import pictures
from pupila_search.building import build, load, weights_of
from pupila_search.genome import Block, Genome, Head
from pupila_search.morphism import deepen, fit_array, grow_kernel, widen, widen_hidden

INPUT = InputSpec(height=32, width=32)
TOLERANCE = 1e-4


def convolution(mark, **fields):
    return Block.model_validate({"mark": mark, "kind": "convolution"} | {"filters": 8} | fields)


def separable(mark, **fields):
    return Block.model_validate({"mark": mark, "kind": "separable"} | {"filters": 8} | fields)


def inverted(mark, **fields):
    return Block.model_validate(
        {"mark": mark, "kind": "inverted"} | {"filters": 8, "hidden": 16} | fields
    )


KINDS = {
    "convolution": convolution(1),
    "convolution, not normalised": convolution(1, normalised=False, activation="relu"),
    "convolution, strided": convolution(1, stride=2),
    "convolution, pooled": convolution(1, pooling="max"),
    "separable": separable(1),
    "separable, not normalised": separable(1, normalised=False, pooling="average"),
    "inverted": inverted(1),
    "inverted, strided": inverted(1, stride=2),
    "inverted, shortcut": inverted(1, shortcut=True),
    "inverted, squeezed": inverted(1, squeeze=4, shortcut=True),
}
HEADS = {"mean": Head(), "dense": Head(units=5), "flat": Head(flatten=True, units=3)}


def trained(genome, seed=0):
    """Return a model with random weights and statistics, as after training."""
    model, random = build(genome, INPUT, 2), np.random.default_rng(seed)
    drawn = {
        name: [array + random.uniform(0.02, 0.3, array.shape).astype("float32") for array in arrays]
        for name, arrays in weights_of(model).items()
    }
    load(model, drawn)
    return model


def difference(parent, child):
    """Build a child and return how far its logits are from its parent's, relative to them."""
    model = build(child.genome, INPUT, 2)
    load(model, child.weights)
    images = pictures(images=4)
    expected, answers = (np.asarray(net(images, training=False)) for net in (parent, model))
    assert np.ptp(expected) > 0
    return np.abs(answers - expected).max() / np.abs(expected).max()


def around(block, after, head):
    return Genome(blocks=(convolution(0, stride=2), block, after), head=head)


@pytest.mark.parametrize("block", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("after", [convolution(2), separable(2), inverted(2, shortcut=True)])
def test_a_wider_block_computes_the_same(block, after):
    genome = around(block, after, Head())
    parent = trained(genome)
    child = widen(genome, weights_of(parent), 1, 13, INPUT, np.random.default_rng(1))
    assert child.preserved and child.genome.blocks[1].filters == 13
    assert difference(parent, child) < TOLERANCE


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_the_last_block_may_be_wider_before_every_head(head):
    genome = around(convolution(1), separable(2), head)
    parent = trained(genome)
    child = widen(genome, weights_of(parent), 2, 16, INPUT, np.random.default_rng(1))
    assert difference(parent, child) < TOLERANCE


def test_blocks_whose_outputs_are_added_up_become_wider_together():
    genome = around(inverted(1, shortcut=True), inverted(2, shortcut=True), Head())
    parent = trained(genome)
    child = widen(genome, weights_of(parent), 1, 12, INPUT, np.random.default_rng(1))
    assert [block.filters for block in child.genome.blocks] == [12, 12, 12]
    assert difference(parent, child) < TOLERANCE


@pytest.mark.parametrize("squeeze", [0, 4])
def test_an_inverted_residual_wider_inside_computes_the_same(squeeze):
    genome = around(inverted(1, squeeze=squeeze), convolution(2), Head())
    parent = trained(genome)
    child = widen_hidden(genome, weights_of(parent), 1, 40, np.random.default_rng(1))
    assert child.genome.blocks[1].hidden == 40
    assert difference(parent, child) < TOLERANCE


@pytest.mark.parametrize("kind", ["convolution", "separable", "inverted"])
@pytest.mark.parametrize("block", KINDS.values(), ids=KINDS)
def test_a_deeper_genome_computes_the_same(block, kind):
    genome = around(block, convolution(2), Head())
    parent = trained(genome)
    random = np.random.default_rng(1)
    if block.is_linear and kind != "inverted":
        with pytest.raises(ValueError, match="negative values"):
            deepen(genome, weights_of(parent), 1, kind, 9, random)
        return
    child = deepen(genome, weights_of(parent), 1, kind, 9, random)
    assert [block.mark for block in child.genome.blocks] == [0, 1, 9, 2]
    assert difference(parent, child) < TOLERANCE


@pytest.mark.parametrize("block", KINDS.values(), ids=KINDS)
def test_a_larger_kernel_computes_the_same(block):
    genome = around(block, convolution(2), Head())
    parent = trained(genome)
    child = grow_kernel(genome, weights_of(parent), 1)
    assert child.genome.blocks[1].kernel == 5
    assert difference(parent, child) < TOLERANCE


def test_copies_of_a_channel_are_read_with_different_weights():
    genome = around(convolution(1), convolution(2), Head())
    child = widen(genome, weights_of(trained(genome)), 1, 16, INPUT, np.random.default_rng(1))
    kernel = child.weights["block_2_conv"][0]
    parts = {kernel[:, :, channel].tobytes() for channel in range(16)}
    assert len(parts) == 16


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((3, 3, 2, 4), (5, 5, 2, 4), 18 * 4),
        ((5, 5, 2, 4), (3, 3, 3, 2), 9 * 2 * 2),
        ((8,), (4,), 4),
        ((8, 2), (4,), 0),
    ],
)
def test_what_fits_is_inherited(old, new, expected):
    assert fit_array(np.ones(old), np.zeros(new)).sum() == expected


def test_a_kernel_keeps_its_centre():
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1
    assert fit_array(kernel, np.zeros((5, 5, 1, 1)))[2, 2, 0, 0] == 1
