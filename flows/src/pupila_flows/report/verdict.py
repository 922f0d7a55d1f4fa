"""A run's verdict as Markdown for Prefect's UI: the headline, the gate, what was published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pupila_flows.markdown import plain, table
from pupila_flows.report.external import external_rows
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.predictions import read_predictions
from pupila_flows.report.sections.headline import headline
from pupila_flows.report.stages import stage_rows
from pupila_flows.report.sweep import sweep_headline
from pupila_flows.report.terminal import gate_lines, gate_rows, result_rows, shift_rows
from pupila_flows.results import RunResult

_COSTS = ("made by", "runtime", "MB", "gzip MB", "median ms", "failure")
"""Columns of `result_rows` that are costs, not metrics."""


def verdict_markdown(result: RunResult, folder: Path) -> str:
    """Return a run's verdict as Markdown: the headline, the gate and what was published.

    Relative paths of predictions start from `folder`.
    """
    title, *sentences = headline_lines(result, folder)
    synthetic = ["**Synthetic images: nothing here is medical.**"] if result.synthetic else []
    warnings = [f"**{plain(sentence)}**" for sentence in result.unproven]
    parts = [f"## {plain(title)}", *synthetic, *warnings, *map(plain, sentences)]
    if not result.sweep:
        parts += _gate(result)
    parts += _publication(result)
    return "\n\n".join(parts)


def headline_of(result: RunResult, folder: Path) -> str:
    """Return the title of a run's headline. Relative paths of predictions start from `folder`."""
    return headline_lines(result, folder)[0]


def metrics_markdown(result: RunResult) -> str:
    """Return the metrics of every artifact, split into tables narrow enough for Prefect's pages."""
    rows = result_rows(result)
    metrics = [{key: row[key] for key in row if key not in _COSTS} for row in rows]
    costs = [{key: row[key] for key in ("name", *_COSTS) if key in row} for row in rows]
    stages = [row.texts for row in stage_rows(result.entries)]
    tables = (metrics, costs, shift_rows(result), external_rows(result), stages)
    return "\n\n".join(_rows_markdown(rows) for rows in tables if rows)


def _rows_markdown(rows: Sequence[dict[str, str]]) -> str:
    """Return rows of text as a table, without empty columns."""
    head = list(dict.fromkeys(key for row in rows for key in row if row[key]))
    cells = [[plain(row.get(key, "")) for key in head] for row in rows]
    return "\n".join(table(list(map(plain, head)), cells))


def headline_lines(result: RunResult, folder: Path) -> list[str]:
    """Return the headline of a run's page and the sentences below it."""
    if result.sweep:
        return sweep_headline(result, folder)
    lineage = Lineage.of([entry for entry in result.entries if entry.repeats is None])
    verdict = headline(result, lineage, read_predictions(result, folder))
    return [verdict.title, *filter(None, [verdict.sentence])]


def _gate(result: RunResult) -> list[str]:
    """Return the verdict, unmet conditions with advice, and a row per condition."""
    verdict, *unmet = gate_lines(result)
    if result.gate is None:
        return [plain(verdict)]
    parts = [f"### {plain(verdict)}", "\n".join(map(_item, unmet))]
    if result.gate.artifacts:
        parts.append(_rows_markdown(gate_rows(result.gate)))
    return [part for part in parts if part]


def _item(line: str) -> str:
    """Return an indented line of `gate_lines` as a list item of the same depth."""
    text = line.lstrip()
    return f"{' ' * (len(line) - len(text) - 2)}* {plain(text)}"


def _publication(result: RunResult) -> list[str]:
    """Say what was published, or why nothing was."""
    publication = result.publication
    if publication is None:
        reason = result.withheld
        return ["### Nothing is published", plain(reason)] if reason else []
    outcome = {
        "published": f"Published: {publication.name}, version {publication.version}",
        "unchanged": f"Published before: {publication.name}, version {publication.version}",
        "withheld": f"Nothing of {publication.name} is published",
    }[publication.outcome]
    where = (
        [] if publication.outcome == "withheld" else [f"Registry: {plain(publication.registry)}"]
    )
    return [f"### {plain(outcome)}", plain(publication.reason), *where]
