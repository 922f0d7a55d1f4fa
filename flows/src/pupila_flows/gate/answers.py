"""What a model answers to the images of a run, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.metrics import check_answers
from pupila_flows.gate.inputs import Images, Question, Side
from pupila_flows.gate.operating import Floats, Reading, like_reading, own_reading

Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What one model answers to the images of one split."""

    side: Side
    scores: Floats
    """Probabilities, `(images, classes)`."""
    labels: Rows
    """Column of each image's true class, `(images,)`."""
    positive: int
    """Column of the positive class."""
    reading: Reading
    """The threshold for the positive class, in which these images had no part."""
    patients: NDArray[np.str_] | None = None
    """Whose images the test images are, `(images,)`; None where the data does not tell."""
    validation: Answers | None = None
    """Of the test images: the same of the validation images; None where there are none."""

    @classmethod
    def of(cls, question: Question, side: Side, like: Answers | None = None) -> Answers:
        """Read the answers of a model to the test images, and to the validation images.

        It is read by its own rule; with `like`, what it is compared with, by the rule of that.

        Raises:
            PupilaError: a file of its predictions is gone, or belongs to other data.
        """
        scores = _probabilities(side, side.evaluation.probabilities, question, question.test)
        there, path = question.validation, side.evaluation.validation_probabilities
        chosen_by = _probabilities(side, path, question, there) if there and path else None
        if like is None:
            reading = own_reading(question, side, chosen_by)
        else:
            reading = like_reading(question, side, chosen_by, like.reading, like.side.name)
        positive = question.classes.index(question.positive)
        validation = None
        if there and chosen_by is not None:
            validation = cls(side, chosen_by, np.array(there.labels, np.int64), positive, reading)
        labels = np.array(question.test.labels, np.int64)
        named = question.test.patients
        patients = None if named is None else np.array(named, np.str_)
        return cls(side, scores, labels, positive, reading, patients, validation)

    def patients_of(self, rows: Rows) -> NDArray[np.str_] | None:
        """Return whose images some of the test images are, for statistics by cluster."""
        return None if self.patients is None else self.patients[rows]

    @property
    def likeliest(self) -> Rows:
        """Column of the most probable class of each image, whatever the threshold."""
        return self.scores.argmax(axis=1)

    @property
    def called_positive(self) -> Bools:
        """Images that are called positive at the threshold.

        Raises:
            PupilaError: there is none.
        """
        return self.reading.calls(self.scores, self.positive)

    @property
    def at_threshold(self) -> Rows:
        """Column of each image's class: the positive one, or the most probable of the others."""
        others = self.scores.copy()
        others[:, self.positive] = -np.inf
        return np.where(self.called_positive, self.positive, others.argmax(axis=1))

    @property
    def chosen(self) -> Rows:
        """Column of the class that each image is given by what ships.

        Of two classes it follows from the threshold, where the artifact that is asked about ships
        one. See `called_positive`.
        """
        return self.likeliest if self.answers_by_probability else self.at_threshold

    @property
    def answers_by_probability(self) -> bool:
        """Whether the most probable class is the answer, and no threshold that ships."""
        return not self.reading.ships or self.scores.shape[1] > 2

    @property
    def right(self) -> Bools:
        """Images that are given their true class; see `chosen`."""
        return self.chosen == self.labels

    @property
    def truth_scores(self) -> Floats:
        """Probability that each image is given of its true class."""
        return self.scores[np.arange(len(self.labels)), self.labels]

    @property
    def is_positive(self) -> Bools:
        """Images of the positive class."""
        return self.labels == self.positive


def _probabilities(side: Side, file: str, question: Question, images: Images) -> Floats:
    path, shape = Path(file), (len(images), len(question.classes))
    if not path.is_file():
        raise PupilaError(
            f"The predictions of {side.name!r} are not at {str(path)!r}: run again to make them."
        )
    values = np.load(path)
    if values.shape != shape:
        raise PupilaError(
            f"The predictions of {side.name!r} have shape {values.shape!r}, expected {shape!r}: "
            f"they belong to other images."
        )
    return check_answers(values, images.labels, question.classes, what=side.name)[0]
