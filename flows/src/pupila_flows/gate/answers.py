"""What a model answers to the test images, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila_flows.gate.inputs import Question, Side

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What one model answers to the test images."""

    side: Side
    scores: Floats
    """Probabilities, `(images, classes)`."""
    labels: Rows
    """Column of each image's true class, `(images,)`."""
    positive: int
    """Column of the positive class."""
    locked: tuple[float, str] | None
    """Threshold for the positive class and where it comes from; None where none was locked."""

    @classmethod
    def of(cls, question: Question, side: Side) -> Answers:
        """Read the answers of a model.

        Raises:
            PupilaError: the file of its predictions is gone, or belongs to other data.
        """
        return cls(
            side=side,
            scores=_probabilities(side, question),
            labels=np.array(question.labels, np.int64),
            positive=question.classes.index(question.positive),
            locked=side.locked(question.positive),
        )

    @property
    def chosen(self) -> Rows:
        """Column of the class that each image is given."""
        return self.scores.argmax(axis=1)

    @property
    def right(self) -> Bools:
        """Images that are given their true class."""
        return self.chosen == self.labels

    @property
    def truth_scores(self) -> Floats:
        """Probability that each image is given of its true class."""
        return self.scores[np.arange(len(self.labels)), self.labels]

    @property
    def is_positive(self) -> Bools:
        """Images of the positive class."""
        return self.labels == self.positive

    @property
    def called_positive(self) -> Bools | None:
        """Images that are called positive at the locked threshold; None where none was locked."""
        return self.scores[:, self.positive] >= self.locked[0] if self.locked else None


def _probabilities(side: Side, question: Question) -> Floats:
    path, shape = Path(side.evaluation.probabilities), (len(question.labels), len(question.classes))
    if not path.is_file():
        raise PupilaError(
            f"The predictions of {side.name!r} are not at {str(path)!r}: run again to make them."
        )
    values = np.load(path).astype(np.float64)
    if values.shape != shape:
        raise PupilaError(
            f"The predictions of {side.name!r} have shape {values.shape!r}, expected {shape!r}: "
            f"they belong to other images."
        )
    return values
