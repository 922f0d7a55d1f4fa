"""Compares the relations between the images of a batch in the features of teacher and student.

Park et al. 2019, "Relational knowledge distillation" (CVPR; arXiv 1904.05068), with features t of
the teacher and s of the student, which may differ in size, and Huber's loss l (half the square of a
difference up to 1, above that the difference minus 1/2):

    section 3.2.1, by distance   Σ_ij  l(‖t_i - t_j‖ / μ_t, ‖s_i - s_j‖ / μ_s),
                                 μ: mean distance of two images of the batch
    section 3.2.2, by angle      Σ_ijk l(cos ∠ t_i t_j t_k, cos ∠ s_i s_j s_k)

As in their code, `lenscloth/RKD`, μ is the mean over pairs of different images, and the sums are
replaced by means over all pairs and triplets. These include pairs and triplets in which an image
occurs twice, whose loss is 0.
"""

from __future__ import annotations

from typing import Any

from pupila.keras_files import import_keras

keras = import_keras()
ops = keras.ops

_LEAST_SQUARE = 1e-12
"""Squared distances below this get no gradient, which would be infinite at 0."""


def distance_loss(teacher: Any, student: Any) -> Any:
    """Return the distance loss of each image `(batch,)`, its mean over the images of the batch.

    Both arguments are features `(batch, features)`.
    """
    return keras.losses.huber(_distances(teacher), _distances(student))


def angle_loss(teacher: Any, student: Any) -> Any:
    """Return the angle loss of each image `(batch,)`: the mean over triplets whose vertex it is."""
    return ops.mean(keras.losses.huber(_cosines(teacher), _cosines(student)), axis=-1)


def _distances(features: Any) -> Any:
    """Return the distances between images divided by their mean, `(batch, batch)`."""
    squares = ops.sum(ops.square(_differences(features)), axis=-1)
    near = squares < _LEAST_SQUARE
    distances = ops.where(near, 0.0, ops.sqrt(ops.where(near, 1.0, squares)))
    count = ops.cast(ops.shape(features)[0], distances.dtype)
    mean = ops.sum(distances) / ops.maximum(count * (count - 1), 1.0)
    return distances / ops.maximum(mean, _LEAST_SQUARE)


def _cosines(features: Any) -> Any:
    """Return cosines `(batch, batch, batch)`: at `[j, i, k]` that of the angle at j to i and k."""
    towards = ops.normalize(_differences(features), axis=-1, order=2)
    return ops.matmul(towards, ops.transpose(towards, (0, 2, 1)))


def _differences(features: Any) -> Any:
    """Return differences `(batch, batch, features)` of features x, with x_i - x_j at `[j, i]`."""
    return features[None] - features[:, None]
