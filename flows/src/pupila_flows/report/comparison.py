"""Compares two runs: their settings, and the artifacts that both have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pupila.evaluation import Estimate, Evaluation
from pupila_flows.recipe.differences import ABSENT, Change, setting_changes
from pupila_flows.report import formatting
from pupila_flows.report.figures import main_figure, titled
from pupila_flows.report.past_runs import read_result
from pupila_flows.report.predictions import RunPredictions, paired_difference, read_predictions
from pupila_flows.results import Entry, RunResult


class ComparedEntry(BaseModel):
    """A teacher or step that was evaluated in at least one of two runs."""

    model_config = ConfigDict(frozen=True)

    name: str
    before: Evaluation | None
    after: Evaluation | None
    difference: Estimate | None = Field(
        description="Fraction right after minus before, image by image, as a fraction; None if it "
        "is not known."
    )


class RunComparison(BaseModel):
    """What differs between two runs."""

    model_config = ConfigDict(frozen=True)

    before: str
    after: str
    settings: tuple[Change, ...]
    same_images: bool = Field(description="Whether both runs have the same images and splits.")
    right: str = Field(description="What the fraction right is called, such as accuracy.")
    entries: tuple[ComparedEntry, ...]

    @property
    def lines(self) -> list[str]:
        """What differs in words, before the table of figures."""
        lines = [f"{self.before} → {self.after}", *(f"  {setting}" for setting in self.settings)]
        if not self.settings:
            lines.append("  The recipes do not differ.")
        if not self.same_images:
            lines.append("  The images or their splits differ, so nothing is compared in pairs.")
        return lines

    @property
    def rows(self) -> list[dict[str, str]]:
        """One row for each entry, with sizes, figures and times as `before → after`."""
        return [
            {
                "name": entry.name,
                "size": _both(entry, lambda one: formatting.size(one.cost.size_bytes)),
                self.right: _both(entry, lambda one: f"{one.metrics.accuracy.value:.3f}"),
                "difference": _difference(entry),
                **_main(entry),
                "median ms": _both(entry, lambda one: f"{one.cost.latency.median_ms:.2f}"),
            }
            for entry in self.entries
        ]


def compare_runs(before: Path, after: Path) -> RunComparison:
    """Compare two runs, given by their folders.

    Entries are paired by name. If both runs have the same images, what two entries answer right is
    compared image by image, with an interval as in the gate.

    Raises:
        PupilaError: a result cannot be read.
    """
    results = read_result(before), read_result(after)
    old, new = results
    same_images = old.data.fingerprint == new.data.fingerprint
    predictions = tuple(map(read_predictions, results, (before, after))) if same_images else None
    return RunComparison(
        before=_title(before),
        after=_title(after),
        settings=tuple(setting_changes(old.recipe_text, new.recipe_text)),
        same_images=same_images,
        right=new.data.methods.right_title,
        entries=tuple(_entries(old, new, predictions)),
    )


def _title(folder: Path) -> str:
    folder = folder.resolve()
    return f"{folder.parent.name}/{folder.name}"


def _entries(
    old: RunResult, new: RunResult, predictions: tuple[RunPredictions, ...] | None
) -> Iterator[ComparedEntry]:
    names = dict.fromkeys(entry.name for result in (new, old) for entry in result.entries)
    for name in names:
        first, second = (_evaluation(result.entries, name) for result in (old, new))
        if first or second:
            difference = _paired(name, *predictions) if predictions else None
            yield ComparedEntry(name=name, before=first, after=second, difference=difference)


def _evaluation(entries: Sequence[Entry], name: str) -> Evaluation | None:
    return next((entry.evaluation for entry in entries if entry.name == name), None)


def _paired(name: str, old: RunPredictions, new: RunPredictions) -> Estimate | None:
    if name not in old.answers or name not in new.answers:
        return None
    return paired_difference(new.correct(name), old.correct(name), new.patients)


def _both(entry: ComparedEntry, text: Callable[[Evaluation], str]) -> str:
    """Return a figure before and after; once, if it is the same text."""
    before, after = (text(one) if one else ABSENT for one in (entry.before, entry.after))
    return before if before == after else f"{before} → {after}"


def _main(entry: ComparedEntry) -> dict[str, str]:
    """Return the AUC, or the main figure of another task, before and after."""
    figures = [main_figure(one.metrics) if one else None for one in (entry.before, entry.after)]
    title = next((titled(figure) for figure in figures if figure), "")

    def text(one: Evaluation) -> str:
        figure = main_figure(one.metrics)
        return f"{figure.estimate.value:.3f}" if figure else ABSENT

    return {title: _both(entry, text)} if title else {}


def _difference(entry: ComparedEntry) -> str:
    if entry.difference is None:
        return ""
    points = formatting.points(entry.difference.value)
    return f"{points} ({formatting.points_interval(entry.difference)}) points"
