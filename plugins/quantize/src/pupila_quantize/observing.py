"""Measures means and second moments of the inputs of a float flatbuffer's layers.

A convolution is a matrix product with patches of its input. A patch has one number for each offset
in the kernel and each channel; such a number is called an *input* here. Patches at the edge include
the zeros of the padding.
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
from pupila_quantize.weighted import WeightedOperator, read_weighted_operators

schema = import_schema()

_MAX_PATCHES = 128
"""Largest number of random patches per image for second moments; means use all patches."""

MOMENT_BLOCK = 1280
"""Largest number of consecutive inputs in a block. Second moments are measured within blocks;
between blocks they count as zero. Without blocks, the first dense layer of VGG19, with 25088
inputs, would need a matrix of 2.5 GB."""


@dataclass
class InputStats:
    """Statistics of one operator's inputs, over all images and all positions of the kernel."""

    mean: NDArray[np.float64]
    """Mean of each input, `(offsets, channels)`."""
    moments: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    """E[x xᵀ] of each block of at most `MOMENT_BLOCK` consecutive inputs, `(inputs, inputs)`;
    empty if not measured."""


def measure_inputs(
    path: Path,
    images: NDArray[np.uint8] | Pixels,
    rows: list[int],
    with_moments: bool,
    progress: Progress,
) -> list[InputStats]:
    """Run `images[rows]` through a float flatbuffer; return input statistics for each operator.

    `images` are `(images, height, width, 3)`. The operators are those that
    `read_weighted_operators` returns, in the same order. Second moments are measured only if
    `with_moments` is true, and only for dense layers and for convolutions that are neither
    depthwise nor grouped.
    """
    operators = read_weighted_operators(path)
    interpreter = Interpreter(path, threads=model_threads(), keep_all_tensors=True)
    random = np.random.default_rng(0)
    totals: list[InputStats] = []
    for done, row in enumerate(rows, start=1):
        interpreter.run(images[row])
        inputs = (_OperatorInput.of(operator, interpreter) for operator in operators)
        stats = [operator_input.stats(with_moments, random) for operator_input in inputs]
        totals = [_add(*pair) for pair in zip(totals, stats, strict=True)] if totals else stats
        progress(done, len(rows), "images for correction")
    for total in totals:
        total.mean /= len(rows)
        total.moments = [moments / len(rows) for moments in total.moments]
    return totals


def _add(sums: InputStats, more: InputStats) -> InputStats:
    sums.mean += more.mean
    for total, block in zip(sums.moments, more.moments, strict=True):
        total += block
    return sums


@dataclass(frozen=True)
class _OperatorInput:
    """The padded input of one operator for one image, and the positions of its patches."""

    values: NDArray[np.float32]
    """The padded input, `(height, width, channels)`; for a dense layer `(1, rows, channels)`."""
    vertical: _Positions
    horizontal: _Positions
    has_moments: bool

    @classmethod
    def of(cls, operator: WeightedOperator, interpreter: Interpreter) -> _OperatorInput:
        tensor = interpreter.tensor(operator.input_index)
        if operator.kind == "FULLY_CONNECTED":
            values = tensor.reshape(1, -1, operator.kernel.shape[1])
            return cls(values, _Positions.every(1), _Positions.every(values.shape[1]), True)
        (_, height, width, channels), options = tensor.shape, operator.options
        vertical = _Positions.of(
            height,
            operator.kernel.shape[1],
            options.strideH,
            options.dilationHFactor,
            options.padding,
        )
        horizontal = _Positions.of(
            width,
            operator.kernel.shape[2],
            options.strideW,
            options.dilationWFactor,
            options.padding,
        )
        values = np.pad(tensor[0], (vertical.padding, horizontal.padding, (0, 0)))
        is_plain = operator.kind == "CONV_2D" and operator.kernel.shape[3] == channels
        return cls(values, vertical, horizontal, is_plain)

    def stats(self, with_moments: bool, random: np.random.Generator) -> InputStats:
        means = [values.mean((0, 1), dtype=np.float64) for values in self._by_offset()]
        moments = self._moments(random) if with_moments and self.has_moments else []
        return InputStats(np.stack(means), moments)

    def _by_offset(self) -> Iterator[NDArray[np.float32]]:
        for row in self.vertical.offsets:
            for column in self.horizontal.offsets:
                yield self.values[self.vertical.at(row), self.horizontal.at(column)]

    def _moments(self, random: np.random.Generator) -> list[NDArray[np.float32]]:
        drawn = self._patches(random)
        blocks = np.split(drawn, range(MOMENT_BLOCK, drawn.shape[1], MOMENT_BLOCK), axis=1)
        return [block.T @ block / np.float32(len(block)) for block in blocks]

    def _patches(self, random: np.random.Generator) -> NDArray[np.float32]:
        """Return random patches `(patches, inputs)`."""
        count = self.vertical.count * self.horizontal.count
        drawn = random.choice(count, min(count, _MAX_PATCHES), replace=False)
        rows, columns = np.divmod(drawn, self.horizontal.count)
        down = rows[:, np.newaxis] * self.vertical.stride + np.array(self.vertical.offsets)
        along = columns[:, np.newaxis] * self.horizontal.stride + np.array(self.horizontal.offsets)
        return self.values[down[:, :, np.newaxis], along[:, np.newaxis]].reshape(len(drawn), -1)


@dataclass(frozen=True)
class _Positions:
    """The positions of a kernel along one side of the padded input."""

    count: int
    stride: int
    offsets: tuple[int, ...]
    padding: tuple[int, int]

    @classmethod
    def every(cls, count: int) -> _Positions:
        return cls(count, 1, (0,), (0, 0))

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, dilation: int, padding: int) -> _Positions:
        reach = (kernel - 1) * dilation + 1
        same = padding == schema.Padding.SAME
        count = -(-size // stride) if same else -(-(size - reach + 1) // stride)
        missing = max(0, (count - 1) * stride + reach - size) if same else 0
        offsets = tuple(range(0, reach, dilation))
        return cls(count, stride, offsets, (missing // 2, missing - missing // 2))

    def at(self, offset: int) -> slice:
        return slice(offset, offset + (self.count - 1) * self.stride + 1, self.stride)
