"""Writes a sweep's page, its plot as a separate file, and its metrics as CSV."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pupila.store import write_atomically
from pupila_flows.report import formatting
from pupila_flows.report.figures import main_title
from pupila_flows.report.page import data_docs
from pupila_flows.report.past_runs import METRICS_NAME, REPORT_NAME
from pupila_flows.report.predictions import RunPredictions, read_predictions
from pupila_flows.report.sections import results_table
from pupila_flows.report.sections.gains import Gain, gains
from pupila_flows.report.sections.seeds import (
    SeedRuns,
    Spread,
    figure_text,
    group_by_seed,
    percent_range,
    seed_count,
    seeds_of,
)
from pupila_flows.report.sweep.axis import Axis, describe_settings, short_names
from pupila_flows.report.sweep.lines import has_several, lines, roles, step_of
from pupila_flows.report.sweep.metrics import metrics_csv
from pupila_flows.report.sweep.plot import FIDELITY, draw, draw_alone, fraction_right
from pupila_flows.report.templating import fill
from pupila_flows.results import RunResult

PLOT_NAME = "sweep.svg"


def write_sweep(result: RunResult, folder: Path) -> Path:
    """Write `report.html`, `sweep.svg` and `sweep.csv` into `folder`; return the page's path.

    Raises:
        PupilaError: predictions do not have a row per test image and the columns of the task.
    """
    predictions = read_predictions(result, folder)
    names, axis = short_names(result.sweep), Axis.of(result.sweep)
    task = predictions.task
    plotted = FIDELITY if result.choose_by == "fidelity" else fraction_right(task)
    shown, best, title = lines(result, axis), best_point(result), names[axis.key]
    page = fill(
        "sweep.html",
        result=result,
        task=task,
        main_title=_main_title(result),
        goal=_goal(result),
        headline=_headline(result, best, names),
        sentences=_sentences(result, best, predictions),
        plotted=plotted.name,
        plot=draw(plotted, shown, axis, title, best),
        rows=_rows(result, predictions, names, best),
        failed=[entry for entry in result.entries if entry.error],
        warning_of=results_table.warning_of,
        warnings=[entry for entry in result.entries if results_table.warning_of(entry)],
        several=len(seeds_of(result)) > 1,
        altered=any(entry.shift and entry.shift.validation for entry in result.entries),
        data_file=METRICS_NAME,
        picture=PLOT_NAME,
        shortcuts=results_table.shortcuts(result.data),
        checks=results_table.checks(result.data),
        counts=results_table.counts(result.data),
        data_docs=data_docs(result.data, folder),
        groups=[],
        command=f"pupila sweep {shlex.quote(result.recipe_path)}",
    )
    write_atomically(folder / METRICS_NAME, metrics_csv(result).encode())
    write_atomically(folder / PLOT_NAME, draw_alone(plotted, shown, axis, title, best).encode())
    write_atomically(folder / REPORT_NAME, page.encode())
    return folder / REPORT_NAME


def sweep_headline(result: RunResult, folder: Path) -> list[str]:
    """Return the page's title and the sentences below it."""
    names, best = short_names(result.sweep), best_point(result)
    return [
        _headline(result, best, names),
        *_sentences(result, best, read_predictions(result, folder)),
    ]


def best_point(result: RunResult) -> SeedRuns | None:
    """Return the pupil with the best mean over seeds; ties go to the first.

    Only pupils with the highest number of evaluated seeds are compared: with fewer seeds, a high
    mean is more often luck.
    """
    return max(_candidates(result), key=lambda point: _score(result, point), default=None)


def _score(result: RunResult, point: SeedRuns) -> float:
    """Return the score that chooses a point: fidelity or fraction right on validation images."""
    spread = point.fidelity if result.choose_by == "fidelity" else point.validation
    return spread.mean if spread else -1


def _candidates(result: RunResult) -> list[SeedRuns]:
    """Return the points among which the best is chosen."""
    role = roles(result)
    pupils = [
        runs
        for runs in group_by_seed(result.entries)
        if role[runs.name] == "pupil"
        and runs.first.settings
        and (runs.fidelity if result.choose_by == "fidelity" else runs.validation)
        and not any(artifact.entry.error for artifact in runs.evaluated)
    ]
    most = max((len(runs.evaluated) for runs in pupils), default=0)
    return [runs for runs in pupils if len(runs.evaluated) == most]


@dataclass(frozen=True)
class PointRow:
    """One row of the table, as text: a point of the sweep, a control or a teacher."""

    name: str
    note: str
    seeds: str
    validation: tuple[str, str]
    fidelity: tuple[str, str]
    test: tuple[str, str]
    main: str
    """The AUC, or the first figure of another task."""
    gain: tuple[str, str]
    best: bool


def _rows(
    result: RunResult, predictions: RunPredictions, names: Mapping[str, str], best: SeedRuns | None
) -> list[PointRow]:
    """Return the rows of pupils, then controls, then teachers, each in the order of the run."""
    gain_of = {gain.pupil: gain for gain in gains(result.entries, predictions)}
    evaluated = [runs for runs in group_by_seed(result.entries) if runs.evaluated]
    order = ("pupil", "control", "teacher")
    role = roles(result)
    evaluated.sort(key=lambda runs: order.index(role[runs.name]))
    return [
        PointRow(
            name=describe_settings(runs.first.settings, names) or runs.name,
            note=step_of(runs.first) if runs.first.settings else role[runs.name],
            seeds=seed_count(runs),
            validation=_percents(runs.validation),
            fidelity=_scores(runs.fidelity),
            test=_percents(runs.accuracy),
            main=figure_text(runs.main, several=False)[0],
            gain=_gain(gain_of.get(runs.name)),
            best=runs == best,
        )
        for runs in evaluated
    ]


def _main_title(result: RunResult) -> str:
    evaluated = [entry.evaluation.metrics for entry in result.entries if entry.evaluation]
    return main_title(result.data.methods, evaluated)


def _percents(spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return formatting.NONE, ""
    differs = spread.highest > spread.lowest
    return formatting.percent(spread.mean), percent_range(spread) if differs else ""


def _scores(spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return formatting.NONE, ""
    differs = spread.highest > spread.lowest
    between = f"{formatting.score(spread.lowest)}–{formatting.score(spread.highest)}"
    return formatting.score(spread.mean), between if differs else ""


def _gain(gain: Gain | None) -> tuple[str, str]:
    if gain is None:
        return formatting.NONE, ""
    interval = formatting.points_interval(gain.difference) if gain.difference else ""
    return formatting.points(gain.value), interval


def _goal(result: RunResult) -> str:
    axes = formatting.listed(
        [
            f"{key} ({formatting.plural(len(values), 'value')})"
            for key, values in result.sweep.items()
        ]
    )
    seeds = formatting.plural(len(seeds_of(result)), "seed")
    return f"Try every combination of {axes}, each with {seeds}."


def _headline(result: RunResult, best: SeedRuns | None, names: Mapping[str, str]) -> str:
    if best is None:
        right = result.data.methods.right_title
        metric = "fidelity" if result.choose_by == "fidelity" else right
        article = "an" if metric[0] in "aeiou" else "a"
        return f"No point can be chosen: none has {article} {metric} on validation images"
    step = f"{step_of(best.first)}: " if has_several(result) else ""
    images = "altered validation images" if result.choose_by == "fidelity" else "validation images"
    return f"Best on the {images}: {step}{describe_settings(best.first.settings, names)}"


def _sentences(result: RunResult, best: SeedRuns | None, predictions: RunPredictions) -> list[str]:
    """Return the chosen point's results on the test images and against its control."""
    if best is None or best.accuracy is None:
        return []
    interval = best.interval(predictions)
    shown = f" (95 % interval {formatting.percent_interval(interval)})" if interval else ""
    candidates, highest = _candidates(result), _score(result, best)
    tied = sum(_score(result, point) == highest for point in candidates)
    shared = f" ({tied} points share it; the first is taken)" if tied > 1 else ""
    right = predictions.task.right_title
    metric = (
        f"fidelity {formatting.score(highest)} on altered validation images"
        if result.choose_by == "fidelity"
        else f"{right} {formatting.percent(highest)} on the validation images"
    )
    sentences = [
        f"Mean {metric}, the highest of {formatting.plural(len(candidates), 'point')}{shared}; "
        f"{right} on the test images, which were not used to choose, "
        f"{formatting.percent(best.accuracy.mean)}{shown}."
    ]
    gain = next(
        (
            candidate
            for candidate in gains(result.entries, predictions)
            if candidate.pupil == best.name
        ),
        None,
    )
    sentences.append(
        f"Compared with its control: {gain.verdict}."
        if gain
        else "No control was made by the same steps, so what the teacher adds is unknown."
    )
    return sentences
