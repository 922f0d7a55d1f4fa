"""Prints the result of a run in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pupila_flows.cli import registry
from pupila_flows.cli.console import print_table, say, say_if_synthetic

if TYPE_CHECKING:
    from pupila_flows.results import Check, RunResult

_MOST_MODELS = 12
"""Most models that are named at the end; of more, only the folder is."""


def print_result(result: RunResult, path: Path, *, wide: bool = False) -> None:
    """Print the result of the run whose `result.json` is at `path`.

    The first table has the most important columns, and with `wide` all of them.
    """
    from pupila_flows.report.external import external_lines, external_rows
    from pupila_flows.report.stages import stage_rows
    from pupila_flows.report.terminal import (
        gain_rows,
        result_rows,
        runtime_rows,
        seed_rows,
        shift_rows,
        summary_rows,
    )

    for sentence in result.unproven:
        say(f"warning: {sentence}", file=sys.stderr)
    print_checks(check for check in result.data.checks if not check.passed)
    print_table(result_rows(result) if wide else summary_rows(result))
    print_table(external_rows(result))
    for line in external_lines(result):
        say(line)
    print_table([row.texts for row in stage_rows(result.entries)])
    print_table(runtime_rows(result))
    print_table(shift_rows(result))
    print_table(seed_rows(result, path.parent))
    print_table(gain_rows(result, path.parent))
    for entry in result.entries:
        if entry.error:
            say(f"error: {entry.name}: {entry.error}", file=sys.stderr)
        for warning in entry.evaluation.warnings if entry.evaluation else ():
            say(f"warning: {entry.name}: {warning}", file=sys.stderr)
    _print_gate(result)
    say_if_synthetic(Path(result.data.path))
    _print_paths(result, path)
    if result.publication:
        registry.print_publication(result.publication)


def print_checks(checks: Iterable[Check]) -> None:
    """Print the outcome of checks of the data."""
    from pupila_flows.report.terminal import check_lines

    for check in checks:
        say(*check_lines(check), sep="\n")


def _print_gate(result: RunResult) -> None:
    from pupila_flows.report.terminal import gate_lines, gate_rows

    if result.gate is not None:
        print_table(gate_rows(result.gate))
    if not result.sweep:
        say(*gate_lines(result), sep="\n")


def _print_paths(result: RunResult, path: Path) -> None:
    """Print where the models, the figures and the report of a run are."""
    folder = path.parent
    names = [
        entry.name
        for entry in result.entries
        if entry.kind == "step" and entry.artifact and (folder / entry.name).exists()
    ]
    if len(names) == 1:
        say(f"Model:   {folder / names[0]}")
    elif names:
        listed = f"/{{{','.join(names)}}}" if len(names) <= _MOST_MODELS else ""
        say(f"Models:  {folder}{listed}")
    say(f"Figures: {path}")
    report = path.with_name("report.html")
    say(f"Report:  {report if report.exists() else 'none; the logs say why'}")
    for name, kind in (("sweep.csv", "Table"), ("sweep.svg", "Plot")):
        if result.sweep and report.exists():
            say(f"{kind + ':':8} {path.with_name(name)}")
