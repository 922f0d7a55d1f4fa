"""Stores the measurements and models of finished rounds, and chooses the round to keep."""

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
    """Measurements of the model after one round; round 0 is the uncut model."""

    parameters: int
    """Number of parameters that remain."""
    parameters_removed: float
    """Fraction of the uncut model's parameters that were removed."""
    validation_accuracy: float
    macs: int | None
    """Multiply-accumulates for one image; None if they are not known."""
    history: dict[str, list[float]]
    """Metrics of the retraining, one value for each epoch."""
    validation_fidelity: float | None = None
    """Fidelity to the uncut model on altered validation images; None if accuracy chooses rounds."""


class Rounds:
    """The rounds of one run, in a folder that survives a crash.

    A model is written before its measurements: a round without measurements is repeated. The run
    ends after `max_rounds`, or after two rounds in a row that lost more than the budget. The budget
    is a loss of accuracy, or of fidelity if fidelity chooses rounds.
    """

    def __init__(self, folder: Path, key: str, max_rounds: int, budget: float, images: int) -> None:
        """Continue the rounds in `folder` if they have this `key`; otherwise start without rounds.

        `budget` is a fraction of accuracy or fidelity, and `images` is the number of validation
        images.
        """
        self.key, self.max_rounds, self.budget = key, max_rounds, budget
        self._images = images
        self.curve: list[Round] = []
        self._folder, self._path = folder, folder / "rounds.json"
        stored = read_json(self._path)
        if stored and stored["key"] == key:
            self.curve = [Round(**fields) for fields in stored["curve"]]

    def begin(self, uncut: Round) -> None:
        """Set round 0, the uncut model, unless the rounds of an earlier run are continued."""
        self.curve = self.curve or [uncut]

    def add(self, finished: Round, model: Any) -> None:
        """Store the next round and its model."""
        folder = self._model_folder(len(self.curve))
        folder.mkdir(exist_ok=True)
        save(model, folder)
        self.curve.append(finished)
        content = {"key": self.key, "curve": [asdict(of_round) for of_round in self.curve]}
        write_atomically(self._path, json.dumps(content).encode())

    def model(self, number: int) -> Any:
        """Return the model of the finished round `number`, counted from 1."""
        return keras.saving.load_model(self._model_folder(number) / MODEL_NAME, compile=False)

    def last_model(self) -> Any:
        """Return the model of the last finished round; None if no round has finished."""
        return self.model(len(self.curve) - 1) if len(self.curve) > 1 else None

    def is_finished(self) -> bool:
        """Return whether all rounds are done, or the last two both lost more than the budget.

        One round over the budget is not enough, as it may be chance: a VGG16 lost 2.9 percentage
        points of accuracy with 38 % of its parameters removed, but nothing with 52 %.
        """
        last = len(self.curve) - 1
        over = [not self.is_within_budget(number) for number in range(1, last + 1)]
        return last == self.max_rounds or over[-2:] == [True, True]

    def is_within_budget(self, number: int) -> bool:
        """Return whether round `number` lost no more than the budget."""
        return self._drop(number) <= as_written(self.budget)

    @property
    def chosen(self) -> int:
        """Number of the last round within the budget.

        If no round is within the budget, it is the number of the round that lost least.
        """
        cut = range(1, len(self.curve))
        within = [number for number in cut if self.is_within_budget(number)]
        return within[-1] if within else min(cut, key=self._drop)

    def result(self) -> PruningCurve:
        """Return the curve of all rounds, the round that is kept, and the reason."""
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
            history=tuple(retrained.history for retrained in self.curve[1:]),
        )

    def warning(self) -> Measured:
        """Return a warning if the budget is not met, otherwise nothing."""
        if self.is_within_budget(self.chosen):
            return Measured()
        return Measured(PluginWarning(warning=self._reason()))

    def _reason(self) -> str:
        """Return a sentence that says why the chosen round is kept and not a later one."""
        number, last, budget = self.chosen, len(self.curve) - 1, f"the budget of {self.budget:.4g}"
        if not self.is_within_budget(number):
            return f"Round {number} lost {self._drop_in_words(number)}, more than {budget}."
        if last > number:
            return f"Round {last} lost {self._drop_in_words(last)}, more than {budget}."
        images = "altered validation images" if self._by_fidelity else "the validation images"
        return f"Round {last}, the last, lost no more than {budget} on {images}."

    def _drop(self, number: int) -> Fraction:
        """Return how much accuracy or fidelity a round lost, as an exact fraction.

        Keras averages accuracy in float32, so it is converted to a fraction of the images first.
        """
        fidelity = self.curve[number].validation_fidelity
        if fidelity is not None:
            return 1 - Fraction(fidelity)
        uncut, cut = self.curve[0].validation_accuracy, self.curve[number].validation_accuracy
        return exact(uncut, self._images) - exact(cut, self._images)

    def _drop_in_words(self, number: int) -> str:
        of = (
            "fidelity on altered validation images"
            if self._by_fidelity
            else "accuracy on the validation images"
        )
        return f"{float(self._drop(number)):.4g} of {of}"

    @property
    def _by_fidelity(self) -> bool:
        return self.curve[0].validation_fidelity is not None

    def _model_folder(self, number: int) -> Path:
        return self._folder / f"round-{number}"


def _without_history(finished: Round) -> PruningRound:
    return PruningRound(
        parameters=finished.parameters,
        parameters_removed=finished.parameters_removed,
        validation_accuracy=finished.validation_accuracy,
        macs=finished.macs,
        validation_fidelity=finished.validation_fidelity,
    )
