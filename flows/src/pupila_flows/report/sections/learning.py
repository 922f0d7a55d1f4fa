"""Learning curves of every training, drawn by the type of what a plugin measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pupila.measured import (
    ClusteringResult,
    History,
    Measured,
    PruningCurve,
    TrainingSummary,
    best_epoch_of,
)
from pupila.task import TaskMethods
from pupila_flows.report import formatting
from pupila_flows.report.plots import learning
from pupila_flows.results import Entry

_FIGURES = (("validation_fidelity", "control"), ("validation_accuracy", "curve"))
"""What is drawn beside the losses, with a style class; the last is marked with the kept epoch."""


@dataclass(frozen=True)
class Training:
    """The curves of one training."""

    name: str
    """Of the artifact, and the round if it was trained several times."""
    words: str
    """Which epoch was kept, of how many."""
    pictures: tuple[Markup, ...]
    fidelity: bool
    """Whether the fidelity to a teacher is drawn too."""


def trainings(entries: Iterable[Entry], task: TaskMethods) -> list[Training]:
    """Return the curves of every training of these entries, in their order."""
    return [
        _training(f"{entry.name}{part}", history, kept, task)
        for entry in entries
        for part, history, kept in _histories(entry.measured)
    ]


def _histories(measured: Measured) -> Iterator[tuple[str, History, int]]:
    """Yield the trainings of an artifact: which one, its history and the epoch kept, from 1."""
    summary = measured.read(TrainingSummary)
    if summary and _is_whole(summary.history):
        yield "", summary.history, summary.best_epoch
    retrained = measured.read(PruningCurve) or measured.read(ClusteringResult)
    rounds = retrained.history if retrained else ()
    for number, history in enumerate(rounds, start=1):
        if _is_whole(history):
            part = f", round {number}" if len(rounds) > 1 else ""
            yield part, history, best_epoch_of(history)


def _is_whole(history: History) -> bool:
    """Return whether a history has losses of training and validation for the same epochs."""
    lengths = {len(values) for values in history.values()}
    return {"loss", "validation_loss"} <= history.keys() and len(lengths) == 1 and 0 not in lengths


def _training(name: str, history: History, kept: int, task: TaskMethods) -> Training:
    epochs = len(history["loss"])
    words = f"epoch {kept} of {epochs} kept"
    pictures = [_losses(name, history, kept, words)]
    shown = [(style, history[figure]) for figure, style in _FIGURES if figure in history]
    if shown:
        title = formatting.capitalised(task.right_title)
        label = f"{title} of {name} on the validation images by epoch, percent; {words}"
        pictures.append(learning.fractions(shown, kept, label))
    return Training(name, words, tuple(pictures), "validation_fidelity" in history)


def _losses(name: str, history: History, kept: int, words: str) -> Markup:
    loss, validation = history["loss"], history["validation_loss"]
    label = (
        f"Loss of {name} by epoch: training {loss[0]:.3g} to {loss[-1]:.3g}, "
        f"validation {validation[0]:.3g} to {validation[-1]:.3g}; {words}"
    )
    return learning.losses([("beside", loss), ("curve", validation)], kept, label)
