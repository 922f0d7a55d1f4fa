"""Zeros stay 0 and weights of a cluster stay equal, whatever the optimizer does."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import OutputSpec, PupilaError, keras_files
from pupila_prune.clusters import share_values, values_by_kernel
from pupila_prune.constraints import ClusterConstraint, keep_clusters, keep_zeros
from pupila_prune.heads import training_form
from pupila_prune.kernels import clustered_kernels, count_zeros, kernels_of, sparsity
from pupila_prune.kmeans import centroids, nearest
from pupila_prune.masks import masks_per_layer
from pupila_prune.weight_saliency import magnitude

keras = keras_files.import_keras()
layers = keras.layers


def net():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.SeparableConv2D(6, 3, name="separable")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2DTranspose(4, 2, name="transposed")(layers.DepthwiseConv2D(2, name="depth")(x))
    return keras.Model(image, layers.Dense(1, name="answer")(layers.Flatten()(x)))


def train(model, steps=5):
    random = np.random.default_rng(0)
    pictures = random.normal(size=(8 * steps, 8, 8, 3)).astype(np.float32)
    model.compile(keras.optimizers.AdamW(0.01, clipnorm=1.0), "mse", jit_compile=False)
    model.fit(pictures, random.normal(size=(8 * steps, *model.output_shape[1:])), 8, verbose=0)


def sparse():
    model = net()
    kernels = kernels_of(model)
    for kernel, keep in zip(kernels, masks_per_layer(magnitude(kernels), 0.7), strict=True):
        kernel.variable.assign(kernel.values * keep)
    return model


def clustered(clusters=4):
    model = net()
    for kernel in clustered_kernels(model):
        kernel.variable.assign(share_values(kernel.values, clusters))
    return model


def constraints_of(model):
    return [kernel.variable.constraint for kernel in kernels_of(model)]


def test_only_kernels_are_listed_and_of_all_kinds():
    assert [kernel.name for kernel in kernels_of(net())] == [
        "separable/depthwise_kernel",
        "separable/pointwise_kernel",
        "depth/kernel",
        "transposed/kernel",
        "answer/kernel",
    ]


def test_a_model_of_depthwise_kernels_alone_is_not_clustered():
    image = keras.Input((4, 4, 3))
    with pytest.raises(PupilaError, match=r"All kernels of the model .* are depthwise"):
        clustered_kernels(keras.Model(image, layers.DepthwiseConv2D(3)(image)))


def test_a_model_without_kernels_is_refused():
    image = keras.Input((4, 4, 3))
    with pytest.raises(PupilaError, match="no kernel of a convolution or a dense layer"):
        kernels_of(keras.Model(image, layers.GlobalAveragePooling2D()(image)))


def test_zeros_stay_zero_and_the_others_move():
    model = sparse()
    before = [kernel.values for kernel in kernels_of(model)]
    assert sparsity(model) == pytest.approx(0.7, abs=0.01)
    with keep_zeros(model):
        train(model)
    for old, kernel in zip(before, kernels_of(model), strict=True):
        assert ((kernel.values == 0) == (old == 0)).all()
        assert (kernel.values != old)[old != 0].all()


def test_without_the_constraint_zeros_do_not_stay():
    model = sparse()
    before = count_zeros(model)
    train(model)
    assert count_zeros(model) < 0.1 * before


def test_zeros_stay_where_a_model_of_the_same_layers_is_trained():
    model = sparse()
    before = count_zeros(model)
    with keep_zeros(model):
        train(training_form(model, OutputSpec(kind="sigmoid", classes=("blue", "red"))))
    assert count_zeros(model) == before


@pytest.mark.parametrize("constrained", [keep_zeros, keep_clusters])
def test_constraints_are_gone_afterwards_even_if_training_fails(constrained, tmp_path):
    model = sparse()
    mine = keras.constraints.NonNeg()
    model.get_layer("answer").kernel.constraint = mine
    before = model.get_config()
    with pytest.raises(KeyError), constrained(model):
        assert all(constraint not in (None, mine) for constraint in constraints_of(model))
        assert model.get_config() == before
        raise KeyError
    assert constraints_of(model) == [None, None, None, None, mine]


def test_weights_of_a_cluster_move_together():
    model = clustered()
    before = [kernel.values for kernel in clustered_kernels(model)]
    with keep_clusters(model):
        train(model)
    for old, kernel in zip(before, clustered_kernels(model), strict=True):
        assert len(np.unique(kernel.values)) <= 4
        assert (kernel.values != old).any()
        for centroid in np.unique(old):
            assert len(np.unique(kernel.values[old == centroid])) == 1


def test_depthwise_kernels_keep_their_values_and_their_zeros():
    model = clustered()
    (depth,) = (kernel for kernel in kernels_of(model) if kernel.name == "depth/kernel")
    depth.variable.assign(depth.values * (np.arange(4).reshape(2, 2, 1, 1) > 1))
    before = depth.values
    with keep_clusters(model):
        train(model)
    assert ((depth.values == 0) == (before == 0)).all()
    assert len(np.unique(depth.values)) == 1 + 2 * 6


def test_a_cluster_becomes_the_mean_of_its_weights_and_zero_stays_zero():
    constraint = ClusterConstraint(np.array([[1, 1, 0], [2, 0, 2]], np.float32))
    moved = constraint(np.array([[1.5, 0.5, 7], [3, 8, 2]], np.float32))
    assert np.asarray(moved).tolist() == [[1, 1, 0], [2.5, 0, 2.5]]


# k-means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("clusters", [2, 5, 16])
def test_centroids_are_where_lloyds_algorithm_ends(clusters):
    values = np.random.default_rng(0).standard_t(3, 2000).astype(np.float32)
    means = np.linspace(values.min(), values.max(), clusters)
    members = []
    for _ in range(1000):
        labels = np.abs(values[:, np.newaxis] - means).argmin(axis=1)
        members = [values[labels == label] for label in range(clusters)]
        means = np.array(
            [m.mean(dtype=float) if len(m) else c for m, c in zip(members, means, strict=True)]
        )
    expected = means[[len(member) > 0 for member in members]]
    assert centroids(values, clusters) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "clusters", "expected"),
    [
        ([1, 1, 1], 4, [1]),
        ([0, 10], 4, [0, 10]),
        ([0, 1, 10, 11], 2, [0.5, 10.5]),
        ([-3, 0, 0, 3], 3, [-3, 0, 3]),
    ],
)
def test_there_are_no_more_centroids_than_different_values(values, clusters, expected):
    given = np.array(values, np.float32)
    assert centroids(given, clusters).tolist() == expected
    assert set(nearest(given, centroids(given, clusters))) == set(expected)


def test_zeros_of_a_pruned_kernel_are_their_own_cluster():
    values = np.random.default_rng(0).normal(1, 0.5, (20, 50)).astype(np.float32)
    values[:10] = 0
    shared = share_values(values, 4)
    assert ((shared == 0) == (values == 0)).all()
    assert len(np.unique(shared)) == 4


def test_a_few_zeros_are_clustered_like_other_weights():
    values = np.random.default_rng(0).normal(1, 0.5, 1000).astype(np.float32)
    values[:50] = 0
    shared = share_values(values, 2)
    assert len(np.unique(shared)) == 2 and (shared != 0).all()


def test_a_kernel_has_as_many_values_as_were_asked_for():
    counts = values_by_kernel(clustered(6))
    assert list(counts) == ["separable/pointwise_kernel", "transposed/kernel", "answer/kernel"]
    assert max(counts.values()) == 6
