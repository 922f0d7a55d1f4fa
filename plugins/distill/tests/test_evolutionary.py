from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import InputSpec, PupilaError, installed, keras_files
from pupila.testing import (
    StepMaker,
    TechniqueContract,
    colour_dataset,
    finish_after_kill,
)
from pupila_distill.config import EvolutionaryDistillation
from pupila_distill.evolutionary import distill_evolutionary, evolutionary_loss, joint_model, keras

layers = keras.layers
WIDTH = 64
RANDOM = np.random.default_rng(0)
LABELS = np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]])
LEARNED, EVALUATED = np.ones((3, 1)), np.zeros((3, 1))
OUTPUTS = RANDOM.normal(size=(3, 2 + 2 + 2 * (2 + 2 * WIDTH)))
"""Of two classes, two pairs of blocks: student, teacher, twice (logits, teacher's, student's)."""

MODULE = 2 + 2 * WIDTH
STUDENTS_COLUMNS = np.r_[0:2, 4 + 2 + WIDTH : 4 + MODULE, 4 + MODULE + 2 + WIDTH : 4 + 2 * MODULE]
TEACHERS_COLUMNS = np.setdiff1d(np.arange(OUTPUTS.shape[1]), STUDENTS_COLUMNS)


# The equation -----------------------------------------------------------------------------------


def softmax(values):
    raised = np.exp(values)
    return raised / raised.sum(axis=-1, keepdims=True)


def cross_entropy(logits):
    return -(LABELS * np.log(softmax(logits))).sum(axis=1)


def teachers_loss(outputs):
    """CE(y, z_T) + 1/n Σ CE(y, m_T)."""
    modules = [outputs[:, start : start + 2] for start in (4, 4 + MODULE)]
    return cross_entropy(outputs[:, 2:4]) + sum(map(cross_entropy, modules)) / 2


def students_loss(outputs, alpha, temperature, guidance):
    """α CE(y, z_S) + (1 - α) T² KL(p_T ‖ p_S) + γ/n Σ mean((e_S - e_T)²)."""
    wanted, given = (softmax(outputs[:, at] / temperature) for at in (slice(2, 4), slice(0, 2)))
    soft = temperature**2 * (wanted * np.log(wanted / given)).sum(axis=1)
    apart = 0
    for start in (4, 4 + MODULE):
        theirs = outputs[:, start + 2 : start + 2 + WIDTH]
        ours = outputs[:, start + 2 + WIDTH : start + MODULE]
        apart = apart + ((ours - theirs) ** 2).sum(axis=1) / WIDTH
    return alpha * cross_entropy(outputs[:, :2]) + (1 - alpha) * soft + guidance * apart / 2


def loss_of(outputs, marks=LEARNED, alpha=0.3, temperature=4.0, guidance=2.0):
    loss = evolutionary_loss(2, alpha, temperature, guidance)
    return loss(np.concatenate([LABELS, marks], axis=1), outputs)


@pytest.mark.parametrize("guidance", [0.0, 2.0])
@pytest.mark.parametrize(("alpha", "temperature"), [(0.0, 1.0), (0.3, 4.0), (1.0, 2.0)])
def test_it_is_the_sum_of_both_losses(alpha, temperature, guidance):
    values = np.asarray(loss_of(OUTPUTS, LEARNED, alpha, temperature, guidance))
    wanted = teachers_loss(OUTPUTS) + students_loss(OUTPUTS, alpha, temperature, guidance)
    assert values == pytest.approx(wanted, rel=1e-6)


def test_the_loss_of_validation_images_is_the_students_cross_entropy():
    assert np.asarray(loss_of(OUTPUTS, EVALUATED)) == pytest.approx(cross_entropy(OUTPUTS[:, :2]))


def gradient(function, at):
    import tensorflow as tf

    variable = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        total = tf.reduce_sum(function(variable))
    return np.asarray(tape.gradient(total, variable))


def slope(function, at, column):
    """The central difference of the sum of a function, for the same column of each image."""
    step = np.zeros_like(at)
    step[:, column] = 1e-5
    return float(np.sum(function(at + step)) - np.sum(function(at - step))) / 2e-5


def test_the_student_follows_its_own_loss_alone():
    gradients = gradient(loss_of, OUTPUTS).sum(axis=0)
    for column in STUDENTS_COLUMNS[::7]:
        wanted = slope(lambda outputs: students_loss(outputs, 0.3, 4.0, 2.0), OUTPUTS, column)
        assert gradients[column] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert (gradients[STUDENTS_COLUMNS] != 0).all()


def test_the_teacher_follows_its_own_loss_alone():
    gradients = gradient(loss_of, OUTPUTS).sum(axis=0)
    for column in TEACHERS_COLUMNS:
        wanted = slope(teachers_loss, OUTPUTS, column)
        assert gradients[column] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_the_teachers_weights_get_no_gradient_from_the_student():
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    contract = InputSpec(height=32, width=32)
    student, teacher = (
        installed().student(name).load()(contract, 2) for name in ("conv-32-64-8", "mobile-xs")
    )
    model = joint_model(student, teacher, 2)
    images = RANDOM.integers(0, 256, (3, 32, 32, 3)).astype(np.float32)

    def gradients(variables, **weights):
        with tf.GradientTape() as tape:
            marks = LEARNED.astype(np.float32)
            labels = LABELS.astype(np.float32)
            loss = evolutionary_loss(2, 0.0, 4.0, **weights)
            total = tf.reduce_sum(loss(np.concatenate([labels, marks], 1), model(images)))
        gradients = tape.gradient(total, [variable.value for variable in variables])
        return [np.asarray(gradient) for gradient in gradients]

    mild, strong = (
        gradients(teacher.trainable_variables, guidance=weight) for weight in (0.0, 100.0)
    )
    assert max(float(np.abs(gradient).max()) for gradient in mild) > 1e-3
    for one, other in zip(mild, strong, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    followed = student.get_layer("conv_32").trainable_variables
    mild, strong = (gradients(followed, guidance=weight) for weight in (0.0, 100.0))
    assert float(np.abs(mild[0] - strong[0]).max()) > 1e-3


def test_both_and_their_modules_are_trained_as_one_model():
    contract = InputSpec(height=32, width=32)
    student, teacher = (
        installed().student(name).load()(contract, 3) for name in ("conv-32-64-8", "residual-m")
    )
    model = joint_model(student, teacher, 3)
    assert model.output_shape == (None, 3 + 3 + 3 * (3 + 2 * WIDTH))  # as many as the student has
    images = RANDOM.integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    given = np.asarray(model(images))
    np.testing.assert_allclose(given[:, :3], np.asarray(student(images)), rtol=1e-4)
    np.testing.assert_allclose(given[:, 3:6], np.asarray(teacher(images)), rtol=1e-4)
    trained = {id(variable) for variable in model.trainable_variables}
    theirs = {id(variable) for net in (student, teacher) for variable in net.trainable_variables}
    assert theirs < trained


def test_a_net_without_blocks_is_refused():
    image = keras.Input((32, 32, 3))
    blind = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)), name="blind")
    contract = InputSpec(height=32, width=32)
    seeing = installed().student("conv-32-64-8").load()(contract, 2)
    for pair in ((blind, seeing), (seeing, blind)):
        with pytest.raises(PupilaError, match=r"'blind' has no feature map .* 32 x 32 px"):
            joint_model(*pair, 2)


# The technique ----------------------------------------------------------------------------------

QUICK = {
    "student": "conv-32-64-8",
    "teacher": "conv-32-64-8",
    "size": 32,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder)


@pytest.fixture
def evolving(dataset, tmp_path):
    """Return a function that makes steps of `distill-evolutionary` with changed settings."""
    return StepMaker(EvolutionaryDistillation, QUICK, [], dataset, tmp_path)


class TestEvolutionaryKeepsTheContract(TechniqueContract):
    plugin = "distill-evolutionary"
    config = QUICK

    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder)


def written(step):
    return keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)


def test_student_and_teacher_learn_together(evolving):
    step = evolving()
    product = distill_evolutionary(step)
    measured = product.measured
    assert measured["history"]["loss"][-1] < measured["history"]["loss"][0]
    assert measured["validation_accuracy"] >= 0.9
    assert measured["teacher_architecture"] == "conv-32-64-8"
    assert measured["teacher_validation_accuracy"] >= 0.9
    student = written(step)
    assert product.parameters == student.count_params()
    assert {layer.name for layer in student.layers} >= {"conv_32", "conv_64", "probabilities"}
    assert not [layer.name for layer in student.layers if layer.name.startswith("teacher")]


@pytest.mark.long
def test_the_best_epoch_is_that_of_the_students_own_loss(evolving, dataset):
    step = evolving(epochs=2)
    measured = distill_evolutionary(step).measured
    validation = dataset.select("validation")
    pixels = validation.pixels(InputSpec(height=32, width=32))
    images = np.stack([pixels[number] for number in range(len(validation))])
    answers = np.asarray(written(step)(images.astype(np.float32)))
    of_truth = answers[np.arange(len(validation)), validation.labels]
    lowest = min(measured["history"]["validation_loss"])
    assert -np.log(of_truth).mean() == pytest.approx(lowest, abs=1e-3)


@pytest.mark.long
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(evolving):
    unbroken, broken = (evolving(name, epochs=4) for name in ("unbroken", "broken"))
    expected = distill_evolutionary(unbroken).measured
    measured = finish_after_kill(distill_evolutionary, broken).measured
    assert measured["history"] == expected["history"]
    assert measured["teacher_validation_accuracy"] == expected["teacher_validation_accuracy"]
    pairs = zip(written(unbroken).get_weights(), written(broken).get_weights(), strict=True)
    assert max(float(np.abs(one - other).max()) for one, other in pairs) < 1e-6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": "residual-n"}, "Did you mean 'residual-m'"),
        ({"student": "mobil-xs"}, "Did you mean 'mobile-xs'"),
        ({"guidance": -1}, "greater than or equal to 0"),
        ({"alpha": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(changes, said):
    with pytest.raises(ValidationError, match=said):
        EvolutionaryDistillation.model_validate(QUICK | changes)


def test_another_version_of_either_architecture_remakes_it():
    used = EvolutionaryDistillation(student="mobile-s", teacher="mobile-xs").uses()
    assert [plugin.name for plugin in used] == ["mobile-s", "mobile-xs"]


def test_it_takes_no_teacher_that_was_trained_before():
    technique = installed().step("distill-evolutionary")
    assert (technique.min_inputs, technique.max_inputs, technique.accepts) == (0, 0, frozenset())
