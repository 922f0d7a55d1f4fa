"""Reports which margins of a gate are within reach of the test images, before anything is trained.

A margin is within reach if an equally good model passes it in 8 of 10 runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pupila import layout
from pupila.errors import join_names
from pupila.noninferiority import POWER
from pupila.noninferiority.reach import DISCORDANCE, auc_reach, proportion_reach
from pupila.plugin import CLASSIFICATION
from pupila_flows.gate.conditions import condition_of
from pupila_flows.plan.plan import Plan, PlannedExternal
from pupila_flows.recipe.gate import GateSection, default_margins

Sizes = Mapping[str, int]
"""Number of test images of each class, by name of the class."""

_RUNS = 10


@dataclass(frozen=True)
class GateReach:
    """The margins that are within reach of the images that the gate uses."""

    sentence: str
    """Names the smallest margins that an equally good model passes in 8 of 10 runs."""
    warnings: tuple[str, ...] = ()
    """Warnings about margins of the recipe that are out of reach."""


def reach_of_plan(plan: Plan) -> GateReach | None:
    """Return which margins are within reach of a recipe's gate; None if the gate has no margins.

    Images are listed, but not opened.

    Raises:
        PupilaError: the images cannot be listed.
    """
    section = plan.recipe.gate
    if section is None:
        return None
    data = plan.recipe.data
    names = layout.names(plan.data, data.task, data.classes, plan.reader)
    classes = names or layout.labels(plan.data, data.task, choice=plan.reader)
    positive = data.positive_class(classes)
    reaches = [_on_test_images(plan, section, classes, positive)]
    reaches += [_on_external(section, external, classes, positive) for external in plan.external]
    known = [reach for reach in reaches if reach]
    if not known:
        return None
    return GateReach(
        " ".join(reach.sentence for reach in known),
        tuple(warning for reach in known for warning in reach.warnings),
    )


def _on_test_images(
    plan: Plan, section: GateSection, classes: Sequence[str], positive: str
) -> GateReach | None:
    asked = _asked(section, publishes=plan.recipe.publish is not None)
    if not asked:
        return None
    task = plan.recipe.data.task
    images = layout.labelled_images(plan.data, "test", task, classes, plan.reader)
    rows = _by_class(images, classes, task)
    sizes = Counter(row["label"] for row in rows)
    every = {name: sizes[name] for name in classes}
    warnings = [_warning(every, positive, asked, "these test images", task)]
    for column in section.groups:
        for words, sizes in _smallest_groups(rows, column, classes, positive).items():
            warnings.append(_warning(sizes, positive, asked, words, task))
    sentence = reach_of_images(every, positive, tuple(asked), task=task) + _fewer_patients(rows)
    return GateReach(sentence, tuple(filter(None, warnings)))


def _on_external(
    section: GateSection, external: PlannedExternal, classes: Sequence[str], positive: str
) -> GateReach | None:
    """Return which margins are within reach of external images; None if none is checked there.

    The teacher is assumed to be above chance on these images.
    """
    named = section.external.sets is None or external.name in section.external.sets
    asked = _with_reach(section.on_external.asked)
    if not named or not asked or not external.listing.labels:
        return None
    listing = external.listing.with_classes(classes, external.section.map)
    rows = _by_class(listing.rows, classes, listing.task)
    sizes = Counter(row["label"] for row in rows)
    every = {name: sizes[name] for name in classes}
    if not min(every.values()):
        missing = ", ".join(name for name in classes if not every[name])
        return GateReach(
            f"On {external.name} images of {missing} are missing.",
            (
                f"The gate asks for margins on {external.name}, and what needs images of {missing} "
                f"cannot be shown there.",
            ),
        )
    images = f"images of {external.name}"
    warning = _warning(every, positive, asked, f"the {images}", listing.task)
    sentence = reach_of_images(every, positive, tuple(asked), images, listing.task)
    return GateReach(sentence + _fewer_patients(rows), (warning,) if warning else ())


def _by_class(
    rows: Iterable[Mapping[str, str]], classes: Sequence[str], task: str
) -> list[Mapping[str, str]]:
    """Return rows labelled by class; in a task without classes, all count as of the first name."""
    if task == CLASSIFICATION:
        return list(rows)
    return [{**row, "label": classes[0]} for row in rows]


def reach_of_images(
    sizes: Sizes,
    positive: str,
    fields: Sequence[str] = (),
    images: str = "test images",
    task: str = CLASSIFICATION,
) -> str:
    """Return a sentence on the smallest margins within reach, for each metric in `fields`.

    If `fields` is empty, the sentence covers all metrics of the task but its error: how much errors
    vary is not known beforehand. `sizes` has the number of images of each class, and `images` is
    the word for the images in the sentence.
    """
    counts = join_names(f"{count} {name}" for name, count in sizes.items())
    listed = f" ({counts})" if len(sizes) > 1 else ""
    smallest = smallest_margins(sizes, positive, fields, task)
    margins = ", ".join(
        f"{_title(field, task)} {_margin(least)}" for field, least in smallest.items()
    )
    return (
        f"Gate: with {sum(sizes.values())} {images}{listed} an equally good model that "
        f"differs in {100 * DISCORDANCE:.0f} % of them passes, in {POWER * _RUNS:.0f} of {_RUNS} "
        f"runs, margins from: {margins}."
    )


def smallest_margins(
    sizes: Sizes, positive: str, fields: Sequence[str] = (), task: str = CLASSIFICATION
) -> dict[str, float | None]:
    """Return the smallest margin within reach of each metric in `fields`; None if none is.

    If `fields` is empty, these are all metrics of the task but its error.
    """
    every = [field for field in default_margins(task).asked if field in _REACH]
    return {field: _REACH[field](sizes, positive) for field in fields or every}


def _fewer_patients(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a sentence if there are fewer patients than images, else an empty one.

    An image without a patient counts as a patient of its own.
    """
    named = [row["patient"] for row in rows if row.get("patient")]
    patients = len(set(named)) + len(rows) - len(named)
    if patients == len(rows):
        return ""
    return f" They are of {patients} patient{'' if patients == 1 else 's'}, who can show less."


def _asked(section: GateSection, *, publishes: bool) -> dict[str, float]:
    """Return the margin of each metric: the smaller of those for teacher and published version."""
    asked = dict(section.margins.asked)
    if publishes:
        for field, margin in section.against_published.asked.items():
            asked[field] = min(margin, asked.get(field, margin))
    return _with_reach(asked)


def _with_reach(asked: Mapping[str, float]) -> dict[str, float]:
    """Return the margins whose reach depends on nothing but the number of images."""
    return {field: margin for field, margin in asked.items() if field in _REACH}


def _warning(
    sizes: Sizes, positive: str, asked: Mapping[str, float], images: str, task: str
) -> str | None:
    """Return a warning that names the margins out of reach; None if there are none."""
    beyond: list[str] = []
    for field, margin in asked.items():
        least = _REACH[field](sizes, positive)
        if least is None or margin < least:
            beyond.append(f"{_title(field, task)} {margin:g}")
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
    """Return the sizes of the groups with the fewest images, fewest positives and fewest others.

    The keys describe the groups in words.
    """
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

    smallest: dict[str, Sizes] = {}
    for size in (total, positives, others):
        value = min(labels, key=size)
        where = f"{column} = {value}" if value else f"{column} is not given"
        sizes = {name: labels[value][name] for name in classes}
        smallest[f"the {total(value)} test images where {where}"] = sizes
    return smallest


def _title(field: str, task: str) -> str:
    return condition_of(field, task).title


def _margin(least: float | None) -> str:
    return "none" if least is None else f"{least:g}"


def _of_all(sizes: Sizes, positive: str) -> float | None:
    return proportion_reach(sum(sizes.values()))


def _of_positives(sizes: Sizes, positive: str) -> float | None:
    return proportion_reach(sizes[positive])


def _of_negatives(sizes: Sizes, positive: str) -> float | None:
    return proportion_reach(sum(sizes.values()) - sizes[positive])


def _of_auc(sizes: Sizes, positive: str) -> float | None:
    smallest = min(sizes.values())
    return auc_reach(smallest, sum(sizes.values()) - smallest)


_REACH: Mapping[str, Callable[[Sizes, str], float | None]] = {
    "accuracy": _of_all,
    "auc": _of_auc,
    "sensitivity": _of_positives,
    "specificity": _of_negatives,
}
"""For each metric, a function that returns the smallest margin within reach; None if none is."""
