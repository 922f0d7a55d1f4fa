"""The family of the chosen model: a row for each ancestor, the first born above."""

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
class _Place:
    """Where a relative stands."""

    relative: Ancestor
    parents: tuple[str, ...]
    """Those that are drawn."""
    row: int
    lane: int

    @property
    def x(self) -> float:
        return 10 + _LANE * self.lane

    @property
    def y(self) -> float:
        return _HEAD + _ROW * (self.row + 0.5)


def tree(search: SearchResult) -> Markup | None:
    """Draw who descends from whom, by which change; None where nothing is known of it."""
    placed = _placed(search.family)
    if not placed:
        return None
    tried = {each.name: each for each in search.candidates}
    left = 10 + _LANE * (1 + max(each.lane for each in placed.values()))
    columns = _Columns.from_left(left, _accuracies(placed, tried))
    height = _HEAD + _ROW * len(placed) + 6
    return svg.picture(
        columns.width,
        height,
        f"Family of {search.chosen}: {formatting.listed(list(placed))}",
        columns.head(height),
        *(_edges(each, placed) for each in placed.values()),
        *(columns.row(each, tried.get(name), search) for name, each in placed.items()),
        class_="found family",
    )


def _placed(family: Sequence[Ancestor]) -> dict[str, _Place]:
    parents, lanes = _known_parents(family), lanes_of(family)
    return {
        each.name: _Place(each, parents[each.name], row, lanes[each.name])
        for row, each in enumerate(family)
    }


def lanes_of(family: Sequence[Ancestor]) -> dict[str, int]:
    """Give each relative a lane, which is its own until its last child is born.

    It takes over that of a parent whose last child it is, else the first that is free. So lines run
    down their own lanes and pass through no other relative.
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
    """Return by name the parents that stand above, each once."""
    known: dict[str, tuple[str, ...]] = {}
    for each in family:
        known[each.name] = tuple(name for name in dict.fromkeys(each.parents) if name in known)
    return known


def _edges(place: _Place, placed: Mapping[str, _Place]) -> Markup:
    """Draw a line from each parent: down its lane, then over to the child."""
    style = "same" if place.relative.preserved else "otherwise"
    lines: list[Markup] = []
    for parent in (placed[name] for name in place.parents):
        turn = place.y - _ROW
        bend = f"C{parent.x:.1f},{turn + 14:.1f} {place.x:.1f},{turn + 12:.1f} "
        curve = f"M{parent.x:.1f},{parent.y:.1f} V{turn:.1f} {bend}{place.x:.1f},{place.y:.1f}"
        lines.append(svg.element("path", d=curve, class_=f"edge {style}"))
    return Markup("").join(lines)


@dataclass(frozen=True)
class _Columns:
    """Where the text of a row stands, and the scale of the accuracies."""

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
            x = self.scale.place(value)
            marks.append(svg.line(x, _HEAD, x, height - 6, "grid"))
            marks.append(svg.text(x, _HEAD - 6, f"{100 * value:g} %", "tick", "middle"))
        return Markup("").join(marks)

    def row(self, place: _Place, candidate: Candidate | None, search: SearchResult) -> Markup:
        relative, y = place.relative, place.y
        chosen = relative.name == search.chosen
        base = y + 4
        marks = [
            svg.element("title", _told(place, candidate)),
            svg.element("circle", cx=place.x, cy=y, r=6 if chosen else 4.5, class_="mark"),
            svg.text(self.name, base, relative.name, "name"),
            svg.text(
                self.parents, base, formatting.shortened(" × ".join(place.parents), 11), "tick"
            ),
            svg.text(
                self.change, base, formatting.shortened(relative.change, _CHARACTERS), "change"
            ),
            svg.text(self.same, base, _computed(place), "tick"),
        ]
        accuracy = candidate.validation_accuracy if candidate else None
        written = formatting.NONE if accuracy is None else formatting.percent(accuracy)
        marks.append(svg.text(self.accuracy, base, written, "change", "end"))
        if accuracy is not None:
            x = self.scale.place(accuracy)
            marks.append(svg.element("circle", cx=x, cy=y, r=4, class_="dot"))
        if candidate:
            size = formatting.size(candidate.bytes)
            marks.append(svg.text(self.width - 2, base, size, "change", "end"))
        return svg.element("g", *marks, class_="model chosen" if chosen else "model relative")


def _computed(place: _Place) -> str:
    if not place.parents:
        return ""
    return "computed the same" if place.relative.preserved else "computed otherwise"


def _told(place: _Place, candidate: Candidate | None) -> str:
    relative = place.relative
    told = f"{relative.name}: {relative.change}"
    if place.parents:
        told += f", from {formatting.listed(list(place.parents))}; {_computed(place)}"
    if candidate and candidate.validation_accuracy is not None:
        told += f"; {formatting.percent(candidate.validation_accuracy)}"
    return told


def _accuracies(placed: Mapping[str, _Place], tried: Mapping[str, Candidate]) -> list[float]:
    known = [tried[name].validation_accuracy for name in placed if name in tried]
    return [each for each in known if each is not None]
