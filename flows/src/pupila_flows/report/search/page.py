"""The part of the report on searches: a table of the front, and what is drawn of each."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from pupila.evaluation import Estimate
from pupila.measured import Interval, SearchedModel, SearchResult
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import bars_and_rocs
from pupila_flows.report.search import front
from pupila_flows.report.search.forms import form
from pupila_flows.report.search.history import history_plot
from pupila_flows.report.search.roles import ROLES, role_of
from pupila_flows.report.search.tree import tree
from pupila_flows.results import Entry

_OPEN = 5
"""Forms that are seen at once; the rest are unfolded."""
_NAMED = 8
"""Names in a sentence; the rest are counted."""


@dataclass(frozen=True)
class Row:
    """A model of the front, in the table."""

    name: str
    role: str
    words: str
    accuracy: str
    interval: str
    bar: Markup
    size: str
    latency: str
    macs: str
    epochs: str
    generation: str


@dataclass(frozen=True)
class Form:
    """The form of a model, drawn."""

    name: str
    words: str
    picture: Markup


@dataclass(frozen=True)
class Failure:
    """A candidate that could not be trained."""

    name: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What the report shows of one search."""

    artifact: str
    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    at_once: bool
    """Whether the intervals hold for all models at once."""
    has_teachers: bool
    panels: tuple[Markup, ...]
    history: Markup | None
    failures: tuple[Failure, ...]
    failures_left_out: int
    tree: Markup | None
    ancestors: int
    forms: tuple[Form, ...]
    more_forms: tuple[Form, ...]
    another: str
    """Steps of a recipe that take another model; empty where that cannot be told."""


def searches(lineage: Lineage) -> list[Found]:
    """Return what there is to be shown of every search of a run."""
    return [found for found in map(_found, lineage.entries.values()) if found]


def _found(entry: Entry) -> Found | None:
    search = entry.measured.read(SearchResult)
    if entry.record is None or search is None:
        return None
    teachers = _teachers(entry, search)
    panels = [front.over_bytes(search, teachers), front.over_latency(search, teachers)]
    forms = [
        Form(each.name, _words(each), drawn)
        for each in search.models
        if (drawn := form(each, entry.record.input))
    ]
    failures = [Failure(each.name, each.failed or "") for each in search.failures]
    return Found(
        artifact=entry.name,
        sentences=_sentences(search),
        rows=_rows(search),
        at_once=search.looks is not None,
        has_teachers=bool(teachers),
        panels=tuple(each for each in panels if each),
        history=history_plot(search),
        failures=tuple(failures[:_NAMED]),
        failures_left_out=max(0, len(failures) - _NAMED),
        tree=tree(search),
        ancestors=len(search.family) - 1,
        forms=tuple(forms[:_OPEN]),
        more_forms=tuple(forms[_OPEN:]),
        another=_another(entry, search),
    )


def _teachers(entry: Entry, search: SearchResult) -> list[tuple[str, Interval]]:
    """Return the teachers' accuracies by name, where there is one for each input of the step."""
    if len(search.teachers) != len(entry.inputs):
        return []
    found = [each.validation_accuracy for each in search.teachers]
    return list(zip(entry.inputs, found, strict=True))


def _sentences(search: SearchResult) -> tuple[str, ...]:
    """Say what was chosen among how many, and what cannot be told apart from it."""
    best = search.best
    tried = [each for each in search.candidates if each.validation_accuracy is not None]
    among = f" among {formatting.plural(len(tried), 'candidate')}" if tried else ""
    images = search.validation_images
    on = f" on {formatting.plural(images, 'validation image')}" if images else ""
    first = f"{search.chosen} was chosen{among}"
    if best:
        accuracy = best.validation_accuracy
        first += f": {formatting.percent(accuracy.value)} ({_range(accuracy)}){on}"
        first += f", {formatting.size(best.bytes)} as int8"
    if search.rule:
        first += f". The rule: {search.rule}"
    return (f"{first}.", _beside(search), _luck(search, len(tried)), _tied(search))


def _luck(search: SearchResult, tried: int) -> str:
    """Say what a figure is worth on images that chose among many."""
    among = f" of {f'{tried:,}'}" if tried > 1 else ""
    best = (
        f"It is the best{among} on the very images that chose it, so its accuracy there is too "
        "high: the one to quote is that on the test images."
    )
    if search.looks is None:
        return f"{best} Its interval is that of a model which was not chosen, and too high as well."
    return (
        f"{best} The 95 % intervals hold for all {search.looks:,} models at once "
        "that these images looked at, each epoch counted; what the search learned from them by "
        "breeding is not in them."
    )


def _beside(search: SearchResult) -> str:
    if any(each.name == search.chosen for each in search.front):
        return ""
    return (
        f"{search.chosen} itself is not on the front, which goes by all that the search looked at, "
        f"not by this rule."
    )


def _tied(search: SearchResult) -> str:
    names = {each.name for each in search.models}
    shown = [each.name for each in search.models if each.name in search.tied]
    others = len(set(search.tied) - names)
    told = shown[:_NAMED]
    rest = len(shown) - len(told)
    words = [*told, *([f"{rest} more of the front"] if rest else [])]
    words += [f"{formatting.plural(others, 'candidate')} beside the front"] if others else []
    if not words:
        return "Every other model is shown to be worse, image by image."
    return (
        f"On these images {formatting.listed(words)} cannot be told apart from it: image by image, "
        "they are not shown to be worse."
    )


def _rows(search: SearchResult) -> tuple[Row, ...]:
    intervals = [each.validation_accuracy for each in search.models]
    low, high = min(each.low for each in intervals), max(each.high for each in intervals)
    return tuple(_row(each, search, low, high) for each in search.models)


def _row(model: SearchedModel, search: SearchResult, low: float, high: float) -> Row:
    role, accuracy = role_of(model.name, search), model.validation_accuracy
    return Row(
        name=model.name,
        role=role,
        words="" if role == "other" else ROLES[role],
        accuracy=formatting.percent(accuracy.value),
        interval=_range(accuracy),
        bar=bars_and_rocs.interval_bar(_estimate(accuracy), low, high),
        size=formatting.size(model.bytes),
        latency=formatting.NONE
        if model.latency_ms is None
        else formatting.milliseconds(model.latency_ms),
        macs=formatting.count(model.macs),
        epochs=formatting.NONE if model.epochs is None else f"{model.epochs}",
        generation=formatting.NONE if model.generation is None else f"{model.generation}",
    )


def _words(model: SearchedModel) -> str:
    size, accuracy = (
        formatting.size(model.bytes),
        formatting.percent(model.validation_accuracy.value),
    )
    count = sum(each.parameters for each in model.sizes)
    parameters = f", {formatting.count(count)} parameters" if count else ""
    return f"{accuracy}, {size}{parameters}"


def _another(entry: Entry, search: SearchResult) -> str:
    """Write the steps that take another model: the most accurate that is smaller, or the first.

    Not the smallest of those that cannot be told apart: on few images those are nearly all.
    """
    taken, best = search.taken_with, search.best
    others = [each for each in search.models if each.name != search.chosen]
    others = [each for each in others if each in search.front]
    if taken is None or not others:
        return ""
    other = next((each for each in others if best and each.bytes < best.bytes), others[0])
    step, _, _ = entry.name.partition("[")  # at a point of a sweep, that follows in brackets
    settings = f"with: {{{taken.setting}: {other.name}}}"
    return f"steps:\n  another: {{use: {taken.use}, from: {step}, {settings}}}\n"


def _range(interval: Interval) -> str:
    return formatting.percent_interval(_estimate(interval))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(**interval.model_dump())
