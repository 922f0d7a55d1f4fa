"""What the layers of a float flatbuffer are given: means and second moments of their inputs.

A convolution is a product with patches: of a patch, every offset in the kernel and every channel
is an input of its own. Patches at the border have the zeros of the padding in them, as there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Progress
from pupila.arrays import Pixels
from pupila.litert.flatbuffer import import_schema
from pupila.litert.interpreter import Interpreter
from pupila.threads import model_threads
from pupila_quantize.weighted import Weighted, read_weighted

schema = import_schema()

_PLACES = 128
"""Patches of an image that go into second moments, drawn anew for each; means are of all."""

TOGETHER = 1280
"""So many inputs have their moments with each other kept; those of others count as zero. Otherwise
the first dense layer of VGG19, of 25088 inputs, had a matrix of 2.5 GB."""


@dataclass
class Inputs:
    """What one operator was given, on average over images and places."""

    mean: NDArray[np.float64]
    """`(offsets, channels)`."""
    moments: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    """`(inputs, inputs)` each: E[x xᵀ] of `TOGETHER` inputs after the other, the last the rest."""


def observe(
    path: Path,
    images: NDArray[np.uint8] | Pixels,
    rows: list[int],
    with_moments: bool,
    progress: Progress,
) -> list[Inputs]:
    """Run `images[rows]` through a float flatbuffer; return the inputs of what has weights."""
    operators = read_weighted(path)
    interpreter = Interpreter(path, threads=model_threads(), keep_all_tensors=True)
    random = np.random.default_rng(0)
    inputs: list[Inputs] = []
    for done, row in enumerate(rows, start=1):
        interpreter.run(images[row])
        seen = (_Seen.of(each, interpreter) for each in operators)
        told = [each.inputs(with_moments, random) for each in seen]
        inputs = [_added(*pair) for pair in zip(inputs, told, strict=True)] if inputs else told
        progress(done, len(rows), "images for correction")
    for each in inputs:
        each.mean /= len(rows)
        each.moments = [moments / len(rows) for moments in each.moments]
    return inputs


def _added(sums: Inputs, more: Inputs) -> Inputs:
    sums.mean += more.mean
    for total, part in zip(sums.moments, more.moments, strict=True):
        total += part
    return sums


@dataclass(frozen=True)
class _Seen:
    """The input of one operator for one image, padded, and where its patches are."""

    values: NDArray[np.float32]
    """`(height, width, channels)`, of a dense layer `(1, rows, channels)`."""
    vertical: _Steps
    horizontal: _Steps
    has_moments: bool

    @classmethod
    def of(cls, operator: Weighted, interpreter: Interpreter) -> _Seen:
        given = interpreter.tensor(operator.input_index)
        if operator.kind == "FULLY_CONNECTED":
            values = given.reshape(1, -1, operator.kernel.shape[1])
            return cls(values, _Steps.each(1), _Steps.each(values.shape[1]), True)
        (_, height, width, channels), options = given.shape, operator.options
        vertical = _Steps.of(
            height,
            operator.kernel.shape[1],
            options.strideH,
            options.dilationHFactor,
            options.padding,
        )
        horizontal = _Steps.of(
            width,
            operator.kernel.shape[2],
            options.strideW,
            options.dilationWFactor,
            options.padding,
        )
        values = np.pad(given[0], (vertical.padding, horizontal.padding, (0, 0)))
        is_plain = operator.kind == "CONV_2D" and operator.kernel.shape[3] == channels
        return cls(values, vertical, horizontal, is_plain)

    def inputs(self, with_moments: bool, random: np.random.Generator) -> Inputs:
        means = [part.mean((0, 1), dtype=np.float64) for part in self._by_offset()]
        moments = self._moments(random) if with_moments and self.has_moments else []
        return Inputs(np.stack(means), moments)

    def _by_offset(self) -> Iterator[NDArray[np.float32]]:
        for row in self.vertical.offsets:
            for column in self.horizontal.offsets:
                yield self.values[self.vertical.at(row), self.horizontal.at(column)]

    def _moments(self, random: np.random.Generator) -> list[NDArray[np.float32]]:
        drawn = self._patches(random)
        parts = np.split(drawn, range(TOGETHER, drawn.shape[1], TOGETHER), axis=1)
        return [part.T @ part / np.float32(len(part)) for part in parts]

    def _patches(self, random: np.random.Generator) -> NDArray[np.float32]:
        """Return some patches `(places, inputs)`."""
        count = self.vertical.count * self.horizontal.count
        places = random.choice(count, min(count, _PLACES), replace=False)
        rows, columns = np.divmod(places, self.horizontal.count)
        down = rows[:, np.newaxis] * self.vertical.stride + np.array(self.vertical.offsets)
        along = columns[:, np.newaxis] * self.horizontal.stride + np.array(self.horizontal.offsets)
        return self.values[down[:, :, np.newaxis], along[:, np.newaxis]].reshape(len(places), -1)


@dataclass(frozen=True)
class _Steps:
    """Where a kernel stands along one side, counted on the padded picture."""

    count: int
    stride: int
    offsets: tuple[int, ...]
    padding: tuple[int, int]

    @classmethod
    def each(cls, count: int) -> _Steps:
        return cls(count, 1, (0,), (0, 0))

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, dilation: int, padding: int) -> _Steps:
        reach = (kernel - 1) * dilation + 1
        same = padding == schema.Padding.SAME
        count = -(-size // stride) if same else -(-(size - reach + 1) // stride)
        missing = max(0, (count - 1) * stride + reach - size) if same else 0
        offsets = tuple(range(0, reach, dilation))
        return cls(count, stride, offsets, (missing // 2, missing - missing // 2))

    def at(self, offset: int) -> slice:
        return slice(offset, offset + (self.count - 1) * self.stride + 1, self.stride)
