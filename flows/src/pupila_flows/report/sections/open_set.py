"""Whom every artifact lets through as a gate: a row for each group of images, a column for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pupila.evaluation import Acceptance, Estimate, NegativeGroup, OpenSet
from pupila.openset import ALL
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage


@dataclass(frozen=True)
class GateCell:
    """One artifact on one group of images."""

    value: str
    interval: str
    shade: int
    """Part of the images that are answered falsely, in percent."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateRow:
    """One group of images; no cell where an artifact was not asked about it."""

    name: str
    images: int
    new: bool | None
    """Whether training had nothing of it; None where that is not the question."""
    cells: tuple[GateCell | None, ...]


@dataclass(frozen=True)
class GatePart:
    """Groups of one kind."""

    title: str
    rows: tuple[GateRow, ...]


@dataclass(frozen=True)
class GateTable:
    """All that is known of the artifacts as gates."""

    accepts: str
    artifacts: tuple[str, ...]
    thresholds: tuple[GateCell, ...]
    parts: tuple[GatePart, ...]


_Find = Callable[[OpenSet], Iterable[Acceptance]]


def gate_table(lineage: Lineage) -> GateTable | None:
    """Return the table of every artifact that was judged as a gate; None where none was."""
    judged = [(each.name, each.evaluation.open_set) for each in lineage.judged()]
    gates = {name: found for name, found in judged if found}
    if not gates:
        return None
    every = list(gates.values())
    accepts = every[0].accepts
    parts = (
        GatePart(
            f"Test images of “{accepts}”: let through",
            _accepted(every, lambda gate: (gate.accepted, *gate.accepted_groups)),
        ),
        GatePart("Other test images: falsely let through", _negatives(every, near_miss=False)),
        GatePart("Near misses: falsely let through", _negatives(every, near_miss=True)),
        GatePart(
            f"Altered test images of “{accepts}”: still let through",
            _accepted(every, lambda gate: gate.corrupted),
        ),
    )
    return GateTable(
        accepts,
        tuple(gates),
        tuple(map(_threshold, every)),
        tuple(part for part in parts if part.rows),
    )


def _threshold(gate: OpenSet) -> GateCell:
    note = f"chosen on {gate.chosen_on}" if gate.chosen_on else "none is shipped"
    return GateCell(formatting.score(gate.threshold), "", 0, (note,))


def _accepted(gates: list[OpenSet], find: _Find) -> tuple[GateRow, ...]:
    found = [{each.name: each for each in find(gate)} for gate in gates]
    names = {name: each.images for groups in found for name, each in groups.items()}
    return tuple(
        GateRow(name, images, None, tuple(_let_through(groups.get(name)) for groups in found))
        for name, images in names.items()
    )


def _let_through(found: Acceptance | None) -> GateCell | None:
    return None if found is None else _cell(found.accepted, 1 - found.accepted.value)


def _negatives(gates: list[OpenSet], *, near_miss: bool) -> tuple[GateRow, ...]:
    found = [
        {each.name: each for each in gate.negatives if each.near_miss is near_miss}
        for gate in gates
    ]
    groups = {name: each for named in found for name, each in named.items()}
    return tuple(
        GateRow(
            name,
            group.images,
            None if name == ALL else not group.trained,
            tuple(_false_accepts(named.get(name)) for named in found),
        )
        for name, group in groups.items()
    )


def _false_accepts(found: NegativeGroup | None) -> GateCell | None:
    if found is None:
        return None
    notes = [f"at 95 %: {formatting.percent(found.accepted_at_95.value)}"]
    if found.auc:
        notes.insert(
            0, f"AUC {formatting.score(found.auc.value)} {formatting.score_interval(found.auc)}"
        )
    return _cell(found.accepted, found.accepted.value, *notes)


def _cell(part: Estimate, false: float, *notes: str) -> GateCell:
    interval = formatting.percent_interval(part)
    return GateCell(formatting.percent(part.value), interval, round(100 * false), notes)
