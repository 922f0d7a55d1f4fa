"""Sections that packages add; see `pupila.ReportSection`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from pupila.drawing import Drawing
from pupila.errors import PupilaError
from pupila.fragments import checked
from pupila.plugin_registry import installed
from pupila.reported import ReportedEntry, ReportedRun
from pupila.result_plugins import MeasuredSection, ReportSection
from pupila_flows.report.lineage import Lineage
from pupila_flows.results import RunResult


@dataclass(frozen=True)
class Part:
    """One drawing of a section, ready for the page."""

    artifact: str
    """Name of the artifact that it is about; empty if it is about the run."""
    lead: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    picture: Markup
    filled: Markup
    """What the section's template gives."""


@dataclass(frozen=True)
class AddedSection:
    """A section of a package, or the reason why it cannot be drawn."""

    name: str
    title: str
    origin: str
    """Distribution and version of the package."""
    parts: tuple[Part, ...] = ()
    error: str = ""


def added_sections(result: RunResult, lineage: Lineage) -> list[AddedSection]:
    """Return the sections of installed packages that have something to show, by name."""
    run = ReportedRun(
        entries=tuple(
            ReportedEntry(
                name=entry.name,
                uses=entry.uses,
                measured=entry.measured,
                evaluation=entry.evaluation,
            )
            for entry in lineage.entries.values()
        ),
        result=result.model_dump(mode="json"),
    )
    sections = (_section(plugin, run) for plugin in installed().all(ReportSection))
    return [section for section in sections if section.parts or section.error]


def _section(plugin: ReportSection, run: ReportedRun) -> AddedSection:
    entry = installed().origin(plugin)
    origin = f"{entry.distribution} {entry.version}"
    try:
        parts = tuple(_part(plugin, name, drawing) for name, drawing in _drawings(plugin, run))
    except Exception as error:  # a third party's code may raise anything
        kind = "" if isinstance(error, PupilaError) else f"{type(error).__name__}: "
        return AddedSection(plugin.name, plugin.title, origin, error=f"{kind}{error}")
    return AddedSection(plugin.name, plugin.title, origin, parts)


def _drawings(plugin: ReportSection, run: ReportedRun) -> Iterator[tuple[str, Drawing]]:
    """Yield what a section draws, with the name of the artifact that it is about."""
    drawer: Any = plugin.load()
    if not isinstance(plugin, MeasuredSection):
        drawing = drawer(run)
        if drawing is not None:
            yield "", drawing
        return
    for entry in run.entries:
        measured = entry.measured.read(drawer)
        if measured is not None:
            yield entry.name, measured.drawing()


def _part(plugin: ReportSection, artifact: str, drawing: Any) -> Part:
    if not isinstance(drawing, Drawing):
        raise PupilaError(f"expected a Drawing, received {type(drawing).__name__!r}.")
    columns, rows = _texts(drawing.columns), tuple(map(_texts, drawing.rows))
    wrong = next((row for row in rows if len(row) != len(columns)), None)
    if wrong is not None:
        raise PupilaError(f"the row {wrong!r} has {len(wrong)} cells, expected {len(columns)}.")
    return Part(
        artifact=artifact,
        lead=str(drawing.lead),
        columns=columns,
        rows=rows,
        picture=_checked(str(drawing.svg)),
        filled=_checked(_fill(plugin.template, drawing)) if plugin.template else Markup(""),
    )


def _checked(fragment: str) -> Markup:
    return Markup(checked(fragment))  # noqa: S704 - `checked` refuses what could run or load


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _fill(template: str, drawing: Drawing) -> str:
    """Fill a package's template; it reaches nothing but its data."""
    package, _, path = template.partition(":")
    source = resources.files(package).joinpath(path).read_text(encoding="utf-8")
    environment = SandboxedEnvironment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(source).render(**drawing.data)
