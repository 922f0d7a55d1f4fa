"""The report's section on searches: a table of the Pareto front, and plots."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from pupila.evaluation import Estimate
from pupila.measured import Interval, SearchedModel, SearchResult
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import bars_and_rocs
from pupila_flows.report.search import front
from pupila_flows.report.search.forms import architecture
from pupila_flows.report.search.history import history_plot
from pupila_flows.report.search.roles import ROLES, role_of
from pupila_flows.report.search.tree import tree
from pupila_flows.results import Entry

_OPEN = 5
"""Number of architectures shown open; the rest are folded."""
_NAMED = 8
"""Most names that a sentence lists; the rest are only counted."""


@dataclass(frozen=True)
class Row:
    """One row in the table of the Pareto front: a model, as text."""

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
class Architecture:
    """The drawing of a model's architecture, with a caption."""

    name: str
    words: str
    picture: Markup


@dataclass(frozen=True)
class Failure:
    """A candidate that could not be trained."""

    name: str
    reason: str


@dataclass(frozen=True)
class SearchSection:
    """What the report shows of one search."""

    artifact: str
    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    at_once: bool
    """Whether the intervals hold simultaneously for all models."""
    has_teachers: bool
    panels: tuple[Markup, ...]
    history: Markup | None
    failures: tuple[Failure, ...]
    failures_left_out: int
    tree: Markup | None
    ancestors: int
    architectures: tuple[Architecture, ...]
    more_architectures: tuple[Architecture, ...]
    another: str
    """YAML of recipe steps that take another model from the search; empty if unknown."""


def searches(lineage: Lineage) -> list[SearchSection]:
    """Return a section for every search of a run."""
    return [section for section in map(_section, lineage.entries.values()) if section]


def _section(entry: Entry) -> SearchSection | None:
    search = entry.measured.read(SearchResult)
    if entry.record is None or search is None:
        return None
    teachers = _teachers(entry, search)
    panels = [front.over_bytes(search, teachers), front.over_latency(search, teachers)]
    architectures = [
        Architecture(model.name, _words(model), picture)
        for model in search.models
        if (picture := architecture(model, entry.record.input))
    ]
    failures = [Failure(candidate.name, candidate.failed or "") for candidate in search.failures]
    return SearchSection(
        artifact=entry.name,
        sentences=_sentences(search),
        rows=_rows(search),
        at_once=search.looks is not None,
        has_teachers=bool(teachers),
        panels=tuple(panel for panel in panels if panel),
        history=history_plot(search),
        failures=tuple(failures[:_NAMED]),
        failures_left_out=max(0, len(failures) - _NAMED),
        tree=tree(search),
        ancestors=len(search.family) - 1,
        architectures=tuple(architectures[:_OPEN]),
        more_architectures=tuple(architectures[_OPEN:]),
        another=_another(entry, search),
    )


def _teachers(entry: Entry, search: SearchResult) -> list[tuple[str, Interval]]:
    """Return name and accuracy of each teacher; empty unless each input has an accuracy."""
    if len(search.teachers) != len(entry.inputs):
        return []
    accuracies = [teacher.validation_accuracy for teacher in search.teachers]
    return list(zip(entry.inputs, accuracies, strict=True))


def _sentences(search: SearchResult) -> tuple[str, ...]:
    """Say what was chosen, from how many, and which models are not shown to be worse."""
    best = search.best
    tried = [
        candidate for candidate in search.candidates if candidate.validation_accuracy is not None
    ]
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
    return (f"{first}.", _not_on_front(search), _luck(search, len(tried)), _tied(search))


def _luck(search: SearchResult, tried: int) -> str:
    """Say that the chosen model's accuracy is too high on the images that chose it."""
    among = f" of {f'{tried:,}'}" if tried > 1 else ""
    best = (
        f"It is the best{among} on the images that chose it, so its accuracy there is too high: "
        "quote the one on the test images."
    )
    if search.looks is None:
        return f"{best} Its interval ignores that it was chosen, so it is too high as well."
    return (
        f"{best} The 95 % intervals hold at once for all {search.looks:,} models evaluated on "
        "these images, each epoch counted; they do not cover what the search learned from them "
        "by selection."
    )


def _not_on_front(search: SearchResult) -> str:
    if any(model.name == search.chosen for model in search.front):
        return ""
    return (
        f"{search.chosen} itself is not on the front, which is by all objectives of the search, "
        f"not by this rule."
    )


def _tied(search: SearchResult) -> str:
    names = {model.name for model in search.models}
    tied = [model.name for model in search.models if model.name in search.tied]
    others = len(set(search.tied) - names)
    named = tied[:_NAMED]
    rest = len(tied) - len(named)
    words = [*named, *([f"{rest} more of the front"] if rest else [])]
    words += [f"{formatting.plural(others, 'candidate')} off the front"] if others else []
    if not words:
        return "Every other model is shown to be worse, by a paired test."
    return (
        f"On these images, {formatting.listed(words)} are not shown to be worse than it, by a "
        "paired test."
    )


def _rows(search: SearchResult) -> tuple[Row, ...]:
    intervals = [interval.validation_accuracy for interval in search.models]
    low, high = (
        min(interval.low for interval in intervals),
        max(interval.high for interval in intervals),
    )
    return tuple(_row(model, search, low, high) for model in search.models)


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
    count = sum(size.parameters for size in model.sizes)
    parameters = f", {formatting.count(count)} parameters" if count else ""
    return f"{accuracy}, {size}{parameters}"


def _another(entry: Entry, search: SearchResult) -> str:
    """Write the recipe steps that take another model: the most accurate smaller one, or the first.

    The smallest model that is tied with the best would be a poor choice: with few images, nearly
    all models are tied.
    """
    taken, best = search.taken_with, search.best
    others = [model for model in search.models if model.name != search.chosen]
    others = [model for model in others if model in search.front]
    if taken is None or not others:
        return ""
    other = next((model for model in others if best and model.bytes < best.bytes), others[0])
    step, _, _ = entry.name.partition("[")  # at a point of a sweep, that follows in brackets
    settings = f"with: {{{taken.setting}: {other.name}}}"
    return f"steps:\n  another: {{use: {taken.use}, from: {step}, {settings}}}\n"


def _range(interval: Interval) -> str:
    return formatting.percent_interval(_estimate(interval))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(**interval.model_dump())
