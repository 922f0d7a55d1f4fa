"""Puts a sweep together: its page, its plot as a file of its own, its figures as a table."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pupila.store import write_atomically
from pupila_flows.report import formatting
from pupila_flows.report.page import REPORT_NAME, data_docs
from pupila_flows.report.predictions import Answers, read_answers
from pupila_flows.report.sections import results_table
from pupila_flows.report.sections.gains import Gain, gains
from pupila_flows.report.sections.seeds import (
    SeedRuns,
    Spread,
    percent_range,
    seed_count,
    seeds_of,
    trials,
)
from pupila_flows.report.sweep.axis import Axis, described, short_names
from pupila_flows.report.sweep.figures import figures_csv
from pupila_flows.report.sweep.lines import has_several, lines, roles, step_of
from pupila_flows.report.sweep.plot import ACCURACY, FIDELITY, draw, draw_alone
from pupila_flows.report.templating import fill
from pupila_flows.results import RunResult

PLOT_NAME, FIGURES_NAME = "sweep.svg", "sweep.csv"


def write_sweep(result: RunResult, folder: Path) -> Path:
    """Write `report.html`, `sweep.svg` and `sweep.csv` into `folder`; return the page's path.

    Raises:
        PupilaError: predictions do not have a row per test image and a column per class.
    """
    answers = read_answers(result, folder)
    names, axis = short_names(result.sweep), Axis.of(result.sweep)
    drawn = FIDELITY if result.choose_by == "fidelity" else ACCURACY
    shown, best, title = lines(result, axis), best_point(result), names[axis.key]
    page = fill(
        "sweep.html",
        result=result,
        asked=_asked(result),
        headline=_headline(result, best, names),
        sentences=_sentences(result, best, answers),
        drawn=drawn.name,
        plot=draw(drawn, shown, axis, title, best),
        rows=_rows(result, answers, names, best),
        failed=[entry for entry in result.entries if entry.error],
        warning_of=results_table.warning_of,
        warnings=[each for each in result.entries if results_table.warning_of(each)],
        several=len(seeds_of(result)) > 1,
        altered=any(each.shift and each.shift.validation for each in result.entries),
        figures=FIGURES_NAME,
        picture=PLOT_NAME,
        shortcuts=results_table.shortcuts(result.data),
        checks=results_table.checks(result.data),
        counts=results_table.counts(result.data),
        data_docs=data_docs(result.data, folder),
        groups=[],
        command=f"pupila sweep {shlex.quote(result.recipe_path)}",
    )
    write_atomically(folder / FIGURES_NAME, figures_csv(result).encode())
    write_atomically(folder / PLOT_NAME, draw_alone(drawn, shown, axis, title, best).encode())
    write_atomically(folder / REPORT_NAME, page.encode())
    return folder / REPORT_NAME


def sweep_headline(result: RunResult, folder: Path) -> list[str]:
    """Return the page's title, and the sentences below it."""
    names, best = short_names(result.sweep), best_point(result)
    return [_headline(result, best, names), *_sentences(result, best, read_answers(result, folder))]


def best_point(result: RunResult) -> SeedRuns | None:
    """Return the best pupil in the mean over seeds, by what chooses; of equal ones, the first.

    It must have been judged with as many seeds as any: fewer are more easily lucky.
    """
    return max(_candidates(result), key=lambda each: _chosen_by(result, each), default=None)


def _chosen_by(result: RunResult, point: SeedRuns) -> float:
    """Return by what a point is chosen: fidelity or accuracy on the validation images."""
    figure = point.fidelity if result.choose_by == "fidelity" else point.validation
    return figure.mean if figure else -1


def _candidates(result: RunResult) -> list[SeedRuns]:
    """Return the points that may be chosen."""
    role = roles(result)
    pupils = [
        each
        for each in trials(result.entries)
        if role[each.name] == "pupil"
        and each.first.settings
        and (each.fidelity if result.choose_by == "fidelity" else each.validation)
        and not any(judged.entry.error for judged in each.judged)
    ]
    most = max((len(each.judged) for each in pupils), default=0)
    return [each for each in pupils if len(each.judged) == most]


@dataclass(frozen=True)
class PointRow:
    """One point of the sweep, a control or a teacher, as it is shown."""

    name: str
    note: str
    seeds: str
    validation: tuple[str, str]
    fidelity: tuple[str, str]
    test: tuple[str, str]
    auc: str
    gain: tuple[str, str]
    best: bool


def _rows(
    result: RunResult, answers: Answers, names: Mapping[str, str], best: SeedRuns | None
) -> list[PointRow]:
    """Return pupils, then controls, then teachers, each in the order of the run."""
    found = {gain.pupil: gain for gain in gains(result.entries, answers)}
    judged = [each for each in trials(result.entries) if each.judged]
    order = ("pupil", "control", "teacher")
    role = roles(result)
    judged.sort(key=lambda each: order.index(role[each.name]))
    return [
        PointRow(
            name=described(each.first.settings, names) or each.name,
            note=step_of(each.first) if each.first.settings else role[each.name],
            seeds=seed_count(each),
            validation=_shown(each.validation),
            fidelity=_scored(each.fidelity),
            test=_shown(each.accuracy),
            auc=formatting.score(each.auc.mean) if each.auc else formatting.NONE,
            gain=_gain(found.get(each.name)),
            best=each == best,
        )
        for each in judged
    ]


def _shown(spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return formatting.NONE, ""
    differs = spread.highest > spread.lowest
    return formatting.percent(spread.mean), percent_range(spread) if differs else ""


def _scored(spread: Spread | None) -> tuple[str, str]:
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


def _asked(result: RunResult) -> str:
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
        figure = "a fidelity" if result.choose_by == "fidelity" else "an accuracy"
        return f"No point can be chosen: none has {figure} on validation images"
    step = f"{step_of(best.first)}: " if has_several(result) else ""
    images = "altered validation images" if result.choose_by == "fidelity" else "validation images"
    return f"Best on the {images}: {step}{described(best.first.settings, names)}"


def _sentences(result: RunResult, best: SeedRuns | None, answers: Answers) -> list[str]:
    """Say what the chosen point is worth on the test images, and beside its control."""
    if best is None or best.accuracy is None:
        return []
    interval = best.interval(answers)
    shown = f" (95 % interval {formatting.percent_interval(interval)})" if interval else ""
    candidates, highest = _candidates(result), _chosen_by(result, best)
    tied = sum(_chosen_by(result, each) == highest for each in candidates)
    shared = f" ({tied} points share it; the first is taken)" if tied > 1 else ""
    figure = (
        f"fidelity {formatting.score(highest)} on altered validation images"
        if result.choose_by == "fidelity"
        else f"accuracy {formatting.percent(highest)} on the validation images"
    )
    said = [
        f"Mean {figure}, the highest of {formatting.plural(len(candidates), 'point')}{shared}; "
        f"accuracy on the test images, which chose nothing, "
        f"{formatting.percent(best.accuracy.mean)}{shown}."
    ]
    gain = next((each for each in gains(result.entries, answers) if each.pupil == best.name), None)
    said.append(
        f"Beside its control: {gain.verdict}."
        if gain
        else "No control was put through the same steps, so what a teacher adds cannot be told."
    )
    return said
