"""Draws the ancestors of the chosen model: a row for each, the oldest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pupila.measured import Ancestor, Candidate, SearchResult
from pupila_flows.report import formatting
from pupila_flows.report.plots import axes, svg
from pupila_flows.report.plots.axes import Axis

_ROW, _LANE, _HEAD = 26.0, 18.0, 34.0
_NAME, _FROM, _CHANGE, _SAME, _ACCURACY, _SCALE, _BYTES = (
    46.0,
    74.0,
    232.0,
    136.0,
    60.0,
    132.0,
    78.0,
)
_CHARACTERS = 36


@dataclass(frozen=True)
class _Node:
    """An ancestor of the chosen model, and its position in the picture."""

    relative: Ancestor
    parents: tuple[str, ...]
    """Names of its parents that are drawn above it."""
    row: int
    lane: int

    @property
    def x(self) -> float:
        return 10 + _LANE * self.lane

    @property
    def y(self) -> float:
        return _HEAD + _ROW * (self.row + 0.5)


def tree(search: SearchResult) -> Markup | None:
    """Draw the ancestors of the chosen model, with the parents and the change of each ancestor.

    Return None if the ancestors are unknown.
    """
    nodes = _nodes(search.family)
    if not nodes:
        return None
    tried = {candidate.name: candidate for candidate in search.candidates}
    left = 10 + _LANE * (1 + max(node.lane for node in nodes.values()))
    columns = _Columns.from_left(left, _accuracies(nodes, tried))
    height = _HEAD + _ROW * len(nodes) + 6
    return svg.picture(
        columns.width,
        height,
        f"Family of {search.chosen}: {formatting.listed(list(nodes))}",
        columns.head(height),
        *(_edges(node, nodes) for node in nodes.values()),
        *(columns.row(node, tried.get(name), search) for name, node in nodes.items()),
        class_="search-plot family",
    )


def _nodes(family: Sequence[Ancestor]) -> dict[str, _Node]:
    parents, lanes = _known_parents(family), lanes_of(family)
    return {
        relative.name: _Node(relative, parents[relative.name], row, lanes[relative.name])
        for row, relative in enumerate(family)
    }


def lanes_of(family: Sequence[Ancestor]) -> dict[str, int]:
    """Return the lane of each ancestor, by name: the number of its column in the picture.

    An ancestor keeps its lane until the row of its last child. The last child takes over the
    parent's lane, and other children take the first free lane. So lines run down their own lanes
    and never pass through another ancestor.
    """
    parents = _known_parents(family)
    rows = {name: row for row, name in enumerate(parents)}
    last = {parent: rows[name] for name, of in parents.items() for parent in of}
    lanes: dict[str, int] = {}
    busy: list[int] = []
    for name, row in rows.items():
        own = [lanes[parent] for parent in parents[name] if last[parent] == row]
        free = [lane for lane, until in enumerate(busy) if until <= row]
        lane = next(iter([*own, *free]), len(busy))
        busy += [0] * (lane + 1 - len(busy))
        busy[lane] = last.get(name, row)
        lanes[name] = lane
    return lanes


def _known_parents(family: Sequence[Ancestor]) -> dict[str, tuple[str, ...]]:
    """Return the parents of each ancestor that are drawn above it, without duplicates."""
    known: dict[str, tuple[str, ...]] = {}
    for relative in family:
        known[relative.name] = tuple(
            name for name in dict.fromkeys(relative.parents) if name in known
        )
    return known


def _edges(node: _Node, nodes: Mapping[str, _Node]) -> Markup:
    """Draw a line from each parent: down its lane, then across to the child."""
    style = "same" if node.relative.preserved else "different"
    lines: list[Markup] = []
    for parent in (nodes[name] for name in node.parents):
        turn = node.y - _ROW
        bend = f"C{parent.x:.1f},{turn + 14:.1f} {node.x:.1f},{turn + 12:.1f} "
        curve = f"M{parent.x:.1f},{parent.y:.1f} V{turn:.1f} {bend}{node.x:.1f},{node.y:.1f}"
        lines.append(svg.element("path", d=curve, class_=f"edge {style}"))
    return Markup("").join(lines)


@dataclass(frozen=True)
class _Columns:
    """The positions of a row's texts, and the accuracy scale."""

    name: float
    parents: float
    change: float
    same: float
    accuracy: float
    scale: Axis
    width: float

    @classmethod
    def from_left(cls, left: float, accuracies: Sequence[float]) -> _Columns:
        name = left + 4
        parents = name + _NAME
        change = parents + _FROM
        same = change + _CHANGE
        accuracy = same + _SAME + _ACCURACY
        scale = axes.of_accuracies(accuracies or [0.0, 1.0], accuracy + 16, accuracy + _SCALE)
        return cls(name, parents, change, same, accuracy, scale, scale.end + _BYTES)

    def head(self, height: float) -> Markup:
        marks = [
            svg.text(self.name, 12, "model", "tick"),
            svg.text(self.parents, 12, "from", "tick"),
            svg.text(self.change, 12, "change", "tick"),
            svg.text(self.same, 12, "when made, it", "tick"),
            svg.text(self.accuracy, 12, "accuracy", "tick", "end"),
            svg.text(self.width - 2, 12, "int8 file", "tick", "end"),
        ]
        for value in self.scale.ticks(3):
            x = self.scale.position(value)
            marks.append(svg.line(x, _HEAD, x, height - 6, "grid"))
            marks.append(svg.text(x, _HEAD - 6, f"{100 * value:g} %", "tick", "middle"))
        return Markup("").join(marks)

    def row(self, node: _Node, candidate: Candidate | None, search: SearchResult) -> Markup:
        relative, y = node.relative, node.y
        chosen = relative.name == search.chosen
        base = y + 4
        marks = [
            svg.element("title", _tooltip(node, candidate)),
            svg.element("circle", cx=node.x, cy=y, r=6 if chosen else 4.5, class_="mark"),
            svg.text(self.name, base, relative.name, "name"),
            svg.text(
                self.parents, base, formatting.shortened(" × ".join(node.parents), 11), "tick"
            ),
            svg.text(
                self.change, base, formatting.shortened(relative.change, _CHARACTERS), "change"
            ),
            svg.text(self.same, base, _computed_note(node), "tick"),
        ]
        accuracy = candidate.validation_accuracy if candidate else None
        percent = formatting.NONE if accuracy is None else formatting.percent(accuracy)
        marks.append(svg.text(self.accuracy, base, percent, "change", "end"))
        if accuracy is not None:
            x = self.scale.position(accuracy)
            marks.append(svg.element("circle", cx=x, cy=y, r=4, class_="dot"))
        if candidate:
            size = formatting.size(candidate.bytes)
            marks.append(svg.text(self.width - 2, base, size, "change", "end"))
        return svg.element("g", *marks, class_="model chosen" if chosen else "model relative")


def _computed_note(node: _Node) -> str:
    if not node.parents:
        return ""
    return "computed the same" if node.relative.preserved else "computed differently"


def _tooltip(node: _Node, candidate: Candidate | None) -> str:
    relative = node.relative
    text = f"{relative.name}: {relative.change}"
    if node.parents:
        text += f", from {formatting.listed(list(node.parents))}; {_computed_note(node)}"
    if candidate and candidate.validation_accuracy is not None:
        text += f"; {formatting.percent(candidate.validation_accuracy)}"
    return text


def _accuracies(nodes: Mapping[str, _Node], tried: Mapping[str, Candidate]) -> list[float]:
    known = [tried[name].validation_accuracy for name in nodes if name in tried]
    return [accuracy for accuracy in known if accuracy is not None]
