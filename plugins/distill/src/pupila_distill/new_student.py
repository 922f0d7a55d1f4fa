"""Builds the student of a step: a small architecture, or the beginning of its teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from pupila import Artifact, InputSpec, PupilaError, Step, installed
from pupila.keras_files import import_keras, load
from pupila.plugin import CLASSIFICATION
from pupila.task import methods_of
from pupila.training.beginning import Cut, Cuts, deepest_fine_map
from pupila.training.student import build_student
from pupila.training.task import TaskTraining, free_name, training_of
from pupila_distill.config import Beginning

keras = import_keras()

_HEAD = 64
"""Channels of the task's head on an architecture, whose own last layers are those of a classifier.
"""
_ANY_CLASSES = 2
"""Classes of an architecture whose last layers are then left out."""

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
    size = _input(config.size or architecture.size)
    if training.keeps_last_layers:
        return build_student(architecture, size, len(training.classes))
    return _with_own_head(build_student(architecture, size, _ANY_CLASSES), training)


def input_of(student: Any) -> InputSpec:
    """Return the input specification of a student."""
    _, height, width, _ = student.input_shape
    return InputSpec(height=height, width=width)


def _input(size: int | tuple[int, int]) -> InputSpec:
    height, width = (size, size) if isinstance(size, int) else size
    return InputSpec(height=height, width=width)


def _with_own_head(classifier: Any, training: TaskTraining) -> Any:
    """Return a classifier's layers up to its deepest fine feature map, and the task's head."""
    image, features = deepest_fine_map(classifier, training.largest_stride)
    taken = {layer.name for layer in keras.Model(image, features).layers}
    output = training.head(features, _HEAD, free_name(taken))
    return keras.Model(image, output, name=classifier.name)


def _beginning(step: Step[Any], wanted: Beginning, training: TaskTraining) -> Any:
    teacher = _best_teacher(step)
    cuts = Cuts(load(teacher), wanted.head, training)
    size = step.config.size
    return cuts.student(
        _cut(cuts, wanted, step.config.bytes_of_beginning),
        _input(size) if size else teacher.record.input,
        wanted.head,
        keep_norms=wanted.normalisation == "kept",
        frozen=wanted.frozen if wanted.frozen_until is None else wanted.frozen_until,
    )


def _cut(cuts: Cuts, wanted: Beginning, default_bytes: int | None) -> Cut:
    if wanted.until is not None:
        return cuts.behind(wanted.until)
    if wanted.share is not None:
        return cuts.within(int(wanted.share * cuts.teacher_bytes))
    return cuts.within(wanted.max_bytes or default_bytes)


def _best_teacher(step: Step[Any]) -> Artifact:
    """Return the teacher with the lowest cross-entropy on the validation images.

    In other tasks than classification, it is the teacher that is right most often.

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
    return min(readable, key=lambda teacher: _badness(step, teacher))


def _badness(step: Step[Any], teacher: Artifact) -> float:
    """Return a teacher's cross-entropy, or in other tasks the fraction of wrong answers."""
    validation = step.split("validation")
    answers = step.predictions.of(teacher, validation, step.progress)
    if validation.task != CLASSIFICATION:
        task = methods_of(validation.task)
        return 1 - float(task.right(answers, task.truths(validation), validation.classes).mean())
    of_truth = answers[np.arange(len(validation)), validation.labels]
    return float(-np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1)).mean())
