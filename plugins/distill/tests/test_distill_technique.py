from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pupila import InputContract, OutputContract, PupilaError, keras_files, predictions
from pupila.artifact import Origin
from pupila.store import Store
from pupila.testing import TechniqueContract, ignore_progress, read_images, run_step, step_for
from pupila.views import Augmentation
from pupila_distill.batches import Images, all_in_order, epoch_batches
from pupila_distill.checkpoint import Checkpoint
from pupila_distill.config import Distillation, Training
from pupila_distill.loss import packed
from pupila_distill.techniques import distill, train
from pupila_distill.training import train_student

INPUT = InputContract(height=32, width=32)
CLASSES = ("blue", "red")
QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


def draw_colours(folder, images=12):
    """Noise that is blue or red."""
    random = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for name, channel in (("blue", 2), ("red", 0)):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(images):
                pixels = random.integers(40, 120, (32, 32, 3), np.uint8)
                pixels[..., channel] += np.uint8(60)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def colour_teacher(store, sign=1.0, classes=CLASSES):
    """A teacher that compares mean blue with mean red; sure of nothing with sign 0."""
    keras = keras_files.import_keras()
    image = keras.Input(INPUT.shape, name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(2, activation="softmax", name="answer")(x)
    model = keras.Model(image, x)
    model.set_weights([np.array([[-8, 8], [0, 0], [8, -8]]) * sign, np.zeros(2)])
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=INPUT,
            output=OutputContract(kind="softmax", classes=classes),
            origin=Origin(plugin="test", distribution="test", version="0"),
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def teacher(store):
    return colour_teacher(store)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return read_images(draw_colours(folder / "images"), folder / "cache")


@pytest.fixture
def distilling(teacher, dataset, tmp_path):
    """Return a step of `distill` with some settings changed."""

    def step(folder="step", inputs=None, progress=ignore_progress, **changes):
        return step_for(
            Distillation.model_validate(QUICK | changes),
            inputs or [teacher],
            tmp_path / folder,
            dataset=dataset,
            predictions=predictions.Predictions(tmp_path / "predictions"),
            progress=progress,
        )

    return step


class TestDistillKeepsTheContract(TechniqueContract):
    plugin = "distill"
    config = QUICK

    @classmethod
    def make_dataset(cls, folder):
        return read_images(draw_colours(folder / "images"), folder / "cache")

    @classmethod
    def make_inputs(cls, store, folder):
        return (colour_teacher(store),)


class TestTrainKeepsTheContract(TechniqueContract):
    plugin = "train"
    config = QUICK


def weights(step):
    """Return the weights that a step wrote."""
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    return model.get_weights()


def difference(first, second):
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def test_the_loss_falls_and_the_product_tells_what_was_measured(distilling):
    told = []
    step = distilling(epochs=6, progress=lambda *said: told.append(said))
    product = distill(step)
    measured = product.measured
    assert measured["history"]["loss"][-1] < measured["history"]["loss"][0]
    assert measured["history"]["validation_loss"][-1] < measured["history"]["validation_loss"][0]
    assert len(measured["history"]["validation_accuracy"]) == measured["epochs"] == 6
    assert measured["teacher_validation_accuracy"] == 1
    assert measured["seconds"] > 0 and measured["images_per_second"] > 0
    best = min(range(6), key=lambda epoch: measured["history"]["validation_loss"][epoch])
    assert measured["best_epoch"] == best + 1
    assert told[-1][:2] == (6, 6)
    assert told[-1][2].startswith("epochs, validation accuracy ")


def test_what_is_saved_answers_with_probabilities_of_raw_pixels(distilling, dataset):
    step = distilling()
    product = distill(step)
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    validation = dataset.select("validation")
    answers = np.asarray(model(validation.pixels(INPUT).astype(np.float32)))
    assert answers.sum(axis=1) == pytest.approx(np.ones(len(validation)), abs=1e-5)
    accuracy = float((answers.argmax(axis=1) == validation.labels).mean())
    assert accuracy == pytest.approx(product.measured["validation_accuracy"], abs=1e-6)
    assert product.output == OutputContract(kind="softmax", classes=CLASSES)
    assert product.input == INPUT
    assert product.parameters == model.count_params()


def test_alpha_one_is_the_control(distilling, dataset, tmp_path):
    step = distilling(alpha=1)
    distill(step)
    control = step_for(Training.model_validate(QUICK), [], tmp_path / "control", dataset=dataset)
    train(control)
    assert difference(weights(step), weights(control)) < 1e-5


def test_the_teacher_runs_once_for_all_runs(distilling, monkeypatch):
    opened = []

    def counting(artifact, threads=None):
        opened.append(artifact.digest)
        return real(artifact, threads)

    real = predictions.open_model
    monkeypatch.setattr(predictions, "open_model", counting)
    distill(distilling("first", epochs=1))
    assert len(opened) == 2  # for the validation images, and for the views of the others
    distill(distilling("second", epochs=2, alpha=0.5, temperature=2.0))
    assert len(opened) == 2


def test_teacher_and_student_see_the_same_picture(teacher, dataset, tmp_path):
    chosen, augmentation = dataset.select("train"), Augmentation(views=3)
    kept = predictions.Predictions(tmp_path)
    probabilities = kept.of_views(teacher, chosen, augmentation, ignore_progress)
    targets = packed(np.eye(2, dtype=np.float32)[chosen.labels], probabilities)
    images = Images.of(chosen, INPUT, targets, augmentation)
    model = keras_files.load(teacher)
    for epoch in range(4):
        for pictures, wanted in map(epoch_batches(images, epoch, 0, 8).__getitem__, range(3)):
            answers = np.log(np.asarray(model(pictures.astype(np.float32))))
            assert wanted[:, 2:] == pytest.approx(answers, abs=1e-4)
            assert (answers.argmax(axis=1) == wanted[:, :2].argmax(axis=1)).all()


def test_an_epoch_shows_every_image_once_in_its_own_order(dataset):
    chosen = dataset.select("train")
    numbers = np.arange(len(chosen), dtype=np.float32).reshape(1, -1, 1)
    images = Images.of(chosen, INPUT, numbers.repeat(2, axis=0), Augmentation(views=2))

    def shown(batches):
        return [int(each) for index in range(len(batches)) for each in batches[index][1][:, 0]]

    first, second = (shown(epoch_batches(images, epoch, 0, 7)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second
    assert first == shown(epoch_batches(images, 0, 0, 7))
    assert first != shown(epoch_batches(images, 0, 1, 7))
    assert shown(all_in_order(images, 7)) == list(range(24))
    sizes = [len(batch[1]) for batch in map(all_in_order(images, 23).__getitem__, range(2))]
    assert sizes == [12, 12]


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    "student", ["conv-32-64-8", pytest.param("mobile-xs", marks=pytest.mark.slow)]
)
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(distilling, student):
    def kill(done, total, what):
        if done == 2 and what.startswith("epochs"):
            raise KilledError

    unbroken = distilling("unbroken", student=student, epochs=4)
    expected = distill(unbroken).measured
    with pytest.raises(KilledError):
        distill(distilling("broken", student=student, epochs=4, progress=kill))
    told = []
    resumed = distilling(
        "broken", student=student, epochs=4, progress=lambda *said: told.append(said)
    )
    measured = distill(resumed).measured
    assert [done for done, _, what in told if what.startswith("epochs")] == [3, 4]
    assert measured["history"] == expected["history"]
    assert difference(weights(unbroken), weights(resumed)) < 1e-6


def test_a_checkpoint_of_other_settings_is_ignored(distilling):
    distill(distilling(epochs=2))
    measured = distill(distilling(epochs=2, alpha=0.9)).measured
    fresh = distill(distilling("fresh", epochs=2, alpha=0.9)).measured
    assert measured["history"] == fresh["history"]


def test_patience_ends_training_and_the_best_epoch_is_kept(distilling):
    step = distilling(epochs=12, patience=1, learning_rate=0.5)
    measured = distill(step).measured
    assert measured["epochs"] == measured["best_epoch"] + 1 < 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 1.5}, "less than or equal to 1"),
        ({"temperature": 0}, "greater than 0"),
        ({"student": "mobil-xs"}, "Did you mean 'mobile-xs'"),
        ({"size": 16}, "greater than or equal to 32"),
        ({"epoch": 3}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(changes, said):
    with pytest.raises(ValidationError, match=said):
        Distillation.model_validate(QUICK | changes)


def test_a_teacher_at_chance_level_is_refused(distilling, store):
    constant = colour_teacher(store, sign=0)
    with pytest.raises(PupilaError, match=r"not shown to be better than chance: AUC 0\.500 "):
        distill(distilling(inputs=[constant]))


def test_a_reversed_teacher_is_refused_with_the_order_to_declare(distilling, store):
    reversed_teacher = colour_teacher(store, sign=-1)
    with pytest.raises(PupilaError, match=r"AUC 0\.000 .* declare classes: \['red', 'blue'\]"):
        distill(distilling(inputs=[reversed_teacher]))


def test_a_reversed_teacher_with_the_right_order_declared_is_taken(distilling, store):
    declared = colour_teacher(store, sign=-1, classes=("red", "blue"))
    assert distill(distilling(inputs=[declared])).measured["teacher_validation_accuracy"] == 1


def test_a_loss_that_is_no_number_stops_training(dataset, tmp_path):
    config = Training.model_validate(QUICK)
    chosen = dataset.select("train")
    images = Images.of(chosen, INPUT, np.full((2, len(chosen), 2), np.nan), config.augmentation)
    with pytest.raises(PupilaError, match=r"epoch 1 of 3: loss is nan\. Lower `learning_rate`"):
        train_student(
            config.architecture.load()(INPUT, 2),
            lambda targets, logits: targets[:, 0] * logits[:, 0],
            images,
            images,
            config,
            0,
            Checkpoint(tmp_path / "training.npz", "key"),
            ignore_progress,
        )
    assert not (tmp_path / "training.npz").exists()


def test_the_made_artifact_says_what_it_was_made_of(teacher, dataset, store, tmp_path):
    from pupila import installed

    ran = run_step(
        installed().step("distill"),
        Distillation.model_validate(QUICK | {"epochs": 1}),
        [teacher],
        tmp_path / "run",
        store=store,
        dataset=dataset,
    )
    assert ran.artifact.record.origin.inputs == (teacher.digest,)
    assert ran.artifact.record.measured["epochs"] == 1
