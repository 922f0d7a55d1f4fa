"""Finds the stages of a convolutional net, so that any two nets can be compared stage by stage.

A *stage* is the part of a net between two halvings of its feature maps. The last feature map of the
part, `(batch, height, width, channels)`, represents the stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pupila.keras_files import import_keras
from pupila.keras_graphs import Calls

keras = import_keras()

Size = tuple[int, int]
"""Rows and columns of a feature map."""

_PADDING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
"""Layers that change the size of a feature map but not its resolution."""

_MOST_UNEVEN = 2.0
"""Largest ratio of the strides along the two sides of a feature map: a layer may halve one side."""


def with_stages(model: Any) -> Any:
    """Return a model of the same layers that outputs `[output, *stages]`.

    `output` is the model's own output, and `stages` are the last feature maps of the stages,
    shallow to deep.

    Raises:
        PupilaError: the model is not a graph of layers.
    """
    calls = Calls(model)
    return keras.Model(calls.image, [calls.output, *_last_of_each(calls.made, calls.image)])


def size_of(feature_map: Any) -> Size:
    """Return the rows and columns of a feature map `(batch, height, width, channels)`."""
    _, height, width, _ = feature_map.shape
    return height, width


def _last_of_each(made: Sequence[tuple[Any, Any]], image: Any) -> list[Any]:
    """Return the last feature map of each stage, shallow to deep.

    Layers before the first convolution are preprocessing and are skipped. A map of one position is
    not a stage: it is a pooled vector, or belongs to a squeeze-and-excitation block.
    """
    last: dict[Size, Any] = {}
    first = next((n for n, (layer, _) in enumerate(made) if _convolves(layer)), len(made))
    for layer, outputs in made[first:]:
        if not isinstance(layer, _PADDING):
            last |= {
                size_of(output): output
                for output in keras.tree.flatten(outputs)
                if _is_map(output, image)
            }
    return [last[size] for size in _halvings(last)]


def _convolves(layer: Any) -> bool:
    return any(len(weight.shape) == 4 for weight in getattr(layer, "weights", ()))


def _is_map(tensor: Any, image: Any) -> bool:
    """Return whether a tensor has a position for each part of the image.

    The tensors of attention may have four axes too, such as (batch, heads, positions, features).
    Their proportions differ from those of the image.
    """
    if len(tensor.shape) != 4 or size_of(tensor) == (1, 1):
        return False
    strides = [whole / part for whole, part in zip(size_of(image), size_of(tensor), strict=True)]
    return max(strides) <= _MOST_UNEVEN * min(strides)


def _halvings(sizes: Any) -> list[Size]:
    """Return the smallest size of a feature map in each stage; the largest stage comes first.

    A new stage begins where rows or columns are at most half as many as before, rounded up. A map
    that is only a little smaller comes from a convolution without padding, and belongs to the same
    stage.
    """
    stages: list[Size] = []
    for size in sorted(sizes, key=lambda size: size[0] * size[1], reverse=True):
        same = stages and all(
            2 * n > before + 1 for n, before in zip(size, stages[-1], strict=True)
        )
        if same:
            stages[-1] = size
        else:
            stages.append(size)
    return stages
