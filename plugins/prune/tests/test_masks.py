"""Masks of the kept weights, and the sparsity schedule."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from pupila import keras_files
from pupila_prune.kernels import kernels_of
from pupila_prune.masks import (
    has_groups,
    masks_across_layers,
    masks_per_layer,
    sparsity_after,
    two_of_four,
)

keras = keras_files.import_keras()
layers = keras.layers

# Schedule ---------------------------------------------------------------------------------------

SCHEDULED = [
    (0.0, 0.8, 1, [0.8]),
    (0.0, 0.8, 2, [0.7, 0.8]),
    (0.0, 0.8, 4, [0.4625, 0.7, 0.7875, 0.8]),
    (0.4, 0.9, 2, [0.8375, 0.9]),
]


@pytest.mark.parametrize(("initial", "final", "rounds", "expected"), SCHEDULED)
def test_many_weights_are_cut_first_and_few_last(initial, final, rounds, expected):
    schedule = [sparsity_after(initial, final, number, rounds) for number in range(1, rounds + 1)]
    assert schedule == pytest.approx(expected)


@pytest.mark.slow
def test_the_schedule_is_that_of_tensorflow_model_optimization():
    pytest.importorskip("tensorflow_model_optimization", reason="only compared with")
    program = (
        "import json, tensorflow_model_optimization as tfmot\n"
        "schedule = tfmot.sparsity.keras.PolynomialDecay(0.1, 0.85, 0, 5, frequency=1)\n"
        "print(json.dumps([float(schedule(step)[1]) for step in range(1, 6)]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(ran.stdout.splitlines()[-1])
    ours = [sparsity_after(0.1, 0.85, number, 5) for number in range(1, 6)]
    assert ours == pytest.approx(theirs, abs=1e-6)


# Scopes -----------------------------------------------------------------------------------------

SCORES = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2, 0.3, 5.0])]


@pytest.mark.parametrize(
    ("choose", "sparsity", "kept"),
    [
        (masks_per_layer, 0.5, [[[0, 0], [1, 1]], [0, 0, 1, 1]]),
        (masks_per_layer, 0.99, [[[0, 0], [0, 1]], [0, 0, 0, 1]]),
        (masks_across_layers, 0.5, [[[0, 1], [1, 1]], [0, 0, 0, 1]]),
        (masks_across_layers, 0.75, [[[0, 0], [0, 1]], [0, 0, 0, 1]]),
    ],
)
def test_the_lowest_scores_are_cut(choose, sparsity, kept):
    masks = choose(SCORES, sparsity)
    assert [mask.astype(int).tolist() for mask in masks] == kept


def test_of_equal_scores_exactly_as_many_as_asked_are_cut():
    (kept,) = masks_across_layers([np.zeros((10, 10))], 0.37)
    assert kept.sum() == 63


# Two of four ------------------------------------------------------------------------------------


def kernel_of(layer, channels=4):
    shape = (channels,) if isinstance(layer, layers.Dense) else (8, 8, channels)
    picture = keras.Input(shape)
    return kernels_of(keras.Model(picture, layer(picture)))


GROUPED = [
    ("a convolution of four channels", layers.Conv2D(5, 3), 4, [True]),
    ("a convolution of colours", layers.Conv2D(5, 3), 3, [False]),
    ("a pointwise convolution", layers.Conv2D(5, 1), 8, [True]),
    ("a grouped convolution", layers.Conv2D(6, 3, groups=2), 8, [True]),
    ("a transposed convolution", layers.Conv2DTranspose(5, 3), 4, [True]),
    ("a dense layer", layers.Dense(3), 12, [True]),
    ("a dense layer of six inputs", layers.Dense(3), 6, [False]),
    ("a depthwise convolution", layers.DepthwiseConv2D(4), 4, [False]),
    ("a separable convolution", layers.SeparableConv2D(5, 3), 4, [False, True]),
]


@pytest.mark.parametrize(
    ("layer", "channels", "grouped"),
    [case[1:] for case in GROUPED],
    ids=[case[0] for case in GROUPED],
)
def test_two_of_every_four_weights_of_an_output_are_kept(layer, channels, grouped):
    kernels = kernel_of(layer, channels)
    assert list(map(has_groups, kernels)) == grouped
    for kernel in filter(has_groups, kernels):
        scores = np.abs(np.random.default_rng(0).normal(size=kernel.variable.shape))
        keep = two_of_four(kernel, scores)
        by_output = [np.moveaxis(values, kernel.output_axis, 0) for values in (keep, scores)]
        rows, groups = (values.reshape(-1, 4) for values in by_output)
        assert (rows.sum(axis=1) == 2).all()
        best, others = (np.where(mask, groups, fill) for mask, fill in ((rows, 9), (~rows, 0)))
        assert (best.min(axis=1) > others.max(axis=1)).all()


def test_rows_of_four_run_along_the_input_channels():
    (kernel,) = kernel_of(layers.Conv2D(1, 1), 8)
    keep = two_of_four(kernel, np.array([1, 2, 3, 4, 8, 7, 6, 5.0]).reshape(1, 1, 8, 1))
    assert keep.ravel().astype(int).tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
