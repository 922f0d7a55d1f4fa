"""Draws the architectures of a search's models: blocks from the input to the classes."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from pupila.measured import BlockSize, GenomeBlock, GenomeHead, SearchedModel
from pupila.spec import InputSpec
from pupila_flows.report import formatting
from pupila_flows.report.plots import svg

_WIDTH, _GAP, _MARGIN = 128.0, 16.0, 2.0
_MAP, _PICTURE = 34.0, 58.0
"""Side of the drawn input image, which scales the feature maps, and width of its column."""
_TOP = _MAP + 8
_LINE, _PADDING, _BELOW = 15.0, 8.0, 36.0
_KINDS = ("convolution", "separable", "inverted")
"""Kinds of blocks that have their own colour."""


@dataclass(frozen=True)
class _Box:
    """The texts in a box and below it."""

    title: str
    lines: tuple[str, ...]
    kind: str
    size: BlockSize | None
    name: str = ""


def architecture(model: SearchedModel, input: InputSpec) -> Markup | None:
    """Draw the blocks of a model in a row, from `input` to the head; None if its genome is unknown.

    Feature maps are drawn in proportion to the input image.
    """
    if model.genome is None:
        return None
    blocks, head = model.genome.blocks, model.genome.head
    known = model.sizes if len(model.sizes) == len(blocks) + 1 else (None,) * (len(blocks) + 1)
    boxes = [_block(block, size) for block, size in zip(blocks, known, strict=False)]
    boxes.append(_head(head, known[-1]))
    height = 2 * _PADDING + _LINE * (1 + max(len(box.lines) for box in boxes))
    left = _MARGIN + _PICTURE + _GAP
    drawn = [_picture(input, height)]
    drawn += [
        _draw_box(box, left + column * (_WIDTH + _GAP), height, input)
        for column, box in enumerate(boxes)
    ]
    width = left + len(boxes) * (_WIDTH + _GAP) - _GAP + _MARGIN
    label = f"Architecture of {model.name}: {formatting.listed([box.title for box in boxes])}"
    return svg.picture(width, _TOP + height + _BELOW, label, *drawn, class_="architecture")


def _block(block: GenomeBlock, size: BlockSize | None) -> _Box:
    hidden = f"{block.hidden} → " if block.hidden else ""
    normalised = "normalised" if block.normalised else "not normalised"
    lines = (
        f"{hidden}{formatting.plural(block.filters, 'filter')}",
        f"{block.activation}, {normalised}" if block.activation else normalised,
        f"stride {block.stride}" if block.stride > 1 else "",
        f"{block.pooling} pooling" if block.pooling != "none" else "",
        f"squeeze {block.squeeze}" if block.squeeze else "",
        "shortcut" if block.shortcut else "",
    )
    return _Box(
        f"{block.kind} {block.kernel} × {block.kernel}",
        tuple(filter(None, lines)),
        block.kind,
        size,
        "" if block.mark is None else f"block_{block.mark}",
    )


def _head(head: GenomeHead, size: BlockSize | None) -> _Box:
    lines = (
        "every position" if head.flatten else "mean of positions",
        formatting.plural(head.units, "unit") if head.units else "",
        f"{size.channels} classes" if size else "",
    )
    return _Box("head", tuple(filter(None, lines)), "head", size)


def _picture(input: InputSpec, height: float) -> Markup:
    y = _TOP + (height - _MAP) / 2
    middle = _MARGIN + _PICTURE / 2
    size = f"{input.height} × {input.width}"
    return svg.element(
        "g",
        svg.element("title", f"image of {size} pixels"),
        svg.element("rect", x=middle - _MAP / 2, y=y, width=_MAP, height=_MAP, class_="map"),
        svg.text(middle, y + _MAP + 13, size, "tick", "middle"),
    )


def _draw_box(box: _Box, left: float, height: float, input: InputSpec) -> Markup:
    middle = _TOP + height / 2
    marks = [
        svg.element("title", _tooltip(box)),
        svg.line(left - _GAP + 2, middle, left - 1, middle, "edge"),
        svg.element("rect", x=left, y=_TOP, width=_WIDTH, height=height, rx=4, class_="box"),
        svg.text(left + 8, _TOP + _PADDING + 11, box.title, "title"),
        svg.text(left + 1, _TOP - 5, box.name, "tick"),
    ]
    if box.kind in _KINDS:
        marks.append(
            svg.element("rect", x=left, y=_TOP, width=_WIDTH, height=4, rx=2, class_="stripe")
        )
    for number, line in enumerate(box.lines, start=1):
        y = _TOP + _PADDING + 11 + _LINE * number
        marks.append(svg.text(left + 8, y, line, "tick"))
    if box.size:
        marks += _output(box.size, left, _TOP + height, input)
    kind = box.kind if box.kind in _KINDS else "plain"
    return svg.element("g", *marks, class_=f"block {kind}")


def _output(size: BlockSize, left: float, bottom: float, input: InputSpec) -> list[Markup]:
    """Draw the output map in proportion to the input, with its size and the parameters."""
    scale = _MAP / max(input.height, input.width)
    width, height = max(1.5, scale * size.columns), max(1.5, scale * size.rows)
    right, middle = left + _WIDTH, left + _WIDTH / 2
    shape = f"{size.rows} × {size.columns} × {size.channels}"
    marks = [
        svg.text(middle, bottom + 15, shape, "tick", "middle"),
        svg.text(
            middle, bottom + 30, f"{formatting.count(size.parameters)} parameters", "tick", "middle"
        ),
    ]
    if size.rows > 1 or size.columns > 1:
        y = _TOP - 5 - height
        marks.append(
            svg.element("rect", x=right - width, y=y, width=width, height=height, class_="map")
        )
    return marks


def _tooltip(box: _Box) -> str:
    text = f"{box.name} {box.title}, {', '.join(box.lines)}".strip()
    if box.size is None:
        return text
    return f"{text}; output {box.size.rows} × {box.size.columns} × {box.size.channels}"
