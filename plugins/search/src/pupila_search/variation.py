"""Draws genomes at random: initial genomes, mutations, and crossovers of two genomes.

As the study behind Pupila proposes (García Perdomo 2023), a prior makes filters grow with depth.
Each block of an initial genome has at least as many filters as the block before it. Deep blocks are
widened more often, and early blocks are narrowed more often.

All randomness comes from one NumPy generator, which is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.random import Generator

from pupila import PupilaError
from pupila_search.genome import KERNELS, KINDS, Block, Genome, Head, Kind, Pooling, Space
from pupila_search.morphism import Child, Weights, deepen, grow_kernel, widen, widen_hidden

T = TypeVar("T")

_STEP = 8
"""Numbers of filters are multiples of 8, as XNNPACK's int8 kernels compute 8 at once."""

_ATTEMPTS = 200
_SHRINK, _GROW = 0.7, (1.25, 1.5, 2.0)
_EXPANSIONS = (2, 3, 4)
_DEEPEST_START = 7
_SMALLEST_SIDE = 4
_TASK_HEAD = 16
"""Channels of a task's own head in genomes of the first generation."""


@dataclass
class HistoricalMarks:
    """Assigns each new block its historical mark.

    Blocks of the same kind that follow the same block get the same mark in every genome (Stanley
    and Miikkulainen 2002, section 3.2). If a genome already has this mark, the block gets the next
    mark for this kind and place.
    """

    known: dict[tuple[int, Kind], list[int]] = field(default_factory=dict[Any, Any])
    count: int = 0

    def of(self, genome: Genome | None, behind: int, kind: Kind) -> int:
        """Return the mark for a block of this kind that follows the block with mark `behind`.

        `behind` is -1 for the first block of a genome.
        """
        taken = {block.mark for block in genome.blocks} if genome else set[int]()
        marks = self.known.setdefault((behind, kind), [])
        for mark in marks:
            if mark not in taken:
                return mark
        marks.append(self.count)
        self.count += 1
        return marks[-1]


@dataclass(frozen=True)
class Parent:
    """A genome to change, and its trained weights."""

    genome: Genome
    weights: Weights


@dataclass(frozen=True)
class Variation:
    """Draws random genomes, mutations and crossovers that lie in the search space."""

    space: Space
    random: Generator
    marks: HistoricalMarks

    def initial(self) -> Genome:
        """Return a random genome for the first generation.

        Raises:
            PupilaError: every genome that was tried lies outside the search space.
        """
        return self._within(self._draw)

    def mutate(self, parent: Parent) -> Child:
        """Return a child with one random change.

        Raises:
            PupilaError: every child that was tried lies outside the search space.
        """
        changes: tuple[Callable[[Parent], Child | None], ...] = (
            self._insert,
            self._deepen,
            self._remove,
            self._widen,
            self._expand,
            self._narrow,
            self._grow_kernel,
            self._swap,
        )
        return self._within(lambda: self._choice(changes)(parent))

    def cross(self, fitter: Parent, other: Parent, *, equally_fit: bool) -> Child:
        """Return a crossover of two genomes, whose blocks are matched by their marks.

        The rules are those of Stanley and Miikkulainen 2002, figure 4. A block that both genomes
        have is taken from one of them at random. Of the blocks that only one genome has (disjoint
        and excess genes), those of `fitter` are kept and those of `other` are dropped. With
        `equally_fit`, each of these blocks is kept or dropped at random. The head and the order of
        blocks come from `fitter`.

        If the crossover is outside the search space or equals `fitter`, a mutation of `fitter` is
        returned. Then the errors that `mutate` raises are possible.
        """
        own = {block.mark for block in fitter.genome.blocks}
        others = {block.mark: block for block in other.genome.blocks}
        chain = fitter.genome.blocks
        if equally_fit:
            merged = _merge(chain, other.genome.blocks)
            chain = [
                block
                for block in merged
                if (block.mark in own and block.mark in others) or self.random.random() < 0.5
            ]
        taken = {
            block.mark
            for block in chain
            if block.mark in others and (block.mark not in own or self.random.random() < 0.5)
        }
        blocks = [others[block.mark] if block.mark in taken else block for block in chain]
        genome = fitter.genome.with_blocks(blocks)
        if self.space.fault(genome) or genome.structure == fitter.genome.structure:
            return self.mutate(fitter)
        names = tuple(f"{others[mark].name}_" for mark in taken)
        learned = {name: of for name, of in other.weights.items() if name.startswith(names)}
        return Child(genome, fitter.weights | learned, False, "cross")

    def _within(self, draw: Callable[[], Any]) -> Any:
        """Call `draw`, at most 200 times, until it gives a genome or child in the search space."""
        faults: list[str] = []
        for _ in range(_ATTEMPTS):
            drawn = draw()
            if drawn is None:
                continue
            fault = self.space.fault(getattr(drawn, "genome", drawn))
            if not fault:
                return drawn
            faults.append(fault)
        last = faults[-1] if faults else "no change could be made"
        raise PupilaError(
            f"The search space has no valid child: {_ATTEMPTS} were drawn, the last with {last}. "
            f"Raise `max_bytes` ({self.space.max_bytes!r}), `max_macs` "
            f"({self.space.max_macs!r}) or `size` ({self.space.input.height!r})."
        )

    def _draw(self) -> Genome:
        """Draw a genome: a stem of stride 2, and blocks, about half of which halve the map."""
        mark = self.marks.of(None, -1, "convolution")
        blocks = [Block(mark=mark, kind="convolution", filters=self._choice((8, 16)), stride=2)]
        side = min(self.space.input.shape[:2]) // 2
        for _ in range(int(self.random.integers(2, _DEEPEST_START))):
            halve = side > _largest_unhalved(self.space) and self.random.random() < 0.6
            filters = _round_up(blocks[-1].filters * self._choice((1.0, *_GROW)))
            genome = Genome(blocks=tuple(blocks))
            blocks.append(self._new_block(genome, len(blocks), filters, halve))
            side = blocks[-1].side_after(side)
        return Genome(blocks=tuple(blocks), head=_first_head(self.space))

    def _new_block(self, genome: Genome, index: int, filters: int, halve: bool) -> Block:
        """Draw a block for the position `index`; with `halve`, it halves the feature map."""
        kind = self._choice(KINDS)
        before, given = genome.blocks[index - 1], genome.channels_into(index)
        pool: Pooling = self._choice(("max", "average"))
        pooled = halve and self.random.random() < 0.3
        inverted = kind == "inverted"
        hidden = _round_up(given * self._choice(_EXPANSIONS)) if inverted else 0
        squeezed = inverted and self.random.random() < 0.25
        return Block(
            mark=self.marks.of(genome, before.mark, kind),
            kind=kind,
            filters=filters,
            kernel=self._choice(KERNELS),
            stride=2 if halve and not pooled else 1,
            pooling=pool if pooled else "none",
            hidden=hidden,
            squeeze=_round_up(hidden / 4) if squeezed else 0,
            shortcut=inverted and not halve and filters == given,
        )

    def _insert(self, parent: Parent) -> Child | None:
        """Insert a block of any kind, which may change what the genome computes."""
        genome = parent.genome
        index = int(self.random.integers(1, len(genome.blocks) + 1))
        filters = genome.channels_into(index)
        block = self._new_block(genome, index, filters, self.random.random() < 0.25)
        blocks = [*genome.blocks[:index], block, *genome.blocks[index:]]
        return _inherit(parent, genome.with_blocks(blocks), f"insert {block.kind} {block.name}")

    def _deepen(self, parent: Parent) -> Child | None:
        index = int(self.random.integers(len(parent.genome.blocks)))
        before = parent.genome.blocks[index]
        kind: Kind = "inverted" if before.is_linear else self._choice(KINDS)
        mark = self.marks.of(parent.genome, before.mark, kind)
        return deepen(parent.genome, parent.weights, index, kind, mark, self.random)

    def _remove(self, parent: Parent) -> Child | None:
        genome = parent.genome
        if len(genome.blocks) == 1:
            return None
        index = int(self.random.integers(1, len(genome.blocks)))
        blocks = [block for number, block in enumerate(genome.blocks) if number != index]
        name = genome.blocks[index].name
        return _inherit(parent, genome.with_blocks(blocks), f"remove {name}")

    def _widen(self, parent: Parent) -> Child | None:
        index = self._deep(len(parent.genome.blocks))
        filters = _round_up(parent.genome.blocks[index].filters * self._choice(_GROW))
        if filters <= parent.genome.blocks[index].filters:
            return None
        return widen(parent.genome, parent.weights, index, filters, self.space.input, self.random)

    def _expand(self, parent: Parent) -> Child | None:
        inverted = [n for n, block in enumerate(parent.genome.blocks) if block.kind == "inverted"]
        if not inverted:
            return None
        index = self._choice(inverted)
        hidden = _round_up(parent.genome.blocks[index].hidden * self._choice(_GROW))
        if hidden <= parent.genome.blocks[index].hidden:
            return None
        return widen_hidden(parent.genome, parent.weights, index, hidden, self.random)

    def _narrow(self, parent: Parent) -> Child | None:
        """Remove filters from a random block; early blocks are more likely."""
        genome = parent.genome
        index = len(genome.blocks) - 1 - self._deep(len(genome.blocks))
        filters = _round_up(genome.blocks[index].filters * _SHRINK)
        tied, blocks = genome.tied_to(index), list(genome.blocks)
        if filters >= blocks[index].filters:
            return None
        for number in tied:
            blocks[number] = blocks[number].model_copy(update={"filters": filters})
        name = genome.blocks[index].name
        return _inherit(parent, genome.with_blocks(blocks), f"narrow {name} to {filters}")

    def _grow_kernel(self, parent: Parent) -> Child | None:
        small = [n for n, block in enumerate(parent.genome.blocks) if block.kernel < KERNELS[-1]]
        return grow_kernel(parent.genome, parent.weights, self._choice(small)) if small else None

    def _swap(self, parent: Parent) -> Child | None:
        """Change one field of a random block, or the units of the head."""
        genome = parent.genome
        index = int(self.random.integers(len(genome.blocks) + 1))
        if index == len(genome.blocks):
            units = self._choice([units for units in (0, 16, 32) if units != genome.head.units])
            head = genome.head.model_copy(update={"units": units})
            changed = genome.model_copy(update={"head": head})
            return _inherit(parent, changed, f"head of {units} units")
        block, (name, value) = genome.blocks[index], self._choice(_swaps(genome.blocks[index]))
        blocks = list(genome.blocks)
        blocks[index] = block.model_copy(update={name: value})
        return _inherit(parent, genome.with_blocks(blocks), f"{name} of {block.name} to {value}")

    def _deep(self, count: int) -> int:
        """Draw the index of one of `count` blocks; deeper blocks are more likely."""
        depth = np.arange(1, count + 1)
        return int(self.random.choice(count, p=depth / depth.sum()))

    def _choice(self, values: Sequence[T]) -> T:
        return values[int(self.random.integers(len(values)))]


def _largest_unhalved(space: Space) -> int:
    """Return the largest side of a map that is not halved in the first generation."""
    return max(_SMALLEST_SIDE, 2 * min(space.fewest_positions) - 1)


def _first_head(space: Space) -> Head:
    """Return the head of genomes of the first generation."""
    return Head() if space.task is None else Head(units=_TASK_HEAD)


def _merge(blocks: Sequence[Block], others: Sequence[Block]) -> list[Block]:
    """Add to `blocks` those blocks of `others` that it lacks, each behind its predecessor."""
    merged = list(blocks)
    for index, block in enumerate(others):
        marks = [known.mark for known in merged]
        if block.mark not in marks:
            behind = marks.index(others[index - 1].mark) + 1 if index else 0
            merged.insert(behind, block)
    return merged


def _swaps(block: Block) -> list[tuple[str, Any]]:
    """Return the possible changes of a block; a change is the name of a field and its new value."""
    swaps: list[tuple[str, Any]] = [("stride", 3 - block.stride)]
    if block.stride == 1:
        swaps += [("pooling", pooling) for pooling in get_args(Pooling) if pooling != block.pooling]
    if block.kind != "inverted":
        swaps.append(("normalised", not block.normalised))
        swaps.append(("activation", "relu" if block.activation == "relu6" else "relu6"))
    else:
        swaps.append(("squeeze", 0 if block.squeeze else _round_up(block.hidden / 4)))
    return swaps


def _inherit(parent: Parent, genome: Genome, change: str) -> Child:
    """Return a child that inherits the weights that fit, but does not compute the same."""
    return Child(genome, parent.weights, False, change)


def _round_up(filters: float) -> int:
    """Round up to a multiple of 8."""
    return max(_STEP, int(-(-filters // _STEP)) * _STEP)


@dataclass(frozen=True)
class Appending:
    """Grows a genome as the study behind Pupila did: appends a convolution, and trains a new head.

    The convolution is 3 x 3 with 16 to 512 filters (a power of two), and pooling follows it. The
    number of filters, and whether there is batch normalisation, are random.
    """

    space: Space
    random: Generator
    marks: HistoricalMarks

    def initial(self) -> Genome:
        """Return the first student: a convolution of 16 filters, pooling, a dense layer of 16.

        Raises:
            PupilaError: this student is outside the search space.
        """
        block = Block(
            mark=self.marks.of(None, -1, "convolution"),
            kind="convolution",
            filters=16,
            normalised=False,
            activation="relu",
            pooling="max",
        )
        genome = Genome(blocks=(block,), head=Head(flatten=True, units=16))
        fault = self.space.fault(genome)
        if fault:
            raise PupilaError(
                f"The search space has no valid child: the first student of `append` has {fault}. "
                f"Raise `size` ({self.space.input.height!r}), or use the strategy `evolve`."
            )
        return genome

    def append(self, parent: Parent) -> Child | None:
        """Return a child with one more block; None if the child is outside the search space."""
        genome = parent.genome
        block = Block(
            mark=self.marks.of(genome, genome.blocks[-1].mark, "convolution"),
            kind="convolution",
            filters=int(2 ** self.random.integers(4, 10)),
            normalised=bool(self.random.random() < 0.5),
            activation="relu",
            pooling="max",
        )
        longer = Genome(blocks=(*genome.blocks, block), head=genome.head)
        if self.space.fault(longer):
            return None
        kept = {name: of for name, of in parent.weights.items() if name.startswith("block_")}
        return Child(longer, kept, False, f"append {block.name}, {block.filters} filters")
