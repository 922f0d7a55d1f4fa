"""Function-preserving changes of a genome: the child computes what its parent computed.

Chen et al. 2016, "Net2Net" (ICLR), and Wei et al. 2016, "Network morphism" (ICML):

* wider (Net2Net, section 2.2): a channel is copied, and the weights that read it are split among
  the copies. The paper splits them into equal parts. Equal copies would stay equal under an
  optimizer such as AdamW, so the paper adds noise. Here the parts differ at random, entry by entry,
  and add up to the original weights: the output is exact, and the copies learn different things.
* deeper (section 2.3): a block that computes the identity is inserted. A convolution computes the
  identity with a kernel that is 1 at its centre. This convolution has no normalisation, which would
  not be the identity in training. The activation of the convolution cuts off negative values, so
  the convolution cannot follow a block with negative outputs. An inverted residual computes the
  identity by adding 0: its last normalisation has a gain of 0.
* larger kernels (Network morphism, section 3.4): the old kernel is padded with zeros.

Everything here is NumPy. Weights are arrays by layer name, as `pupila_search.building` names
layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pupila import InputSpec
from pupila_search.genome import KERNELS, Block, Genome, Kind, positions_left

Weights = dict[str, list[NDArray[Any]]]

_APART = 0.5
"""Standard deviation of the random differences between parts of a split weight, relative to the
standard deviation of the kernel."""


_FIRST = {"convolution": "conv", "separable": "point", "inverted": "expand"}
"""For each kind of block: suffix of the name of the layer that mixes the input channels."""

_LAST = {"convolution": "conv", "separable": "point", "inverted": "project"}
"""For each kind of block: suffix of the name of the layer that computes the output."""


@dataclass(frozen=True)
class Child:
    """A new genome, and the weights from which its training starts."""

    genome: Genome
    weights: Weights
    """Weights by layer name. Weights that are missing or do not fit the genome are initialised."""
    preserved: bool
    """Whether the child, before training, computes what its parent computes."""
    change: str
    """The change from parent to child, as text."""


def widen(
    genome: Genome,
    weights: Weights,
    index: int,
    filters: int,
    input: InputSpec,
    random: Generator,
) -> Child:
    """Widen block `index` and the blocks tied to it by shortcuts, to `filters` output channels.

    `input` is the input spec of the model. The child computes what its parent computes, unless a
    task's own head reads the wider channels: its new weights are then initialised.
    """
    tied = genome.tied_to(index)
    copied = _copies(genome.blocks[index].filters, filters, random)
    wider = dict(weights)
    for number in tied:
        _copy_outputs(wider, _last_layer(genome.blocks[number]), copied)
        _split_readers(wider, genome, number + 1, copied, input, random)
    blocks = list(genome.blocks)
    for number in tied:
        blocks[number] = blocks[number].model_copy(update={"filters": filters})
    named = ", ".join(genome.blocks[number].name for number in tied)
    preserved = tied[-1] + 1 < len(blocks) or _head_layer(genome) in weights
    return Child(genome.with_blocks(blocks), wider, preserved, f"widen {named} to {filters}")


def widen_hidden(
    genome: Genome, weights: Weights, index: int, hidden: int, random: Generator
) -> Child:
    """Widen the inverted residual at `index` to `hidden` hidden channels.

    The child computes what its parent computes.
    """
    block, wider = genome.blocks[index], dict(weights)
    copied = _copies(block.hidden, hidden, random)
    _copy_outputs(wider, f"{block.name}_expand", copied)
    _copy_channels(wider, f"{block.name}_depth", copied)
    if block.squeeze:
        _split_inputs(wider, f"{block.name}_reduce", copied, random)
        _copy_outputs(wider, f"{block.name}_excite", copied)
    _split_inputs(wider, f"{block.name}_project", copied, random)
    changed = _changed(genome, index, hidden=hidden)
    return Child(changed, wider, True, f"expand {block.name} to {hidden}")


def deepen(
    genome: Genome, weights: Weights, index: int, kind: Kind, mark: int, random: Generator
) -> Child:
    """Insert a block of the given kind behind block `index`; the new block computes the identity.

    `mark` is the historical mark of the new block.

    Raises:
        ValueError: a block of this kind cannot compute the identity behind block `index`.
    """
    before = genome.blocks[index]
    if kind != "inverted" and before.is_linear:
        raise ValueError(f"a block {kind!r} would cut off the negative values of {before.name}")
    block = _identity(before, kind, mark)
    blocks = list(genome.blocks)
    blocks.insert(index + 1, block)
    added = _identity_weights(block, before.filters, random)
    changed = genome.with_blocks(blocks)
    return Child(changed, weights | added, True, f"{kind} behind {before.name}")


def grow_kernel(genome: Genome, weights: Weights, index: int) -> Child:
    """Enlarge the kernel of block `index` to the next size."""
    block, grown = genome.blocks[index], dict(weights)
    size = KERNELS[KERNELS.index(block.kernel) + 1]
    name = f"{block.name}_{'conv' if block.kind == 'convolution' else 'depth'}"
    margin = (size - block.kernel) // 2
    kernel, *others = weights[name]
    grown[name] = [np.pad(kernel, [(margin, margin)] * 2 + [(0, 0)] * 2), *others]
    changed = _changed(genome, index, kernel=size)
    return Child(changed, grown, True, f"kernel of {block.name} to {size}")


def fit_array(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of `new`, with entries of `old` wherever `old` and `new` overlap.

    Kernels are aligned at their centre, and channels keep their order. If `old` and `new` have
    different numbers of axes, they do not overlap.
    """
    if old.shape == new.shape:
        return old
    if old.ndim != new.ndim:
        return new
    result = new.copy()
    areas = [
        _overlap(was, now, centred=old.ndim == 4 and axis < 2)
        for axis, (was, now) in enumerate(zip(old.shape, new.shape, strict=True))
    ]
    result[tuple(now for _, now in areas)] = old[tuple(was for was, _ in areas)]
    return result


def _overlap(old: int, new: int, centred: bool) -> tuple[slice, slice]:
    common = min(old, new)
    starts = ((old - common) // 2, (new - common) // 2) if centred else (0, 0)
    first, second = (slice(start, start + common) for start in starts)
    return first, second


def _changed(genome: Genome, index: int, **fields: Any) -> Genome:
    blocks = list(genome.blocks)
    blocks[index] = blocks[index].model_copy(update=fields)
    return genome.with_blocks(blocks)


def _copies(old: int, new: int, random: Generator) -> NDArray[np.int64]:
    """Return, for each of `new` channels, the old channel that it copies, `(new,)`.

    The first `old` channels are the old ones.
    """
    if new <= old:
        raise ValueError(f"{new} channels are no more than {old}")
    return np.concatenate([np.arange(old), random.integers(0, old, new - old)])


def _last_layer(block: Block) -> str:
    return f"{block.name}_{_LAST[block.kind]}"


def _split_readers(
    weights: Weights,
    genome: Genome,
    index: int,
    copied: NDArray[np.int64],
    input: InputSpec,
    random: Generator,
) -> None:
    """Split the weights of block `index`, or of the head, among copies of its input channels."""
    if index == len(genome.blocks):
        _split_head(weights, genome, copied, input, random)
        return
    block = genome.blocks[index]
    if block.kind == "separable":
        _copy_channels(weights, f"{block.name}_depth", copied)
    _split_inputs(weights, f"{block.name}_{_FIRST[block.kind]}", copied, random)


def _split_head(
    weights: Weights,
    genome: Genome,
    copied: NDArray[np.int64],
    input: InputSpec,
    random: Generator,
) -> None:
    name = _head_layer(genome)
    if name not in weights:
        return  # the head of a task, see `widen`
    kernel, *others = weights[name]
    rows, columns = positions_left(genome, input) if genome.head.flatten else (1, 1)
    by_position = kernel.reshape(rows * columns, -1, kernel.shape[-1])
    split = _split(by_position, 1, copied, random)
    weights[name] = [split.reshape(-1, kernel.shape[-1]), *others]


def _head_layer(genome: Genome) -> str:
    """Return the name of the layer of a classifier's head that reads the last feature map."""
    return "head_dense" if genome.head.units else "logits"


def _copy_outputs(weights: Weights, name: str, copied: NDArray[np.int64]) -> None:
    """Copy output channels of a layer: of its kernel, its bias and the normalisation after it."""
    for layer in _with_norm(weights, name):
        weights[layer] = [array[..., copied] for array in weights[layer]]


def _copy_channels(weights: Weights, name: str, copied: NDArray[np.int64]) -> None:
    """Copy the channels of a depthwise kernel `(rows, columns, channels, 1)`."""
    for layer in _with_norm(weights, name):
        weights[layer] = [
            array[:, :, copied] if array.ndim == 4 else array[copied] for array in weights[layer]
        ]


def _split_inputs(
    weights: Weights, name: str, copied: NDArray[np.int64], random: Generator
) -> None:
    kernel, *others = weights[name]
    weights[name] = [_split(kernel, 2, copied, random), *others]


def _with_norm(weights: Weights, name: str) -> Iterator[str]:
    yield name
    if f"{name}_norm" in weights:
        yield f"{name}_norm"


def _split(
    kernel: NDArray[Any], axis: int, copied: NDArray[np.int64], random: Generator
) -> NDArray[Any]:
    """Split a channel's weights among its copies, in unequal parts that add up to the whole."""
    counts = np.bincount(copied)
    whole = np.moveaxis(kernel, axis, 0).astype(np.float64)
    apart = random.normal(0, _APART * kernel.std(), (len(copied), *whole.shape[1:]))
    sums = np.zeros_like(whole)
    np.add.at(sums, copied, apart)
    share = counts.reshape(-1, *[1] * (whole.ndim - 1))
    parts = (whole / share)[copied] + apart - (sums / share)[copied]
    return np.moveaxis(parts, 0, axis).astype(kernel.dtype)


def _identity(before: Block, kind: Kind, mark: int) -> Block:
    if kind == "inverted":
        return Block(
            mark=mark, kind=kind, filters=before.filters, hidden=2 * before.filters, shortcut=True
        )
    return Block(
        mark=mark,
        kind=kind,
        filters=before.filters,
        normalised=False,
        activation=before.activation,
    )


def _identity_weights(block: Block, channels: int, random: Generator) -> Weights:
    if block.kind == "convolution":
        kernel = _centred(np.eye(channels), block.kernel)
        return {f"{block.name}_conv": [kernel, _zeros(channels)]}
    if block.kind == "separable":
        depth = _centred(np.ones((channels, 1)), block.kernel)
        return {
            f"{block.name}_depth": [depth, _zeros(channels)],
            f"{block.name}_point": [_centred(np.eye(channels), 1), _zeros(channels)],
        }
    last = [_zeros(channels), _zeros(channels), _zeros(channels), _zeros(channels) + 1]
    return {f"{block.name}_project_norm": last} | _draw_inside(block, channels, random)


def _draw_inside(block: Block, channels: int, random: Generator) -> Weights:
    """Draw random kernels for an inverted residual, as in He et al. 2015, equation 10."""

    def drawn(*shape: int, reads: int) -> NDArray[np.float32]:
        return random.normal(0, np.sqrt(2 / reads), shape).astype(np.float32)

    size, hidden = block.kernel, block.hidden
    return {
        f"{block.name}_expand": [drawn(1, 1, channels, hidden, reads=channels)],
        f"{block.name}_depth": [drawn(size, size, hidden, 1, reads=size * size)],
        f"{block.name}_project": [drawn(1, 1, hidden, channels, reads=hidden)],
    }


def _centred(matrix: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Return a kernel `(size, size, …)` that is `matrix` at its centre and 0 elsewhere."""
    kernel = np.zeros((size, size, *matrix.shape), np.float32)
    kernel[size // 2, size // 2] = matrix
    return kernel


def _zeros(channels: int) -> NDArray[np.float32]:
    return np.zeros(channels, np.float32)
