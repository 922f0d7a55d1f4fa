"""Compares relations between the images of a batch, in the features of teacher and student.

Park et al. 2019, "Relational knowledge distillation" (CVPR; arXiv 1904.05068). Let t be the
features of the teacher and s the features of the student, which may differ in size. Let l be
Huber's loss: half the square of a difference up to 1, and the difference minus 1/2 above 1.

    section 3.2.1, by distance   Σ_ij  l(‖t_i - t_j‖ / μ_t, ‖s_i - s_j‖ / μ_s),
                                 μ: mean distance of two images of the batch
    section 3.2.2, by angle      Σ_ijk l(cos ∠ t_i t_j t_k, cos ∠ s_i s_j s_k)

As in the authors' code, `lenscloth/RKD`, μ is the mean over pairs of different images, and means
over all pairs and triplets replace the sums. Pairs and triplets in which an image occurs twice are
included; their loss is 0.
"""

from __future__ import annotations

from typing import Any

from pupila.keras_files import import_keras

keras = import_keras()
ops = keras.ops

_LEAST_SQUARE = 1e-12
"""Smaller squared distances count as 0 and get no gradient, as it would be infinite at 0."""


def distance_loss(teacher: Any, student: Any) -> Any:
    """Return the distance loss of each image, `(batch,)`: the mean over its pairs with all images.

    `teacher` and `student` are features `(batch, features)`.
    """
    return keras.losses.huber(_distances(teacher), _distances(student))


def angle_loss(teacher: Any, student: Any) -> Any:
    """Return the angle loss of each image, `(batch,)`: the mean over its triplets.

    In the triplets of an image, this image is the vertex of the angle. `teacher` and `student` are
    features `(batch, features)`.
    """
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
    """Return cosines `(batch, batch, batch)`; `[j, i, k]` is for the angle at j between i and k."""
    towards = ops.normalize(_differences(features), axis=-1, order=2)
    return ops.matmul(towards, ops.transpose(towards, (0, 2, 1)))


def _differences(features: Any) -> Any:
    """Return differences `(batch, batch, features)` of features x, with x_i - x_j at `[j, i]`."""
    return features[None] - features[:, None]
