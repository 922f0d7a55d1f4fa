"""Finished rounds: their figures and models, on disk, and which of them is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pupila.keras_files import MODEL_NAME, import_keras, save
from pupila.store import write_atomically
from pupila_prune.config import FilterPruning

keras = import_keras()

_ROUNDING = 1e-6
"""Keras averages accuracies in float32: two that are equal may differ by as much."""


@dataclass(frozen=True)
class Round:
    """A model after one round; round 0 is the uncut one."""

    parameters: int
    parameters_removed: float
    """Part of the parameters of the uncut model."""
    validation_accuracy: float
    macs: int
    history: dict[str, list[float]]
    """Of the retraining, by epoch."""


class Rounds:
    """The rounds of one run, in a folder that outlives a crash.

    A model is written before its figures: a round without figures is made again.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.curve: list[Round] = []
        self._folder, self._path = folder, folder / "rounds.json"
        if self._path.exists():
            stored = json.loads(self._path.read_text())
            if stored["key"] == key:
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

    def ended(self, config: FilterPruning) -> bool:
        """Tell whether all rounds are done, or the last one lost more than the budget."""
        last = len(self.curve) - 1
        return last == config.rounds or not self.is_within(last, config.budget)

    def is_within(self, number: int, budget: float) -> bool:
        """Tell whether a round lost no more accuracy than the budget."""
        return self._lost(number) <= budget + _ROUNDING

    def chosen(self, budget: float) -> int:
        """Return the last round within the budget; where none is, the one that lost the least."""
        cut = range(1, len(self.curve))
        within = [number for number in cut if self.is_within(number, budget)]
        return within[-1] if within else min(cut, key=self._lost)

    def measured(self, config: FilterPruning) -> dict[str, Any]:
        """Return what to tell: the curve, what is kept and why; accuracies are 0..1.

        A budget that is not met is told as `warning`, which the report shows.
        """
        number = self.chosen(config.budget)
        kept, reason = self.curve[number], self._reason(number, config)
        missed = {} if self.is_within(number, config.budget) else {"warning": reason}
        return missed | {
            "curve": [_figures(each) for each in self.curve],
            "round": number,
            "parameters_removed": round(kept.parameters_removed, 4),
            "validation_accuracy": kept.validation_accuracy,
            "budget_met": self.is_within(number, config.budget),
            "reason": reason,
            "history": [each.history for each in self.curve[1:]],
        }

    def _reason(self, number: int, config: FilterPruning) -> str:
        """Say why a round is kept, and why there was no further one."""
        last, budget = len(self.curve) - 1, f"the budget of {config.budget:.4g}"
        if not self.is_within(number, config.budget):
            return f"Round {number} lost {self._lost(number):.4g} of accuracy, more than {budget}."
        if last > number:
            return f"Round {last} lost {self._lost(last):.4g} of accuracy, more than {budget}."
        removed = self.curve[last].parameters_removed
        if removed < config.sparsity - _ROUNDING:
            return (
                f"`least` of {config.least:.4g} allows {removed:.4g} of the parameters to be cut, "
                f"less than `sparsity` of {config.sparsity:.4g}, within {budget}."
            )
        return f"All {last} rounds are within {budget}."

    def _lost(self, number: int) -> float:
        return self.curve[0].validation_accuracy - self.curve[number].validation_accuracy

    def _place(self, number: int) -> Path:
        return self._folder / f"round-{number}"


def _figures(each: Round) -> dict[str, Any]:
    return {name: value for name, value in asdict(each).items() if name != "history"}
