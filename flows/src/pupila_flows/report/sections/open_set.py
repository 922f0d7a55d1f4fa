"""What each artifact lets through as a filter: a row per group of images, a column per artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pupila.evaluation import Acceptance, Estimate, NegativeGroup, OpenSet
from pupila.openset import ALL
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage


@dataclass(frozen=True)
class FilterCell:
    """One cell of the table, such as the fraction of a group that an artifact lets through."""

    value: str
    interval: str
    shade: int
    """Percentage of the group's images that are classified wrongly; it shades the cell."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilterRow:
    """The row of one group of images, with a cell for each artifact.

    A cell is None if the artifact was not evaluated on the group.
    """

    name: str
    images: int
    new: bool | None
    """Whether the group was absent from training; None if that does not apply."""
    cells: tuple[FilterCell | None, ...]


@dataclass(frozen=True)
class FilterSection:
    """Rows of the table under one title, each for a group of images of one kind."""

    title: str
    rows: tuple[FilterRow, ...]


@dataclass(frozen=True)
class FilterTable:
    """The table of all artifacts that were evaluated as filters."""

    accepts: str
    artifacts: tuple[str, ...]
    thresholds: tuple[FilterCell, ...]
    sections: tuple[FilterSection, ...]


_Find = Callable[[OpenSet], Iterable[Acceptance]]


def filter_table(lineage: Lineage) -> FilterTable | None:
    """Return the table of all artifacts evaluated as filters; None if there are none."""
    evaluated = [(artifact.name, artifact.evaluation.open_set) for artifact in lineage.evaluated()]
    filters = {name: open_set for name, open_set in evaluated if open_set}
    if not filters:
        return None
    open_sets = list(filters.values())
    accepts = open_sets[0].accepts
    sections = (
        FilterSection(
            f"Test images of “{accepts}”: let through",
            _accepted(open_sets, lambda open_set: (open_set.accepted, *open_set.accepted_groups)),
        ),
        FilterSection(
            "Other test images: falsely let through", _negatives(open_sets, near_miss=False)
        ),
        FilterSection("Near misses: falsely let through", _negatives(open_sets, near_miss=True)),
        FilterSection(
            f"Altered test images of “{accepts}”: still let through",
            _accepted(open_sets, lambda open_set: open_set.corrupted),
        ),
    )
    return FilterTable(
        accepts,
        tuple(filters),
        tuple(map(_threshold, open_sets)),
        tuple(section for section in sections if section.rows),
    )


def _threshold(open_set: OpenSet) -> FilterCell:
    note = f"chosen on {open_set.chosen_on}" if open_set.chosen_on else "none ships"
    return FilterCell(formatting.score(open_set.threshold), "", 0, (note,))


def _accepted(open_sets: list[OpenSet], find: _Find) -> tuple[FilterRow, ...]:
    by_filter = [
        {acceptance.name: acceptance for acceptance in find(open_set)} for open_set in open_sets
    ]
    names = {name: acceptance.images for groups in by_filter for name, acceptance in groups.items()}
    return tuple(
        FilterRow(name, images, None, tuple(_let_through(groups.get(name)) for groups in by_filter))
        for name, images in names.items()
    )


def _let_through(acceptance: Acceptance | None) -> FilterCell | None:
    return None if acceptance is None else _cell(acceptance.accepted, 1 - acceptance.accepted.value)


def _negatives(open_sets: list[OpenSet], *, near_miss: bool) -> tuple[FilterRow, ...]:
    by_filter = [
        {group.name: group for group in open_set.negatives if group.near_miss is near_miss}
        for open_set in open_sets
    ]
    groups = {name: group for named in by_filter for name, group in named.items()}
    return tuple(
        FilterRow(
            name,
            group.images,
            None if name == ALL else not group.trained,
            tuple(_false_accepts(named.get(name)) for named in by_filter),
        )
        for name, group in groups.items()
    )


def _false_accepts(group: NegativeGroup | None) -> FilterCell | None:
    if group is None:
        return None
    notes = [f"at 95 %: {formatting.percent(group.accepted_at_95.value)}"]
    if group.auc:
        notes.insert(
            0, f"AUC {formatting.score(group.auc.value)} {formatting.score_interval(group.auc)}"
        )
    return _cell(group.accepted, group.accepted.value, *notes)


def _cell(fraction: Estimate, false: float, *notes: str) -> FilterCell:
    interval = formatting.percent_interval(fraction)
    return FilterCell(formatting.percent(fraction.value), interval, round(100 * false), notes)
