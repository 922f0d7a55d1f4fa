"""Makes a student from the beginning of its teacher: first layers, their weights, and a new head.

A teacher was trained on millions of images. A small net that starts with random weights and is
trained on a few hundred images learns the teacher's answers to those images, but is at chance on
images of another hospital. So the student starts from the teacher's first layers and trains them
further.

A teacher can be cut after a layer if all later layers together read only one feature map. The head
is that of the task (`pupila.training.task.TaskTraining.head`). A task that locates things needs a
fine feature map (`TaskTraining.largest_stride`), so deeper layers are left out.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pupila.errors import PupilaError, nearest
from pupila.int8_size import file_bytes
from pupila.keras_files import import_keras
from pupila.keras_graphs import Calls, bottlenecks
from pupila.spec import InputSpec
from pupila.training.task import TaskTraining, free_name

keras = import_keras()
layers = keras.layers

_MOMENTUM = 0.9
"""Momentum of batch normalisation, in the head and in trained layers. A small dataset has about 15
steps per epoch; with Keras' default of 0.99, the running statistics lag seven epochs behind."""

_SHOWN_CUTS = 8
_VIEWS = (
    *(layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom),
    *(layers.RandomBrightness, layers.RandomContrast),
)
"""Layers that augment pictures in training. Students omit them, since they get augmented pictures.
"""
_PADDING = (layers.ZeroPadding2D, layers.Cropping2D)


@dataclass(frozen=True)
class Cut:
    """A layer after which a teacher can be cut: all later layers read only one feature map."""

    layer: str
    feature_map: Any
    size_bytes: int
    """Estimated size of the student that ends here, head included, as an int8 flatbuffer."""


class Cuts:
    """All places where a teacher can be cut, from shallow to deep.

    `teacher` is a Keras model, `head` the width of the student's head, `classes` the number of its
    classes.

    Raises:
        PupilaError: the teacher is not a graph of layers, or cannot be cut anywhere.
    """

    def __init__(self, teacher: Any, head: int, training: TaskTraining) -> None:
        calls = Calls(teacher)
        self._name = teacher.name
        self._training = training
        self._layers = [layer.name for layer, _ in calls.made]
        self._image = calls.image
        self._cuts = list(_cuts(calls, head, training))
        self.teacher_bytes = file_bytes(*_kernels(layer for layer, _ in calls.made))
        """Estimated size of the whole teacher as an int8 flatbuffer."""
        if not self._cuts:
            raise PupilaError(
                f"The teacher {self._name!r} has no layer behind which the rest of it reads one "
                f"feature map only{_fineness(training.largest_stride)}, so no student can begin as "
                f"it does. Name a `student`."
            )

    def behind(self, layer: str) -> Cut:
        """Return the cut after the layer of that name.

        Raises:
            PupilaError: the teacher cannot be cut after that layer.
        """
        for cut in self._cuts:
            if cut.layer == layer:
                return cut
        fault = (
            f"cannot be cut behind {layer!r}: what the rest of it reads is not one feature map"
            f"{_fineness(self._training.largest_stride)}"
            if layer in self._layers
            else f"has no layer {layer!r}"
        )
        hint = "" if layer in self._layers else nearest(layer, self._layers)
        raise PupilaError(
            f"The teacher {self._name!r} {fault}.{hint} Cut it behind {self._listed()}."
        )

    def within(self, size_bytes: int | None) -> Cut:
        """Return the deepest cut whose student has an estimated size of at most `size_bytes`.

        None stands for any size.

        Raises:
            PupilaError: the students of all cuts are larger.
        """
        if size_bytes is None:
            return self._cuts[-1]
        fitting = [cut for cut in self._cuts if cut.size_bytes <= size_bytes]
        if not fitting:
            smallest = min(self._cuts, key=lambda cut: cut.size_bytes)
            raise PupilaError(
                f"The smallest beginning of the teacher {self._name!r}, up to {smallest.layer!r}, "
                f"takes about {smallest.size_bytes:,} bytes as int8, more than {size_bytes:,}. "
                f"Allow more, or name a `student`."
            )
        return fitting[-1]

    def student(
        self,
        cut: Cut,
        input: InputSpec,
        head: int,
        *,
        keep_norms: bool,
        frozen: str | float = 0.0,
    ) -> Any:
        """Return a model of raw RGB with the head of its task, such as logits `(batch, classes)`.

        `input` is the student's input, `head` the width of its head. The student shares the
        teacher's layers; they are not copied. With `keep_norms`, batch normalisation keeps the
        teacher's statistics, scales and offsets. `frozen` says which layers are not trained. The
        name of a layer freezes all layers up to and including that layer. A fraction freezes the
        first layers that together hold at most that fraction of the weights.

        Raises:
            PupilaError: the teacher's layers cannot read such an input, or the student has no layer
                named `frozen`.
        """
        trunk = keras.Model(self._image, cut.feature_map)
        try:
            calls = Calls(trunk, input.shape, without=_VIEWS)
        except (ValueError, TypeError) as error:
            own = " x ".join(map(str, self._image.shape[1:3]))
            raise PupilaError(
                f"The layers of the teacher {self._name!r} cannot read {input.height} x "
                f"{input.width} px, only {own}: leave `size` out. Keras says: "
                f"{str(error).splitlines()[0]}"
            ) from error
        own_layers = [layer for layer, _ in calls.made]
        _prepare(own_layers, keep_norms=keep_norms)
        until = (
            self._count_until(own_layers, frozen)
            if isinstance(frozen, str)
            else _count_within(own_layers, frozen)
        )
        for layer in own_layers[:until]:
            if isinstance(layer, keras.Layer):
                layer.trainable = False
        taken = {layer.name for layer in own_layers}
        output = self._training.head(calls.output, head, free_name(taken))
        return keras.Model(calls.image, output, name="beginning")

    def _count_until(self, own_layers: Sequence[Any], until: str) -> int:
        """Return how many layers there are up to and including the one named `until`."""
        names = [layer.name for layer in own_layers]
        if until not in names:
            raise PupilaError(
                f"The beginning of the teacher {self._name!r} has no layer {until!r} to be frozen "
                f"up to.{nearest(until, names)} It ends with {names[-1]!r}."
            )
        return names.index(until) + 1

    def _listed(self) -> str:
        """Return the layer names of some of the cuts, evenly spread, as text."""
        step = -(-len(self._cuts) // _SHOWN_CUTS)
        return " or ".join(repr(cut.layer) for cut in self._cuts[step - 1 :: step])


def deepest_fine_map(model: Any, largest_stride: int | None) -> tuple[Any, Any]:
    """Return a new input of a model, and its deepest feature map that is fine enough.

    A map is fine if it has a position for every `largest_stride` image pixels of each side; with
    None, any map is. A model of both shares its layers with `model`.

    Raises:
        PupilaError: the model is not a graph of layers, or has no such feature map.
    """
    calls = Calls(model)
    fine = [
        output
        for layer, output in calls.made
        if not isinstance(layer, _PADDING)
        and _is_map(output)
        and _is_fine(output, calls.image, largest_stride)
    ]
    if not fine:
        raise PupilaError(
            f"The student {model.name!r} has no feature map{_fineness(largest_stride)}: name "
            f"another `student`."
        )
    return calls.image, fine[-1]


@contextmanager
def frozen_trunk(student: Any, head_layers: int) -> Generator[None]:
    """Freeze a student's layers from the teacher inside the `with` block: only the head learns.

    `head_layers` is the number of layers of the head that have weights.
    """
    weighted = [layer for layer in student.layers if layer.weights]
    of_teacher = weighted[:-head_layers]
    every = [inner for layer in of_teacher for inner in layer._flatten_layers()]
    trainable = [inner.trainable for inner in every]
    for layer in of_teacher:
        layer.trainable = False
    try:
        yield
    finally:
        for inner, before in zip(every, trainable, strict=True):  # a model before its layers
            inner.trainable = before


def _cuts(calls: Calls, head: int, training: TaskTraining) -> Iterator[Cut]:
    """Yield the cuts of a teacher, each with the size of its student."""
    own_layers = [layer for layer, _ in calls.made]
    for number, tensor in bottlenecks(calls):
        layer = own_layers[number]
        if not _is_map(tensor) or isinstance(layer, _PADDING) or tensor is calls.output:
            continue
        if not _is_fine(tensor, calls.image, training.largest_stride):
            continue
        entries, channels = _kernels(own_layers[: number + 1])
        if channels:
            added = training.head_kernels(tensor.shape[-1], head)
            size = file_bytes(
                entries + sum(weights for weights, _ in added),
                [*channels, *(width for _, width in added)],
            )
            yield Cut(layer.name, tensor, size)


def _count_within(own_layers: Sequence[Any], share: float) -> int:
    """Return how many of the first layers together have at most `share` of all weights."""
    weights = [
        sum(math.prod(weight.shape) for weight in getattr(layer, "weights", ()))
        for layer in own_layers
    ]
    within = np.cumsum(weights) <= share * sum(weights)
    return int(within.sum()) if share else 0


def _kernels(own_layers: Any) -> tuple[int, list[int]]:
    """Return the total number of weights in the kernels, and the number of channels of each kernel.

    A layer that is called twice counts once.
    """
    shapes = [
        (tuple(weight.shape), isinstance(layer, layers.DepthwiseConv2D))
        for layer in {id(layer): layer for layer in own_layers}.values()
        for weight in getattr(layer, "weights", ())
        if len(weight.shape) > 1
    ]
    entries = sum(math.prod(shape) for shape, _ in shapes)
    return entries, [math.prod(shape[-2:]) if depth else shape[-1] for shape, depth in shapes]


def _is_map(tensor: Any) -> bool:
    """Whether a tensor is a feature map `(batch, height, width, channels)` of several positions."""
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)


def _is_fine(tensor: Any, image: Any, largest_stride: int | None) -> bool:
    """Whether a feature map has a position for every `largest_stride` pixels of each side.

    A map that lost a few positions at its edges, for want of padding, counts as a full one.
    """
    if largest_stride is None:
        return True
    sides = zip(image.shape[1:3], tensor.shape[1:3], strict=True)
    return all(round(pixels / positions) <= largest_stride for pixels, positions in sides)


def _fineness(largest_stride: int | None) -> str:
    """Say, for a message, how fine the feature map of a student must be; empty if any is."""
    if largest_stride is None:
        return ""
    return f" with a position for every {largest_stride} pixels or less"


def _prepare(own_layers: Sequence[Any], *, keep_norms: bool) -> None:
    """Make all layers trainable, but batch normalisation only if not `keep_norms`."""
    for layer in own_layers:
        if not isinstance(layer, keras.Layer):
            continue  # an operation such as `keras.ops.relu` has nothing to learn
        layer.trainable = True
        for inner in layer._flatten_layers():
            if isinstance(inner, layers.BatchNormalization):
                inner.trainable = not keep_norms
                inner.momentum = _MOMENTUM
