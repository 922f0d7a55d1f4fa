"""Builds a student and checks the model that its plugin returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from pupila.errors import PupilaError
from pupila.keras_files import import_keras
from pupila.plugin import Student
from pupila.plugin_registry import installed
from pupila.spec import InputSpec

keras = import_keras()

_PROBES = 4
"""How many pictures of noise are used to check whether a model gives probabilities."""

_ROUNDING = 1e-3
"""How far the sum of a softmax in half precision may differ from 1. Logits do not have a sum of 1
for several pictures by chance."""


def build_student(student: Student, input: InputSpec, classes: int) -> Any:
    """Return a new student: a model of raw RGB that gives logits `(batch, classes)`.

    `student` is the plugin that builds the model. The model's input is `(batch, height, width, 3)`,
    with height and width from `input`.

    Raises:
        PupilaError: the plugin refuses the input size, or builds another kind of model.
    """
    with installed().calling(student):
        model = student.load()(input, classes)
    fault = _fault(model, input, classes)
    if fault:
        raise PupilaError(
            f"Student {student.name!r} of {installed().origin(student).distribution} {fault}. "
            f"Choose another `student`, or mend the plugin."
        )
    return model


def _fault(model: Any, input: InputSpec, classes: int) -> str | None:
    """Return what is wrong with a model that should be a student; None if nothing is."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        return f"builds {model!r}, where a functional keras.Model was expected"
    taken, given = _shapes(model.inputs), _shapes(model.outputs)
    wanted = (None, *input.shape)
    if taken != [wanted]:
        return f"takes {_listed(taken)}, where one input {wanted} was asked for"
    if given != [(None, classes)]:
        return f"gives {_listed(given)}, where logits {(None, classes)} were expected"
    if _ends_in_sigmoid(model) or _gives_probabilities(model, input):
        return (
            "gives probabilities, where logits were expected: its last layer must have no "
            "activation, since training adds a softmax"
        )
    return None


def _shapes(tensors: Any) -> list[tuple[int | None, ...]]:
    return [tuple(tensor.shape) for tensor in tensors]


def _listed(shapes: list[tuple[int | None, ...]]) -> str:
    return " and ".join(map(str, shapes)) or "nothing"


def _ends_in_sigmoid(model: Any) -> bool:
    """Whether the last layer is a sigmoid, whose answers need not sum to one."""
    activation = getattr(model.layers[-1], "activation", None)
    return getattr(activation, "__name__", "") in ("sigmoid", "hard_sigmoid")


def _gives_probabilities(model: Any, input: InputSpec) -> bool:
    """Whether a model's answers sum to one, whatever its last layers are."""
    noise = np.random.default_rng(0).integers(0, 256, (_PROBES, *input.shape))
    answers = np.asarray(model(noise.astype(np.float32), training=False), np.float64)
    positive = bool((answers >= 0).all())
    return positive and bool(np.abs(answers.sum(axis=1) - 1).max() <= _ROUNDING)
