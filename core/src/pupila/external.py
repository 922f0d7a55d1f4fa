"""Evaluates a model on images from another site, on which nothing was trained or chosen.

If the images have labels, metrics show how good the model's answers are. If there is a teacher,
fidelity shows how closely the model's answers follow the teacher's; fidelity needs no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import Artifact
from pupila.chance import ChanceCheck
from pupila.dataset import UNLABELLED, Dataset
from pupila.evaluation import Evaluation, Measurement, Metrics, StageFigures
from pupila.evaluator import measure
from pupila.fidelity import LEAST_IMAGES, Fidelity, fidelity
from pupila.plugin_metrics import metrics_of_answers
from pupila.predictions import Predictions
from pupila.runtime import Progress
from pupila.stages import evaluate_stages
from pupila.task import MetricSettings, Truths, methods_of

COLOURS = ("mean_red", "mean_green", "mean_blue")
DISAGREEMENTS_KEPT = 24
"""Number of images listed by name: those on which model and teacher differ most."""

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExternalMetrics(_FrozenModel):
    """Metrics and fidelity of one model on some images."""

    images: int
    metrics: Metrics | None = Field(default=None, description="None without labels.")
    fidelity: Fidelity | None = Field(
        default=None,
        description=f"None without a teacher, or with fewer than {LEAST_IMAGES} images.",
    )


class ImageDisagreement(_FrozenModel):
    """An image to which a model and its teacher give different answers."""

    path: str
    truth: str | None = Field(description="Its class; None without labels.")
    answer: str = Field(description="Most probable class.")
    other: str = Field(description="The teacher's.")
    probability: float | None = Field(
        description="Of the positive class; None in a task without classes."
    )
    other_probability: float | None = Field(description="The same by the teacher.")


class ExternalEvaluation(_FrozenModel):
    """Results of one model on the images of one site."""

    figures: ExternalMetrics = Field(description="Metrics on all images.")
    groups: dict[str, dict[str, ExternalMetrics]] = Field(
        default_factory=dict, description="Metrics by column and by value of that column."
    )
    chance: ChanceCheck | None = Field(
        default=None,
        description="Whether the model is above chance on these images; None without labels.",
    )
    disagreements: tuple[ImageDisagreement, ...] = Field(
        default=(),
        description="Images whose logits differ most from the teacher's, largest difference first.",
    )
    stages: tuple[StageFigures, ...] = Field(
        default=(), description="What each stage did with the images, in order; only of a chain."
    )
    measurement: Measurement | None = Field(
        default=None, description="Cost of the model; None if it is measured elsewhere."
    )
    probabilities: str = Field(description="Predictions file `(images, classes)`, see Predictions.")
    validation_probabilities: str | None = Field(
        default=None,
        description="Predictions file of the images on which the model's threshold is chosen.",
    )

    @property
    def evaluation(self) -> Evaluation | None:
        """These results as an `Evaluation` on all images; None if labels or cost are unknown."""
        if self.figures.metrics is None or self.measurement is None:
            return None
        return Evaluation(
            **dict(self.measurement),
            split="test",
            metrics=self.figures.metrics,
            stages=self.stages,
            probabilities=self.probabilities,
            validation_probabilities=self.validation_probabilities,
        )


def evaluate_external(
    artifact: Artifact,
    images: Dataset,
    *,
    positive: str,
    specificity: float,
    predictions: Predictions,
    progress: Progress,
    reference: tuple[str, Artifact] | None = None,
    validation: Dataset | None = None,
    groups: Sequence[str] = (),
    latency_repeats: int | None = None,
) -> ExternalEvaluation:
    """Return all results of `artifact` on the images of another site.

    Either the images have labels, or all of them belong to the split `unlabelled`. `reference` is
    the teacher's name and artifact. `validation` are the validation images of the data that the
    model was made from; a threshold for the given `specificity` is chosen on them. `groups` names
    columns; each value of these columns gets its own metrics. With `latency_repeats`, the
    artifact's cost is measured too.

    Raises:
        PupilaError: the classes do not match, or the answers are not probabilities.
    """
    # first, so that the peak memory is that of single images, whatever is cached
    measured = latency_repeats and measure(artifact, images, latency_repeats=latency_repeats)
    answers = np.asarray(predictions.of(artifact, images, progress), np.float64)
    teacher = reference and (
        reference[0],
        np.asarray(predictions.of(reference[1], images, progress), np.float64),
    )
    task, chosen_by = methods_of(images.task), None
    if validation is not None:
        chosen_by = predictions.of(artifact, validation, progress), task.truths(validation)
    labelled = set(images.frame["split"]) != {UNLABELLED}
    column = images.classes.index(positive) if positive else 0
    truths = task.truths(images) if labelled else None
    colours = np.array([images.frame[name].tolist() for name in COLOURS], np.float64).T

    def metrics_on(rows: Rows) -> ExternalMetrics:
        patients = None if images.patients is None else images.patients[rows]
        metrics = to_teacher = None
        if truths is not None:
            settings = MetricSettings(
                classes=images.classes,
                patients=patients,
                positive=positive,
                specificity=specificity,
                validation=chosen_by,
                shipped=artifact.record.threshold,
            )
            metrics = metrics_of_answers(images.task, answers[rows], truths[rows], settings)
        if teacher and len(rows) >= LEAST_IMAGES:
            to_teacher = fidelity(
                teacher[0],
                task.comparable(answers[rows], column),
                task.comparable(teacher[1][rows], column),
                task.same(answers[rows], teacher[1][rows]),
                colours=colours[rows],
                patients=patients,
            )
        return ExternalMetrics(images=len(rows), metrics=metrics, fidelity=to_teacher)

    return ExternalEvaluation(
        figures=metrics_on(np.arange(len(images))),
        groups={
            name: {value: metrics_on(rows) for value, rows in images.rows_by_value(name).items()}
            for name in groups
        },
        chance=_chance(artifact, images, answers, positive) if labelled else None,
        disagreements=_disagreements(images, answers, teacher[1], truths, column)
        if teacher
        else (),
        stages=evaluate_stages(artifact, images, predictions, progress),
        measurement=measured or None,
        probabilities=str(predictions.keep(answers, artifact, images)),
        validation_probabilities=str(predictions.keep(chosen_by[0], artifact, validation))
        if chosen_by and validation is not None
        else None,
    )


def _chance(
    artifact: Artifact, images: Dataset, answers: Floats, positive: str
) -> ChanceCheck | None:
    """Test whether answers are above chance, with classes in the model's own order."""
    task, own = methods_of(images.task), replace(images, classes=artifact.record.output.classes)
    columns = task.columns_of(images.classes, own.classes)
    return task.chance(
        answers[:, columns], task.truths(own), own.classes, positive, images.patients
    )


def _disagreements(
    images: Dataset, answers: Floats, teacher: Floats, truths: Truths | None, column: int
) -> tuple[ImageDisagreement, ...]:
    """Return the images whose answers differ most from the teacher's, largest difference first."""
    task, classes = methods_of(images.task), images.classes
    differences = task.comparable(answers, column) - task.comparable(teacher, column)
    order: list[int] = np.argsort(-np.abs(differences).max(axis=1), kind="stable").tolist()
    ours, theirs = task.scores(answers, column), task.scores(teacher, column)
    return tuple(
        ImageDisagreement(
            path=str(images.paths[row]),
            truth=None if truths is None else task.describe_truth(truths[row], classes),
            answer=task.describe(answers[row], classes),
            other=task.describe(teacher[row], classes),
            probability=None if ours is None else float(ours[row]),
            other_probability=None if theirs is None else float(theirs[row]),
        )
        for row in order[:DISAGREEMENTS_KEPT]
    )
