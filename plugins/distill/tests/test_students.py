from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, PupilaError, Student, installed
from pupila.keras_files import macs, parameters
from pupila.testing import StudentContract

STUDENTS = ["mobile-xs", "mobile-s", "hybrid-s", "conv-32-64-8", "conv-64-64-128", "residual-m"]


def built(name, height=64, width=64, classes=2):
    contract = InputSpec(height=height, width=width)
    return installed().student(name).load()(contract, classes)


class TestMobileSKeepsTheContract(StudentContract):
    plugin = "mobile-s"


@pytest.mark.long
class TestHybridKeepsTheContract(StudentContract):
    plugin = "hybrid-s"


@pytest.mark.long
class TestConvKeepsTheContract(StudentContract):
    plugin = "conv-32-64-8"


@pytest.mark.long
class TestResidualKeepsTheContract(StudentContract):
    plugin = "residual-m"


def test_the_students_are_found_by_name():
    assert set(STUDENTS) <= {student.name for student in installed().all(Student)}


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("mobile-xs", 0.129),
        ("mobile-s", 0.390),
        ("hybrid-s", 0.395),
        ("conv-32-64-8", 0.480),
        ("conv-64-64-128", 0.915),
        ("residual-m", 2.800),
    ],
)
def test_a_student_has_the_parameters_of_its_summary(name, millions):
    student = installed().student(name)
    model = built(name, student.size, student.size)
    assert parameters(model) / 1e6 == pytest.approx(millions, abs=0.001)
    assert (macs(model) or 0) > 10e6


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 57), (96, 64)])
def test_a_student_takes_any_picture_from_32_px_on(name, height, width):
    model = built(name, height, width, classes=3)
    assert model.input_shape == (None, height, width, 3)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_refuses_smaller_pictures(name):
    with pytest.raises(PupilaError, match="31 x 64 px: both sides must be at least 32 px"):
        built(name, 31, 64)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_gives_logits_from_raw_pixels(name):
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    logits = np.asarray(built(name, 32, 32)(images))
    assert np.isfinite(logits).all()
    assert not np.allclose(logits.sum(axis=1), 1)
    assert np.ptp(logits, axis=0).min() > 0


@pytest.mark.parametrize("name", STUDENTS)
def test_layer_names_are_unique_and_activations_quantise_well(name):
    names = [layer.name for layer in built(name).layers]
    assert len(set(names)) == len(names)
    used = {
        layer.activation.__name__ for layer in built(name).layers if hasattr(layer, "activation")
    }
    assert used <= {"linear", "relu", "relu6"}


@pytest.mark.parametrize("name", ["mobile-xs", "mobile-s", "hybrid-s", "residual-m"])
def test_every_convolution_is_followed_by_batch_normalisation(name):
    model = built(name)
    kinds = [type(layer).__name__ for layer in model.layers]
    convolutions = sum(kind in ("Conv2D", "DepthwiseConv2D") for kind in kinds)
    attentions = kinds.count("MultiHeadAttention")
    assert attentions == (4 if name == "hybrid-s" else 0)
    assert kinds.count("BatchNormalization") == convolutions + attentions
