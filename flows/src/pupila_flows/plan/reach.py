"""Which margins of a gate the test images can show at all, told before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pupila import layout
from pupila.errors import join_names
from pupila.noninferiority import POWER
from pupila.noninferiority.reach import DISCORDANCE, area_reach, proportion_reach
from pupila_flows.gate.conditions import condition_of
from pupila_flows.plan.plan import Plan, PlannedExternal
from pupila_flows.recipe.gate import GateSection

Sizes = Mapping[str, int]
"""Test images of each class, by its name."""

_RUNS = 10


@dataclass(frozen=True)
class GateReach:
    """What a gate can show with the test images that are there."""

    sentence: str
    """The smallest margins that an equally good model passes in 8 of 10 runs."""
    warnings: tuple[str, ...] = ()
    """Margins that are asked, and are smaller."""


def reach_of_plan(plan: Plan) -> GateReach | None:
    """Return what the gate of a recipe can show; None where it compares nothing.

    Images are listed as for a check, and none is opened.

    Raises:
        PupilaError: the images are not as they must be.
    """
    section = plan.recipe.gate
    if section is None:
        return None
    classes = plan.recipe.data.classes or tuple(sorted(layout.labels(plan.data)))
    positive = plan.recipe.data.positive_class(classes)
    parts = [_at_home(plan, section, classes, positive)]
    parts += [_elsewhere(section, each, classes, positive) for each in plan.external]
    found = [part for part in parts if part]
    if not found:
        return None
    return GateReach(
        " ".join(part.sentence for part in found),
        tuple(warning for part in found for warning in part.warnings),
    )


def _at_home(
    plan: Plan, section: GateSection, classes: Sequence[str], positive: str
) -> GateReach | None:
    asked = _asked(section, publishes=plan.recipe.publish is not None)
    if not asked:
        return None
    rows = list(layout.labelled_images(plan.data, "test"))
    sizes = Counter(row["label"] for row in rows)
    every = {name: sizes[name] for name in classes}
    warnings = [_warning(every, positive, asked, "these test images")]
    for column in section.groups:
        for words, sizes in _smallest_groups(rows, column, classes, positive).items():
            warnings.append(_warning(sizes, positive, asked, words))
    sentence = reach_of_images(every, positive, tuple(asked)) + _fewer_patients(rows)
    return GateReach(sentence, tuple(filter(None, warnings)))


def _elsewhere(
    section: GateSection, place: PlannedExternal, classes: Sequence[str], positive: str
) -> GateReach | None:
    """Return what can be shown on images of another place, where the teacher is above chance."""
    named = section.external.sets is None or place.name in section.external.sets
    asked = section.on_external.asked
    if not named or not asked or not place.listing.labels:
        return None
    rows = place.listing.with_classes(classes, place.section.map).rows
    sizes = Counter(row["label"] for row in rows)
    every = {name: sizes[name] for name in classes}
    if not min(every.values()):
        missing = ", ".join(name for name in classes if not every[name])
        return GateReach(
            f"On {place.name} there are no images of {missing}.",
            (
                f"The gate asks for margins on {place.name}, and what needs images of {missing} "
                f"cannot be shown there.",
            ),
        )
    warning = _warning(every, positive, asked, f"the images of {place.name}")
    sentence = reach_of_images(every, positive, tuple(asked), f"images of {place.name}")
    return GateReach(sentence + _fewer_patients(rows), (warning,) if warning else ())


def reach_of_images(
    sizes: Sizes, positive: str, fields: Sequence[str] = (), images: str = "test images"
) -> str:
    """Say from which margins on an equally good model passes; by default of every figure."""
    counts = join_names(f"{count} {name}" for name, count in sizes.items())
    found = {field: _REACH[field](sizes, positive) for field in fields or _REACH}
    margins = ", ".join(f"{_title(field)} {_margin(found[field])}" for field in found)
    return (
        f"Gate: with {sum(sizes.values())} {images} ({counts}) an equally good model that "
        f"differs in {100 * DISCORDANCE:.0f} % of them passes, in {POWER * _RUNS:.0f} of {_RUNS} "
        f"runs, margins from: {margins}."
    )


def _fewer_patients(rows: Sequence[Mapping[str, str]]) -> str:
    """Say that patients are fewer than images; an image without one is a patient by itself."""
    named = [row["patient"] for row in rows if row.get("patient")]
    patients = len(set(named)) + len(rows) - len(named)
    if patients == len(rows):
        return ""
    return f" They are of {patients} patient{'' if patients == 1 else 's'}, who can show less."


def _asked(section: GateSection, *, publishes: bool) -> dict[str, float]:
    """Return the smallest margin of each figure, against the teacher or what is published."""
    asked = dict(section.margins.asked)
    if publishes:
        for field, margin in section.against_published.asked.items():
            asked[field] = min(margin, asked.get(field, margin))
    return {field: margin for field, margin in asked.items() if field in _REACH}


def _warning(sizes: Sizes, positive: str, asked: Mapping[str, float], images: str) -> str | None:
    """Name the margins that are out of reach; None where all are within."""
    beyond: list[str] = []
    for field, margin in asked.items():
        least = _REACH[field](sizes, positive)
        if least is None or margin < least:
            beyond.append(f"{_title(field)} {margin:g}")
    if not beyond:
        return None
    return (
        f"The gate asks for margins that {images} can hardly show ({', '.join(beyond)}): of "
        f"such models fewer than {POWER * _RUNS:.0f} in {_RUNS} pass each. Add test "
        f"images, or ask only for margins that are within reach, if they still mean enough."
    )


def _smallest_groups(
    rows: Sequence[Mapping[str, str]], column: str, classes: Sequence[str], positive: str
) -> dict[str, Sizes]:
    """Return the values with the fewest test images, of all kinds and of either, in words."""
    labels: dict[str, Counter[str]] = {}
    for row in rows:
        labels.setdefault(row.get(column, ""), Counter())[row["label"]] += 1
    if not any(labels):
        return {}

    def total(value: str) -> int:
        return labels[value].total()

    def positives(value: str) -> int:
        return labels[value][positive]

    def others(value: str) -> int:
        return total(value) - positives(value)

    found: dict[str, Sizes] = {}
    for size in (total, positives, others):
        value = min(labels, key=size)
        where = f"{column} = {value}" if value else f"{column} is not given"
        sizes = {name: labels[value][name] for name in classes}
        found[f"the {total(value)} test images where {where}"] = sizes
    return found


def _title(field: str) -> str:
    return condition_of(field).title


def _margin(least: float | None) -> str:
    return "none" if least is None else f"{least:g}"


def _of_all(sizes: Sizes, positive: str) -> float | None:
    return proportion_reach(sum(sizes.values()))


def _of_positives(sizes: Sizes, positive: str) -> float | None:
    return proportion_reach(sizes[positive])


def _of_negatives(sizes: Sizes, positive: str) -> float | None:
    return proportion_reach(sum(sizes.values()) - sizes[positive])


def _of_areas(sizes: Sizes, positive: str) -> float | None:
    smallest = min(sizes.values())
    return area_reach(smallest, sum(sizes.values()) - smallest)


_REACH: Mapping[str, Callable[[Sizes, str], float | None]] = {
    "accuracy": _of_all,
    "auc": _of_areas,
    "sensitivity": _of_positives,
    "specificity": _of_negatives,
}
"""The smallest margin of a figure, by its field, that an equally good model mostly passes."""
