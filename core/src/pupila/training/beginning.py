"""A student that is the beginning of its teacher: the first layers, their weights, and a new head.

A few hundred images cannot teach a small net from random weights what a teacher brings from
millions of others: it answers them as its teacher does, and images of another place by chance. So
the student takes the teacher's first layers as they are, and learns on.

A teacher is cut behind a layer where one feature map is all that the rest of it reads. The head is
a 1x1 convolution with batch normalisation and ReLU6, the mean over positions, and a dense layer
that gives the logits.
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

keras = import_keras()
layers = keras.layers

_MOMENTUM = 0.9
"""Of the head's batch normalisation, and of all where it learns: a small dataset has some 15 steps
an epoch, and with Keras' 0.99 the running statistics lag seven epochs behind the weights."""

_HEAD_LAYERS = 3
"""That have weights: convolution, normalisation, dense."""
_SHOWN_CUTS = 8
_VIEWS = (
    *(layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom),
    *(layers.RandomBrightness, layers.RandomContrast),
)
"""What alters pictures in training: views are made already, and the teacher answers those."""
_PADDING = (layers.ZeroPadding2D, layers.Cropping2D)


@dataclass(frozen=True)
class Cut:
    """A layer behind which one feature map is all that the rest of a teacher reads."""

    layer: str
    feature_map: Any
    size_bytes: int
    """Of the student that ends here with its head, as an int8 flatbuffer; estimated."""


class Cuts:
    """Where a teacher can be cut, shallow to deep.

    Raises:
        PupilaError: the teacher is no graph of layers, or has no such place.
    """

    def __init__(self, teacher: Any, head: int, classes: int) -> None:
        calls = Calls(teacher)
        self._name = teacher.name
        self._layers = [layer.name for layer, _ in calls.made]
        self._image = calls.image
        self._cuts = list(_cuts(calls, head, classes))
        self.teacher_bytes = file_bytes(*_kernels(layer for layer, _ in calls.made))
        """Of the whole teacher, estimated alike."""
        if not self._cuts:
            raise PupilaError(
                f"The teacher {self._name!r} has no layer behind which one feature map is all that "
                f"the rest of it reads, so no student can begin as it does. Name a `student`."
            )

    def behind(self, layer: str) -> Cut:
        """Return the cut behind a layer.

        Raises:
            PupilaError: there is none.
        """
        for cut in self._cuts:
            if cut.layer == layer:
                return cut
        fault = (
            f"cannot be cut behind {layer!r}: what the rest of it reads is not one feature map"
            if layer in self._layers
            else f"has no layer {layer!r}"
        )
        hint = "" if layer in self._layers else nearest(layer, self._layers)
        raise PupilaError(
            f"The teacher {self._name!r} {fault}.{hint} Cut it behind {self._listed()}."
        )

    def within(self, size_bytes: int) -> Cut:
        """Return the deepest cut whose student takes no more bytes.

        Raises:
            PupilaError: every student takes more.
        """
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
        classes: int,
        head: int,
        *,
        keep_norms: bool,
        frozen: str | float = 0.0,
    ) -> Any:
        """Return a model of raw RGB that gives logits `(batch, classes)`.

        Its layers are those of the teacher, not copies. With `keep_norms`, batch normalisation goes
        on with the teacher's statistics, scales and offsets. The layers up to the one that
        `frozen` names stay as they are, or the first ones that together have no more than that part
        of the weights; all else is trained.

        Raises:
            PupilaError: the teacher's layers cannot read such an input, or none of those that the
                student has is called `frozen`.
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
        found = [layer for layer, _ in calls.made]
        _prepare(found, keep_norms=keep_norms)
        until = self._named(found, frozen) if isinstance(frozen, str) else _part(found, frozen)
        for layer in found[:until]:
            if isinstance(layer, keras.Layer):
                layer.trainable = False
        taken = {layer.name for layer in found}
        logits = _with_head(calls.output, head, classes, taken)
        return keras.Model(calls.image, logits, name="beginning")

    def _named(self, found: Sequence[Any], until: str) -> int:
        """Return how many layers there are up to the one of that name."""
        names = [layer.name for layer in found]
        if until not in names:
            raise PupilaError(
                f"The beginning of the teacher {self._name!r} has no layer {until!r} to be frozen "
                f"up to.{nearest(until, names)} It ends with {names[-1]!r}."
            )
        return names.index(until) + 1

    def _listed(self) -> str:
        """Name some of the cuts, evenly spread."""
        step = -(-len(self._cuts) // _SHOWN_CUTS)
        return " or ".join(repr(cut.layer) for cut in self._cuts[step - 1 :: step])


@contextmanager
def head_alone_learns(student: Any, head: int) -> Generator[None]:
    """Keep the teacher's layers of a student as they are, for as long as the context lasts.

    `head` is the width that it was built with.
    """
    weighted = [layer for layer in student.layers if layer.weights]
    of_teacher = weighted[: -(_HEAD_LAYERS if head else 1)]
    every = [each for layer in of_teacher for each in layer._flatten_layers()]
    learning = [each.trainable for each in every]
    for layer in of_teacher:
        layer.trainable = False
    try:
        yield
    finally:
        for each, before in zip(every, learning, strict=True):  # a model before its layers
            each.trainable = before


def _cuts(calls: Calls, head: int, classes: int) -> Iterator[Cut]:
    """Yield the narrow places where a feature map is read, with the size of what is before each."""
    found = [layer for layer, _ in calls.made]
    for number, tensor in bottlenecks(calls):
        layer = found[number]
        if not _is_map(tensor) or isinstance(layer, _PADDING):
            continue
        entries, channels = _kernels(found[: number + 1])
        if channels:
            width = head or tensor.shape[-1]
            entries += width * (classes + (tensor.shape[-1] if head else 0))
            added = [head, classes] if head else [classes]
            yield Cut(layer.name, tensor, file_bytes(entries, [*channels, *added]))


def _part(found: Sequence[Any], share: float) -> int:
    """Return how many of the first layers have no more than that share of the weights of all."""
    weights = [
        sum(math.prod(each.shape) for each in getattr(layer, "weights", ())) for layer in found
    ]
    within = np.cumsum(weights) <= share * sum(weights)
    return int(within.sum()) if share else 0


def _kernels(found: Any) -> tuple[int, list[int]]:
    """Return the entries of all kernels, and each one's channels; what is called twice is one."""
    shapes = [
        (tuple(weight.shape), isinstance(layer, layers.DepthwiseConv2D))
        for layer in {id(each): each for each in found}.values()
        for weight in getattr(layer, "weights", ())
        if len(weight.shape) > 1
    ]
    entries = sum(math.prod(shape) for shape, _ in shapes)
    return entries, [math.prod(shape[-2:]) if depth else shape[-1] for shape, depth in shapes]


def _is_map(tensor: Any) -> bool:
    """Whether a tensor has several positions: `(batch, height, width, channels)`."""
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)


def _prepare(found: Sequence[Any], *, keep_norms: bool) -> None:
    """Let all layers learn, whatever the teacher's froze; normalisation only if it should."""
    for layer in found:
        if not isinstance(layer, keras.Layer):
            continue  # an operation such as `keras.ops.relu` has nothing to learn
        layer.trainable = True
        for each in layer._flatten_layers():
            if isinstance(each, layers.BatchNormalization):
                each.trainable = not keep_norms
                each.momentum = _MOMENTUM


def _with_head(x: Any, width: int, classes: int, taken: set[str]) -> Any:
    """Return the logits that a new head gives of a feature map."""

    def name(wanted: str) -> str:
        while wanted in taken:
            wanted += "_again"
        return wanted

    if width:
        x = layers.Conv2D(width, 1, use_bias=False, name=name("head"))(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=name("head_norm"))(x)
        x = layers.Activation("relu6", name=name("head_relu6"))(x)
    x = layers.GlobalAveragePooling2D(name=name("head_pool"))(x)
    return layers.Dense(classes, dtype="float32", name=name("logits"))(x)
