"""Draws the recipe's graph: layers from left to right, few crossings, wrapped names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise

from markupsafe import Markup

from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import svg
from pupila_flows.results import Entry

_WIDTH, _GAP_X, _GAP_Y, _MARGIN = 188.0, 56.0, 16.0, 4.0
_LINE, _PADDING = 16.0, 9.0
_NAME_CHARACTERS, _NAME_LINES = 21, 3
_SWEEPS = 6


@dataclass
class _Node:
    """A box of the graph; a node without an entry is a waypoint of an edge that crosses layers."""

    layer: int
    entry: Entry | None = None
    before: list[_Node] = field(default_factory=list["_Node"], repr=False)
    after: list[_Node] = field(default_factory=list["_Node"], repr=False)
    y: float = 0
    """Vertical position of the node's middle."""

    @property
    def height(self) -> float:
        if self.entry is None:
            return 8
        return 2 * _PADDING + _LINE * (len(wrap(self.entry.name)) + 2)

    @property
    def x(self) -> float:
        return _MARGIN + self.layer * (_WIDTH + _GAP_X)


def draw(lineage: Lineage) -> Markup:
    """Draw the graph of teachers and steps, each step to the right of its inputs."""
    nodes = _nodes(lineage)
    layers = _layers(nodes)
    for _ in range(_SWEEPS):
        for layer in layers:
            _order(layer, layer_before=True)
        for layer in reversed(layers):
            _order(layer, layer_before=False)
    for layer in (*layers, *reversed(layers), *layers):
        _settle(layer)
    return _picture(layers, lineage)


def wrap(name: str) -> list[str]:
    """Break a name into lines after `-`, `_`, `.`, `/` or a space; a long piece breaks anywhere."""
    lines = [""]
    for piece in re.findall(r"[^-_./ ]*[-_./ ]?", name):
        if len(lines[-1]) + len(piece.rstrip()) > _NAME_CHARACTERS and lines[-1]:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > _NAME_CHARACTERS:
            lines[-1:] = [lines[-1][:_NAME_CHARACTERS], lines[-1][_NAME_CHARACTERS:]]
    if len(lines) > _NAME_LINES:
        rest = "".join(lines[_NAME_LINES - 1 :])
        lines[_NAME_LINES - 1 :] = [formatting.shortened(rest, _NAME_CHARACTERS)]
    return [line.rstrip() for line in lines]


def _nodes(lineage: Lineage) -> list[_Node]:
    """Return the linked nodes, each box in a layer to the right of its inputs."""
    entries = lineage.entries
    parents = {
        entry.name: [parent.name for parent in lineage.parents(entry)] for entry in entries.values()
    }
    nodes: dict[str, _Node] = {}
    for name in TopologicalSorter(parents).static_order():
        before = [nodes[parent].layer for parent in parents[name]]
        first = 1 if entries[name].kind == "step" else 0
        nodes[name] = _Node(max([first, *(layer + 1 for layer in before)]), entries[name])
    ordered = [nodes[name] for name in entries]
    links = [(nodes[parent], nodes[name]) for name in entries for parent in parents[name]]
    for start, end in links:
        ordered += _link(start, end)
    return ordered


def _link(start: _Node, end: _Node) -> list[_Node]:
    """Link two boxes, with a waypoint in each layer between; return the waypoints."""
    waypoints = [_Node(layer) for layer in range(start.layer + 1, end.layer)]
    chain = [start, *waypoints, end]
    for left, right in pairwise(chain):
        left.after.append(right)
        right.before.append(left)
    return waypoints


def _layers(nodes: list[_Node]) -> list[list[_Node]]:
    """Return the layers from left to right, without empty ones."""
    used = sorted({node.layer for node in nodes})
    layers: list[list[_Node]] = [[] for _ in used]
    for node in nodes:
        node.layer = used.index(node.layer)
        layers[node.layer].append(node)
    for layer in layers:
        _stack(layer)
    return layers


def _stack(layer: list[_Node]) -> None:
    y = 0.0
    for node in layer:
        node.y = y + node.height / 2
        y += node.height + _GAP_Y


def _order(layer: list[_Node], *, layer_before: bool) -> None:
    """Sort a layer by the mean position of each node's neighbours on one side."""
    means = {id(node): _mean(node.before if layer_before else node.after, node.y) for node in layer}
    layer.sort(key=lambda node: means[id(node)])
    _stack(layer)


def _mean(neighbours: list[_Node], otherwise: float) -> float:
    return sum(node.y for node in neighbours) / len(neighbours) if neighbours else otherwise


def _settle(layer: list[_Node]) -> None:
    """Move each node as close to the mean of its neighbours as order and gaps allow.

    Least squares under an order is isotonic regression: pools of adjacent violators share a mean.
    """
    offsets: list[float] = []
    y = 0.0
    for node in layer:
        offsets.append(y + node.height / 2)
        y += node.height + _GAP_Y
    pools: list[tuple[float, int]] = []
    for node, offset in zip(layer, offsets, strict=True):
        mean, size = _mean(node.before + node.after, node.y) - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    shifts = [mean for mean, size in pools for _ in range(size)]
    for node, offset, shift in zip(layer, offsets, shifts, strict=True):
        node.y = offset + shift


def _picture(layers: list[list[_Node]], lineage: Lineage) -> Markup:
    nodes = [node for layer in layers for node in layer]
    top = min(node.y - node.height / 2 for node in nodes) - _MARGIN
    for node in nodes:
        node.y -= top
    height = max(node.y + node.height / 2 for node in nodes) + _MARGIN
    width = 2 * _MARGIN + len(layers) * _WIDTH + (len(layers) - 1) * _GAP_X
    names = formatting.listed([node.entry.name for node in nodes if node.entry])
    edges = [_edge(node, after) for node in nodes for after in node.after]
    boxes = [_box(node, node.entry, lineage) for node in nodes if node.entry]
    label = f"Graph of the recipe: {names}"
    return svg.picture(width, height, label, *edges, *boxes, class_="graph")


def _edge(start: _Node, end: _Node) -> Markup:
    """Draw a curve, straight through a waypoint."""
    x1, x2 = start.x + _WIDTH, end.x
    bend = (x2 - x1) / 2
    passed = f" H{x1:.1f}" if start.entry is None else ""
    begin = start.x if start.entry is None else x1
    curve = f"M{begin:.1f},{start.y:.1f}{passed} C{x1 + bend:.1f},{start.y:.1f} "
    curve += f"{x2 - bend:.1f},{end.y:.1f} {x2:.1f},{end.y:.1f}"
    return svg.element("path", d=curve, class_="edge")


def _box(node: _Node, entry: Entry, lineage: Lineage) -> Markup:
    top = node.y - node.height / 2
    lines = wrap(entry.name)
    content = [
        svg.element("title", f"{entry.name} ({entry.uses})"),
        svg.element("rect", x=node.x, y=top, width=_WIDTH, height=node.height, rx=6),
    ]
    y = top + _PADDING + 12
    for name_line in lines:
        content.append(svg.text(node.x + 11, y, name_line, "name"))
        y += _LINE
    content.append(svg.text(node.x + 11, y, formatting.shortened(entry.uses, 24), "uses"))
    content.append(svg.text(node.x + 11, y + _LINE, _state(entry), "state"))
    return svg.element("g", *content, class_=f"node {_style(entry, lineage)}")


def _style(entry: Entry, lineage: Lineage) -> str:
    if entry.error:
        return "failed"
    if entry.kind == "teacher":
        return "teacher"
    return "control" if lineage.is_control(entry) else "pupil"


def _state(entry: Entry) -> str:
    """Return an entry's size and fraction right, or why it has none, and whether it was cached."""
    if entry.error:
        return "failed"
    if entry.evaluation:
        accuracy = formatting.percent(entry.evaluation.metrics.accuracy.value)
        words = [formatting.size(entry.evaluation.cost.size_bytes), accuracy]
    elif entry.measurement:
        words = [formatting.size(entry.measurement.cost.size_bytes), "untrained"]
    else:
        words = [entry.not_evaluated or "not evaluated"]
    return " · ".join([*words, *(["cached"] if entry.cached else [])])
