"""Attention transfer: the maps of teacher and student, and the technique on noise with a patch."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pupila import InputSpec, OutputSpec, PupilaError, installed, keras_files
from pupila.artifact import Origin
from pupila.store import Store
from pupila.testing import (
    StepMaker,
    TechniqueContract,
    finish_after_kill,
    read_images,
    step_for,
)
from pupila.training.batches import Images
from pupila.views import Augmentation
from pupila_distill import attention
from pupila_distill.attention import (
    distance,
    distill_attention,
    keras,
    open_attention,
    with_attention,
)
from pupila_distill.config import AttentionDistillation, Distillation
from pupila_distill.stages import with_stages
from pupila_distill.techniques import distill

layers = keras.layers


# The maps ---------------------------------------------------------------------------------------


def small_net(classes=2, strides=(2, 2, 2, 2), side=32):
    image = x = keras.Input((side, side, 3))
    for number, stride in enumerate(strides):
        x = layers.Conv2D(3 + number, 3, stride, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes)(x), name="small")


def pictures(images=4, side=32):
    return np.random.default_rng(1).integers(0, 256, (images, side, side, 3), np.uint8)


def test_the_student_gives_its_logits_and_the_squares_of_its_deepest_stages():
    net = small_net()
    images = pictures().astype(np.float32)
    given = np.asarray(with_attention(net, 3)(images))
    logits, *stages = (np.asarray(output, np.float64) for output in with_stages(net)(images))
    maps = [(stage**2).sum(axis=3).reshape(4, -1) for stage in stages[-3:]]
    assert [attention.shape[1] for attention in maps] == [64, 16, 4]
    assert given == pytest.approx(np.concatenate([logits, *maps], axis=1), rel=1e-4)


def artifact_of(store, model, side=32, classes=("blue", "red")):
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=InputSpec(height=side, width=side),
            output=OutputSpec(kind="softmax", classes=classes),
            origin=Origin(plugin="test", distribution="test", version="0"),
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_a_teachers_attention_is_that_of_its_deepest_stages_at_the_students_size(store):
    net = small_net(side=64)
    with open_attention(artifact_of(store, net, 64), [(8, 8), (2, 2)]) as attention_of_pictures:
        given = attention_of_pictures(pictures(20, 64))
    stages = with_stages(net)(pictures(20, 64).astype(np.float32))
    assert [stage.shape[1] for stage in stages[1:]] == [32, 16, 8, 4]
    same_size, halved = ((np.asarray(stage) ** 2).sum(axis=3) for stage in stages[-2:])
    assert given.shape == (20, 64 + 4)
    assert given[:, :64] == pytest.approx(same_size.reshape(20, 64), rel=1e-4)
    means = halved.reshape(20, 2, 2, 2, 2).mean(axis=(2, 4)).reshape(20, 4)
    assert np.corrcoef(given[:, 64:].ravel(), means.ravel())[0, 1] > 0.9


def test_a_teacher_with_fewer_stages_is_compared_in_these_only(store):
    shallow = artifact_of(store, small_net(strides=(2, 2)))
    sizes = [(8, 8), (4, 4), (2, 2)]
    with open_attention(shallow, sizes) as attention_of_pictures:
        given = attention_of_pictures(pictures())
    assert given.shape == (4, 16 + 4)
    assert attention._deepest(sizes, 20) == [(4, 4), (2, 2)]
    assert attention._deepest(sizes, 84) == sizes


def test_attention_is_computed_on_the_picture_that_the_student_sees(teacher, dataset, tmp_path):
    step = step_for(
        AttentionDistillation(augmentation=Augmentation(views=2, crop=0.5, mixup=1)),
        [teacher],
        tmp_path,
        dataset=dataset,
    )
    sizes, chosen = [(6, 6)], dataset.select("train")
    maps = attention._teacher_maps(step, chosen, sizes)
    seen = Images.of(chosen, teacher.record.input, maps, step.config.augmentation)
    with open_attention(teacher, sizes) as attention_of_pictures:
        for view in range(2):
            again = attention_of_pictures(seen.view(np.arange(len(chosen)), view))
            assert maps[view] == pytest.approx(again, rel=1e-4, abs=1e-4)
    assert not np.allclose(maps[0], maps[1])


# The technique ----------------------------------------------------------------------------------

QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 4,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


def draw_patches(folder, images=12):
    """Draw noise with a patch of blue or red at a random position."""
    random = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for name, channel in (("blue", 2), ("red", 0)):
            of_class = folder / split / name
            of_class.mkdir(parents=True)
            for number in range(images):
                pixels = random.integers(40, 120, (32, 32, 3), np.uint8)
                row, column = random.integers(0, 20, 2)
                pixels[row : row + 12, column : column + 12, channel] = 230
                Image.fromarray(pixels).save(of_class / f"{number}.png")
    return folder


def looking_teacher(store, side=48):
    """Return a net, set by hand, that answers whether there is more strong blue or strong red."""
    image = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(2, 1, activation="relu", name="see")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))
    seeing = np.array([[-1.0, 1], [0, 0], [1, -1]]).reshape(1, 1, 3, 2)
    model.get_layer("see").set_weights([seeing, np.array([-0.35, -0.35])])
    model.get_layer("answer").set_weights([np.array([[80.0, -80], [-80, 80]]), np.zeros(2)])
    return artifact_of(store, model, side)


@pytest.fixture(scope="module")
def teacher(store):
    return looking_teacher(store)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return read_images(draw_patches(folder / "images"), folder / "cache")


@pytest.fixture
def distilling(teacher, dataset, tmp_path):
    """Return a function that makes steps of `distill-attention` with changed settings."""
    return StepMaker(AttentionDistillation, QUICK, [teacher], dataset, tmp_path)


class TestAttentionKeepsTheContract(TechniqueContract):
    plugin = "distill-attention"
    config = QUICK | {"epochs": 2}

    @classmethod
    def make_dataset(cls, folder):
        return read_images(draw_patches(folder / "images"), folder / "cache")

    @classmethod
    def make_inputs(cls, store, folder):
        return (looking_teacher(store),)


def weights(step):
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    return model.get_weights()


def difference(first, second):
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def test_it_learns_to_answer_and_to_look_as_its_teacher(distilling):
    step = distilling(epochs=12, beta=100)
    measured = distill_attention(step).measured
    history = measured["history"]
    assert history["validation_loss"][-1] < history["validation_loss"][0] / 2
    assert measured["validation_accuracy"] >= 0.8
    assert measured["attention_maps"] == [[30, 30], [13, 13], [6, 6]]
    (quality,) = measured["teachers"]
    assert quality["validation_accuracy"]["value"] == 1


def looks_apart(step, teacher, dataset):
    """Return the distance of student and teacher attention on the validation images."""
    student = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    validation = dataset.select("validation")
    sizes = [(30, 30), (13, 13), (6, 6)]
    at = {side: validation.pixels(InputSpec(height=side, width=side)) for side in (32, 48)}
    images = {
        side: np.stack([pixels[n] for n in range(len(validation))]) for side, pixels in at.items()
    }
    with open_attention(teacher, sizes) as attention_of_pictures:
        theirs = attention_of_pictures(images[48])
    ours = np.asarray(with_attention(student, 3)(images[32].astype(np.float32)))[:, 2:]
    return float(np.mean(distance(theirs, ours, sizes)))


@pytest.mark.slow
def test_with_a_weight_of_attention_it_looks_where_its_teacher_looks(distilling, teacher, dataset):
    apart = {}
    for beta in (0, 1000):
        step = distilling(f"beta {beta}", epochs=12, beta=beta)
        distill_attention(step)
        apart[beta] = looks_apart(step, teacher, dataset)
    assert apart[1000] < 0.8 * apart[0]


def test_without_the_weight_of_attention_it_is_plain_distillation(
    distilling, teacher, dataset, tmp_path
):
    step = distilling(beta=0, epochs=2)
    distill_attention(step)
    plain = step_for(
        Distillation.model_validate(QUICK | {"epochs": 2}),
        [teacher],
        tmp_path / "plain",
        dataset=dataset,
    )
    distill(plain)
    assert difference(weights(step), weights(plain)) < 1e-4


def test_the_teacher_is_opened_once_for_all_runs(distilling, monkeypatch):
    opened = []

    def counting(artifact):
        opened.append(artifact.digest)
        return real(artifact)

    real = keras_files.load
    monkeypatch.setattr(attention, "load", counting)
    distill_attention(distilling("first", epochs=1))
    assert len(opened) == 1
    distill_attention(distilling("second", epochs=1, beta=10, temperature=2.0))
    assert len(opened) == 1
    distill_attention(distilling("third", epochs=1, size=40))
    assert len(opened) == 2  # maps of another size


@pytest.mark.long
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(distilling):
    unbroken, broken = distilling("unbroken"), distilling("broken")
    expected = distill_attention(unbroken).measured
    measured = finish_after_kill(distill_attention, broken).measured
    assert measured["history"] == expected["history"]
    assert difference(weights(unbroken), weights(broken)) < 1e-6


def test_a_teacher_without_a_feature_map_is_refused(distilling, store):
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x), name="blind")
    model.set_weights([np.array([[-80.0, 80], [0, 0], [80, -80]]), np.zeros(2)])
    with pytest.raises(PupilaError, match=r"'blind' has no feature map .* Use `distill`"):
        distill_attention(distilling(inputs=[artifact_of(store, model)]))


def test_only_formats_whose_layers_can_be_read_are_accepted():
    assert installed().step("distill-attention").accepts == {"keras"}
    assert installed().step("distill-attention").max_inputs == 1


def test_a_negative_weight_is_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        AttentionDistillation.model_validate(QUICK | {"beta": -1})
