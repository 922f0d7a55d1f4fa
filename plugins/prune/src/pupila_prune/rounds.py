"""Finished rounds: their figures and models, on disk, and which of them is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pupila.damage import read_json
from pupila.exact import as_written, exact
from pupila.keras_files import MODEL_NAME, import_keras, save
from pupila.measured import Measured, PluginWarning, PruningCurve, PruningRound
from pupila.store import write_atomically

keras = import_keras()


@dataclass(frozen=True)
class Round:
    """A model after one round; round 0 is the uncut one."""

    parameters: int
    """Those that are left."""
    parameters_removed: float
    """Part of the parameters of the uncut model."""
    validation_accuracy: float
    macs: int
    history: dict[str, list[float]]
    """Of the retraining, by epoch."""
    validation_fidelity: float | None = None
    """To the uncut model on altered validation images, where that chooses."""


class Rounds:
    """The rounds of one run, in a folder that outlives a crash.

    A model is written before its figures: a round without figures is made again. There are `most`
    at most, and none after two in a row that lost more than the budget: of accuracy, or of fidelity
    where that chooses.
    """

    def __init__(self, folder: Path, key: str, most: int, budget: float, images: int) -> None:
        """Go on with what is in the folder; accuracies are those of so many validation images."""
        self.key, self.most, self.budget = key, most, budget
        self._images = images
        self.curve: list[Round] = []
        self._folder, self._path = folder, folder / "rounds.json"
        stored = read_json(self._path)
        if stored and stored["key"] == key:
            self.curve = [Round(**figures) for figures in stored["curve"]]

    def begin(self, uncut: Round) -> None:
        """Set round 0, unless the run goes on."""
        self.curve = self.curve or [uncut]

    def add(self, figures: Round, model: Any) -> None:
        """Keep the model of the next round and its figures."""
        place = self._place(len(self.curve))
        place.mkdir(exist_ok=True)
        save(model, place)
        self.curve.append(figures)
        content = {"key": self.key, "curve": [asdict(each) for each in self.curve]}
        write_atomically(self._path, json.dumps(content).encode())

    def model(self, number: int) -> Any:
        """Return the model of a finished round, from 1."""
        return keras.saving.load_model(self._place(number) / MODEL_NAME, compile=False)

    def last_model(self) -> Any:
        """Return the model of the last round; None before the first."""
        return self.model(len(self.curve) - 1) if len(self.curve) > 1 else None

    def ended(self) -> bool:
        """Tell whether all rounds are done, or the last two lost more than the budget.

        A single one may have by chance, where an image is a point of accuracy, and the next one
        may win it back (seen on a VGG16: 2.9 points lost with 38 % gone, none with 52 % gone).
        """
        last = len(self.curve) - 1
        over = [not self.is_within_budget(number) for number in range(1, last + 1)]
        return last == self.most or over[-2:] == [True, True]

    def is_within_budget(self, number: int) -> bool:
        """Tell whether a round lost no more than the budget."""
        return self._lost(number) <= as_written(self.budget)

    @property
    def chosen(self) -> int:
        """The last round within the budget; where none is, the one that lost the least."""
        cut = range(1, len(self.curve))
        within = [number for number in cut if self.is_within_budget(number)]
        return within[-1] if within else min(cut, key=self._lost)

    def result(self) -> PruningCurve:
        """Return the curve, which round is kept, and why."""
        number = self.chosen
        kept = self.curve[number]
        return PruningCurve(
            curve=tuple(map(_without_history, self.curve)),
            round=number,
            parameters_removed=round(kept.parameters_removed, 4),
            validation_accuracy=kept.validation_accuracy,
            validation_fidelity=kept.validation_fidelity,
            budget_met=self.is_within_budget(number),
            reason=self._reason(),
            history=tuple(each.history for each in self.curve[1:]),
        )

    def warning(self) -> Measured:
        """Return a warning where the budget is not met; else nothing."""
        if self.is_within_budget(self.chosen):
            return Measured()
        return Measured(PluginWarning(warning=self._reason()))

    def _reason(self) -> str:
        """Say why a round is kept, and why there was no further one."""
        number, last, budget = self.chosen, len(self.curve) - 1, f"the budget of {self.budget:.4g}"
        if not self.is_within_budget(number):
            return f"Round {number} lost {self._lost_in_words(number)}, more than {budget}."
        if last > number:
            return f"Round {last} lost {self._lost_in_words(last)}, more than {budget}."
        images = "altered validation images" if self._by_fidelity else "the validation images"
        return f"Round {last}, the last, lost no more than {budget} on {images}."

    def _lost(self, number: int) -> Fraction:
        """Return what a round lost, exactly; Keras averages accuracies in float32."""
        fidelity = self.curve[number].validation_fidelity
        if fidelity is not None:
            return 1 - Fraction(fidelity)
        uncut, cut = self.curve[0].validation_accuracy, self.curve[number].validation_accuracy
        return exact(uncut, self._images) - exact(cut, self._images)

    def _lost_in_words(self, number: int) -> str:
        of = (
            "fidelity on altered validation images"
            if self._by_fidelity
            else "accuracy on the validation images"
        )
        return f"{float(self._lost(number)):.4g} of {of}"

    @property
    def _by_fidelity(self) -> bool:
        return self.curve[0].validation_fidelity is not None

    def _place(self, number: int) -> Path:
        return self._folder / f"round-{number}"


def _without_history(each: Round) -> PruningRound:
    return PruningRound(
        parameters=each.parameters,
        parameters_removed=each.parameters_removed,
        validation_accuracy=each.validation_accuracy,
        macs=each.macs,
        validation_fidelity=each.validation_fidelity,
    )
