"""Builds the student of a step: a small architecture, or the beginning of its teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from pupila import Artifact, InputSpec, PupilaError, Step, installed
from pupila.keras_files import load
from pupila.training.beginning import Cut, Cuts
from pupila.training.student import build_student
from pupila.training.task import TaskTraining, training_of
from pupila_distill.config import Beginning

_BYTES = 500_000
"""Largest size of the beginning of a teacher, in bytes, if the recipe does not set a size."""

_LEAST_PROBABILITY = 1e-7


def new_student(step: Step[Any]) -> Any:
    """Return an untrained student of raw RGB with the head of the task, such as logits.

    Raises:
        PupilaError: the student does not support its input size, or no teacher can be cut as the
            settings ask.
    """
    config, training = step.config, training_of(step.images)
    if isinstance(config.student, Beginning):
        return _beginning(step, config.student, training)
    architecture = installed().student(config.student)
    size = _square(config.size or architecture.size)
    return build_student(architecture, size, len(training.classes))


def input_of(student: Any) -> InputSpec:
    """Return the input specification of a student."""
    _, height, width, _ = student.input_shape
    return InputSpec(height=height, width=width)


def _square(side: int) -> InputSpec:
    return InputSpec(height=side, width=side)


def _beginning(step: Step[Any], wanted: Beginning, training: TaskTraining) -> Any:
    teacher = _best_teacher(step)
    cuts = Cuts(load(teacher), wanted.head, training)
    size = step.config.size
    return cuts.student(
        _cut(cuts, wanted),
        _square(size) if size else teacher.record.input,
        wanted.head,
        keep_norms=wanted.normalisation == "kept",
        frozen=wanted.frozen if wanted.frozen_until is None else wanted.frozen_until,
    )


def _cut(cuts: Cuts, wanted: Beginning) -> Cut:
    if wanted.until is not None:
        return cuts.behind(wanted.until)
    if wanted.share is not None:
        return cuts.within(int(wanted.share * cuts.teacher_bytes))
    return cuts.within(wanted.max_bytes or _BYTES)


def _best_teacher(step: Step[Any]) -> Artifact:
    """Return the teacher with the lowest cross-entropy on the validation images.

    Raises:
        PupilaError: none of the teachers is a Keras model.
    """
    readable = [teacher for teacher in step.inputs if teacher.format == "keras"]
    if not readable:
        formats = " and ".join(sorted({teacher.format for teacher in step.inputs}))
        raise PupilaError(
            f"`student` is the beginning of a teacher, but `from` has only {formats}, whose layers "
            f"cannot be taken: give a Keras model as the teacher, or name a `student`."
        )
    if len(readable) == 1:
        return readable[0]
    return min(readable, key=lambda teacher: _cross_entropy(step, teacher))


def _cross_entropy(step: Step[Any], teacher: Artifact) -> float:
    validation = step.split("validation")
    answers = step.predictions.of(teacher, validation, step.progress)
    of_truth = answers[np.arange(len(validation)), validation.labels]
    return float(-np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1)).mean())
