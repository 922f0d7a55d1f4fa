"""A student that is not what it promises is refused by name before it is trained."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pupila.errors import PupilaError
from pupila.plugin_registry import installed
from pupila.spec import InputSpec
from pupila.testing import plugin_installed
from pupila.training.student import build_student

STUDENTS = """
from pupila import Student, hookimpl

NAMES = ("good", "softmax", "reshaped", "sigmoid", "wide", "map", "deaf", "grey", "pair", "nothing")


@hookimpl
def pupila_students():
    for name in NAMES:
        yield Student(
            name=f"odd-{name}", summary="A student", implementation=f"{__name__}:{name}", size=8
        )


def end(input, classes, *after, shape=None, **dense):
    import keras

    picture = keras.Input(shape or input.shape)
    answers = keras.layers.Dense(classes, **dense)(keras.layers.GlobalAveragePooling2D()(picture))
    for layer in after:
        answers = layer(answers)
    return keras.Model(picture, answers)


def good(input, classes):
    return end(input, classes)


def softmax(input, classes):
    return end(input, classes, activation="softmax")


def reshaped(input, classes):
    import keras

    return end(input, classes, keras.layers.Softmax(), keras.layers.Reshape((classes,)))


def sigmoid(input, classes):
    return end(input, classes, activation="sigmoid")


def wide(input, classes):
    return end(input, classes + 1)


def map(input, classes):
    import keras

    return end(input, classes, keras.layers.Reshape((classes, 1)))


def deaf(input, classes):
    return end(input, classes, shape=(16, 16, 3))


def grey(input, classes):
    return end(input, classes, shape=(*input.shape[:2], 1))


def pair(input, classes):
    import keras

    model = end(input, classes)
    return keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])


def nothing(input, classes):
    pass
"""


@pytest.fixture(scope="module", autouse=True)
def students(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    folder = tmp_path_factory.mktemp("path")
    with plugin_installed(folder, "students-dist", "odd_students", STUDENTS):
        yield


def test_a_student_that_keeps_its_promise_is_built():
    model = build_student(installed().student("odd-good"), InputSpec(height=8, width=9), 3)
    assert (model.input_shape, model.output_shape) == ((None, 8, 9, 3), (None, 3))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("softmax", "gives probabilities, where logits were expected"),
        ("reshaped", "gives probabilities, where logits were expected"),
        ("sigmoid", "gives probabilities, where logits were expected"),
        ("wide", r"gives \(None, 4\), where logits \(None, 3\) were expected"),
        ("map", r"gives \(None, 3, 1\), where logits \(None, 3\)"),
        ("pair", r"gives \(None, 3\) and \(None, 3\), where logits"),
        ("deaf", r"takes \(None, 16, 16, 3\), where one input \(None, 8, 9, 3\) was asked for"),
        ("grey", r"takes \(None, 8, 9, 1\)"),
        ("nothing", "builds None, where a functional keras.Model was expected"),
    ],
)
def test_a_student_that_is_none_is_refused_by_name(name: str, message: str):
    student, size = installed().student(f"odd-{name}"), InputSpec(height=8, width=9)
    with pytest.raises(PupilaError, match=f"Student 'odd-{name}' of students-dist {message}"):
        build_student(student, size, 3)
