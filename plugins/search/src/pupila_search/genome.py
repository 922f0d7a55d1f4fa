"""Genomes: architectures as lists of blocks, each with a historical mark.

Stanley and Miikkulainen 2002, "Evolving neural networks through augmenting topologies", section
3.2: a gene keeps the number that it got when it first appeared, its historical mark, so genes of
the same origin can be matched between any two genomes. Here a gene is a block of convolutions.

A genome is only data; `pupila_search.building` builds the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pupila import InputSpec
from pupila.int8_size import file_bytes

if TYPE_CHECKING:
    from pupila.training.task import TaskTraining

Kind = Literal["convolution", "separable", "inverted"]
Activation = Literal["relu", "relu6"]
Pooling = Literal["none", "max", "average"]

KINDS: tuple[Kind, ...] = ("convolution", "separable", "inverted")
KERNELS: tuple[Literal[3, 5], ...] = (3, 5)


class _Gene(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Block(_Gene):
    """One block: a convolution, a separable convolution, or an inverted residual."""

    mark: int = Field(ge=0, description="Number that the block got when it first appeared.")
    kind: Kind
    filters: int = Field(ge=1, description="Output channels.")
    kernel: Literal[3, 5] = 3
    stride: Literal[1, 2] = 1
    normalised: bool = Field(default=True, description="Whether convolutions are normalised.")
    activation: Activation = "relu6"
    pooling: Pooling = Field(default="none", description="Pooling of 2 x 2 after the block.")
    hidden: int = Field(default=0, ge=0, description="Channels inside an inverted residual.")
    squeeze: int = Field(default=0, ge=0, description="Channels of squeeze-excitation; 0: none.")
    shortcut: bool = Field(default=False, description="Whether the input is added to the output.")

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        inverted = self.kind == "inverted"
        if inverted != (self.hidden > 0) or (inverted and not self.normalised):
            raise ValueError(f"a block {self.kind!r} cannot have `hidden` {self.hidden!r} channels")
        if not inverted and (self.squeeze or self.shortcut):
            raise ValueError(f"a block {self.kind!r} has neither `squeeze` nor `shortcut`")
        if self.shortcut and (self.stride > 1 or self.pooling != "none"):
            raise ValueError("a block with a `shortcut` keeps the size of its input")
        return self

    @property
    def name(self) -> str:
        """Prefix of the block's layer names, unique in a genome and the same in its descendants."""
        return f"block_{self.mark}"

    @property
    def is_linear(self) -> bool:
        """Whether the block's output is linear, so that it can be negative."""
        return self.kind == "inverted"

    def side_after(self, side: int) -> int:
        """Return the height or width of the output, in pixels, for an input of `side` pixels."""
        side = -(-side // self.stride)
        return side if self.pooling == "none" else side // 2


class Head(_Gene):
    """The layers that turn the last feature map into logits, or into the output of another task."""

    flatten: bool = Field(default=False, description="Read every position, not their mean.")
    units: int = Field(
        default=0,
        ge=0,
        description="Units of a hidden dense layer; 0: none. In tasks other than classification, "
        "channels of the task's own head.",
    )


class Genome(_Gene):
    """An architecture: its blocks and its head. A genome can be restored exactly from its JSON."""

    blocks: tuple[Block, ...] = Field(min_length=1)
    head: Head = Head()

    @model_validator(mode="after")
    def _marks_each_block_once(self) -> Self:
        marks = [block.mark for block in self.blocks]
        if len(set(marks)) < len(marks):
            raise ValueError(f"marks tell blocks apart, but these are {marks}")
        return self

    @property
    def structure(self) -> str:
        """The architecture as text without marks, equal for equal architectures."""
        plain = [block.model_dump_json(exclude={"mark"}) for block in self.blocks]
        return "\n".join([*plain, self.head.model_dump_json()])

    def channels_into(self, index: int) -> int:
        """Return the number of input channels of block `index`; `len(blocks)` means the head."""
        return self.blocks[index - 1].filters if index else 3

    def with_blocks(self, blocks: list[Block]) -> Genome:
        """Return the genome with its blocks replaced; shortcuts that no longer fit are dropped."""
        fitting: list[Block] = []
        for block in blocks:
            given = fitting[-1].filters if fitting else 3
            fits = block.stride == 1 and block.pooling == "none" and block.filters == given
            fitting.append(block.model_copy(update={"shortcut": block.shortcut and fits}))
        return Genome(blocks=tuple(fitting), head=self.head)

    def tied_to(self, index: int) -> range:
        """Return the indices of the blocks tied to block `index` by shortcuts, with `index` itself.

        Shortcuts add the outputs of tied blocks, so these blocks have the same number of filters.
        """
        first = last = index
        while self.blocks[first].shortcut:
            first -= 1
        while last + 1 < len(self.blocks) and self.blocks[last + 1].shortcut:
            last += 1
        return range(first, last + 1)


@dataclass(frozen=True)
class LayerSize:
    """Size of a convolution or dense layer, with its normalisation folded in."""

    entries: int
    """Number of weights in the kernel."""
    channels: int
    """Number of output channels."""
    positions: int
    """Number of positions at which the kernel is applied."""


def layer_sizes(
    genome: Genome, input: InputSpec, classes: int, task: TaskTraining | None = None
) -> Iterator[LayerSize]:
    """Yield the sizes of the layers with weights, from the input to the output.

    `task` says how a task other than classification is learned; it has a head of its own.
    """
    yield from block_sizes(genome, input)
    yield from head_sizes(genome, input, classes, task)


def block_sizes(genome: Genome, input: InputSpec) -> Iterator[LayerSize]:
    """Yield the sizes of the layers with weights in the blocks."""
    rows, columns, given = input.height, input.width, 3
    for block in genome.blocks:
        into = rows * columns
        out = -(-rows // block.stride) * -(-columns // block.stride)
        yield from _sizes_in(block, given, into, out)
        rows, columns = block.side_after(rows), block.side_after(columns)
        given = block.filters


def head_sizes(
    genome: Genome, input: InputSpec, classes: int, task: TaskTraining | None = None
) -> Iterator[LayerSize]:
    """Yield the sizes of the layers with weights in the head; see `layer_sizes` for `task`."""
    (rows, columns), given = positions_left(genome, input), genome.blocks[-1].filters
    if task is not None:
        for entries, channels in task.head_kernels(given, genome.head.units):
            yield LayerSize(entries, channels, rows * columns)
        return
    features = given * rows * columns if genome.head.flatten else given
    for units in filter(None, (genome.head.units, classes)):
        yield LayerSize(features * units, units, 1)
        features = units


def _sizes_in(block: Block, given: int, into: int, out: int) -> Iterator[LayerSize]:
    area, filters, hidden = block.kernel**2, block.filters, block.hidden
    if block.kind == "convolution":
        yield LayerSize(area * given * filters, filters, out)
        return
    if block.kind == "separable":
        yield LayerSize(area * given, given, out)
        yield LayerSize(given * filters, filters, out)
        return
    yield LayerSize(given * hidden, hidden, into)
    yield LayerSize(area * hidden, hidden, out)
    if block.squeeze:
        yield LayerSize(hidden * block.squeeze, block.squeeze, 1)
        yield LayerSize(block.squeeze * hidden, hidden, 1)
    yield LayerSize(hidden * filters, filters, out)


def int8_bytes(
    genome: Genome, input: InputSpec, classes: int, task: TaskTraining | None = None
) -> int:
    """Estimate the size in bytes of the int8 flatbuffer, without building the model."""
    sizes = list(layer_sizes(genome, input, classes, task))
    entries = sum(layer.entries for layer in sizes)
    return file_bytes(entries, [layer.channels for layer in sizes])


def macs(genome: Genome, input: InputSpec, classes: int, task: TaskTraining | None = None) -> int:
    """Return the number of multiply-accumulates for one image."""
    sizes = layer_sizes(genome, input, classes, task)
    return sum(layer.entries * layer.positions for layer in sizes)


def positions_left(genome: Genome, input: InputSpec) -> tuple[int, int]:
    """Return the rows and columns of the last feature map."""
    rows, columns = input.height, input.width
    for block in genome.blocks:
        rows, columns = block.side_after(rows), block.side_after(columns)
    return rows, columns


@dataclass(frozen=True)
class Space:
    """The search space: the limits that every genome must respect."""

    input: InputSpec
    classes: int
    max_bytes: int | None = None
    """Limit of the int8 file's estimated size; None for no limit."""
    max_macs: int | None = None
    most_blocks: int = 16
    fewest_filters: int = 8
    most_filters: int = 512
    task: TaskTraining | None = None
    """How a task other than classification is learned; None for classifiers."""

    @property
    def fewest_positions(self) -> tuple[int, int]:
        """Fewest rows and columns of the last feature map."""
        stride = self.task and self.task.largest_stride
        if not stride:
            return 1, 1
        return -(-self.input.height // stride), -(-self.input.width // stride)

    def fault(self, genome: Genome) -> str:
        """Return why a genome is outside the space; an empty string if it is inside."""
        filters = [block.filters for block in genome.blocks]
        if len(filters) > self.most_blocks:
            return f"{len(filters)} blocks, more than {self.most_blocks}"
        if min(filters) < self.fewest_filters or max(filters) > self.most_filters:
            return f"{filters} filters, not {self.fewest_filters} to {self.most_filters}"
        rows, columns = positions_left(genome, self.input)
        if min(rows, columns) < 1:
            return "nothing is left of the picture"
        fewest_rows, fewest_columns = self.fewest_positions
        if rows < fewest_rows or columns < fewest_columns:
            return f"a last map of {rows} x {columns}, not {fewest_rows} x {fewest_columns} or more"
        size = self.int8_bytes(genome)
        if self.max_bytes and size > self.max_bytes:
            return f"{size} bytes, more than {self.max_bytes}"
        work = self.macs(genome)
        if self.max_macs and work > self.max_macs:
            return f"{work} multiply-accumulates, more than {self.max_macs}"
        return ""

    def int8_bytes(self, genome: Genome) -> int:
        """Estimate the size in bytes of a genome's int8 flatbuffer."""
        return int8_bytes(genome, self.input, self.classes, self.task)

    def macs(self, genome: Genome) -> int:
        """Return the number of a genome's multiply-accumulates for one image."""
        return macs(genome, self.input, self.classes, self.task)

    @property
    def smallest_bytes(self) -> int:
        """Estimated size in bytes of the smallest genome's int8 file."""
        block = Block(mark=0, kind="convolution", filters=self.fewest_filters)
        return self.int8_bytes(Genome(blocks=(block,)))
