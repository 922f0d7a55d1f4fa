"""Teachers of Keras 2 and 3 are read as they are, or refused in one sentence."""

# long: a table of files, and how each is refused

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray
from PIL import Image

from pupila import PupilaError, keras_files
from pupila.task import answers_of_outputs
from pupila.testing import LoaderContract
from pupila_keras.probe import predict_probes

TWO = ("ill", "well")
CUT_SHORT = r"is cut short: [\d,]+ of its [\d,]+ bytes are there"


class TestKerasArchivesAreReadByTheContract(LoaderContract):
    plugin = "keras"

    @classmethod
    def make_file(cls, folder: Path, images: NDArray[np.uint8]):
        return saved(keras, folder / "model.keras", images)


class TestHdf5FilesAreReadByTheContract(LoaderContract):
    plugin = "keras-h5"

    @classmethod
    def make_file(cls, folder: Path, images: NDArray[np.uint8]):
        return saved(tf_keras, folder / "model.h5", images)


class TestSavedModelsAreReadByTheContract(LoaderContract):
    plugin = "savedmodel"

    @classmethod
    def make_file(cls, folder: Path, images: NDArray[np.uint8]):
        model = classifier(keras, size=(32, 32))
        model.export(folder / "saved", verbose=False)
        return folder / "saved", np.asarray(model(images.astype(np.float32)))

    def test_a_file_gives_one_artifact_with_a_scaling(self, source: Path, tmp_path: Path) -> None:
        """TensorFlow numbers functions within a process, and teachers are read in new ones."""
        digests = [
            subprocess.run(
                [sys.executable, "-c", READ_SCALED, str(source), str(tmp_path / name)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()[-1]
            for name in ("first", "second")
        ]
        assert digests[0] == digests[1]


READ_SCALED = """
import sys
from pathlib import Path
from pupila import OutputSpec, installed
from pupila.digest import digest_tree
from pupila.pixel_scaling import scaling_of
source, folder = map(Path, sys.argv[1:])
folder.mkdir()
output = OutputSpec(kind="softmax", classes=("ill", "well"))
installed().loader(source).load()(source, output, folder, scaling_of("caffe"))
print(digest_tree(folder))
"""


def saved(library, path: Path, images: NDArray[np.uint8]):
    """Save a small classifier of 32 × 32 px; return its path and its outputs for `images`."""
    model = classifier(library, size=(32, 32))
    model.save(path)
    return path, model.predict(images.astype(np.float32), verbose=0)


def classifier(library, activation="softmax", columns=2, size=(16, 20)):
    """Build a small Keras 2 or 3 model that takes raw RGB."""
    layers = library.layers
    return library.Sequential(
        [
            layers.InputLayer((*size, 3)),
            layers.Rescaling(1 / 255),
            layers.SeparableConv2D(4, 3, name="features"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(columns, activation=activation, kernel_initializer="he_normal"),
        ]
    )


def model_of(library, image_shape, body):
    image = library.Input(image_shape)
    return library.Model(image, body(image))


# Files that are read ------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_every_keras_version_and_format_is_read(library, name: str, tmp_path: Path, import_model):
    model = classifier(library)
    model.compile("adam", "mse")
    model.save(tmp_path / name)
    artifact = import_model(tmp_path / name)
    record = artifact.record
    assert (record.format, record.input.shape, record.output.classes) == ("keras", (16, 20, 3), TWO)
    assert record.parameters == model.count_params() == 69
    assert record.macs == 14 * 18 * (3 * 9 + 3 * 4) + 4 * 2
    np.testing.assert_allclose(
        predict_probes(keras_files.load(artifact)), predict_probes(model), atol=1e-6
    )


@pytest.mark.parametrize(("name", "alias"), [("a.keras", "b.h5"), ("a.h5", "b.keras")])
def test_a_model_under_the_other_suffix_is_read(
    name: str, alias: str, tmp_path: Path, import_model
):
    for library in (keras, tf_keras):
        classifier(library).save(tmp_path / name)
        shutil.move(tmp_path / name, tmp_path / alias)
        assert import_model(tmp_path / alias).record.parameters == 69


def test_a_file_of_a_newer_tf_keras_is_read(tmp_path: Path, import_model):
    """tf_keras 2.21 writes `optional`, which tf_keras 2.19 refuses."""
    classifier(tf_keras).save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        config = json.loads(str(file.attrs["model_config"]))
        config["config"]["layers"][0]["config"]["optional"] = False
        file.attrs["model_config"] = json.dumps(config)
    assert import_model(tmp_path / "a.h5").record.measured["translation_difference"] <= 1e-5


def test_one_file_always_gives_one_artifact(tmp_path: Path, import_model):
    classifier(tf_keras).save(tmp_path / "a.h5")
    assert import_model(tmp_path / "a.h5").digest == import_model(tmp_path / "a.h5").digest


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
def test_a_nested_model_of_open_size_is_read(library, tmp_path: Path, import_model):
    layers = library.layers
    backbone = model_of(library, (None, None, 3), layers.Conv2D(4, 3))
    model = model_of(
        library,
        (32, 32, 3),
        lambda image: layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(backbone(image))),
    )
    model.save(tmp_path / "a.keras")
    artifact = import_model(tmp_path / "a.keras")
    assert artifact.record.macs == 30 * 30 * (3 * 9) * 4 + 4 * 2
    np.testing.assert_allclose(
        predict_probes(keras_files.load(artifact)), predict_probes(model), atol=1e-6
    )


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(None, "dict"), ("dict", None), (None, "list"), ("list", "list"), ("dict", "dict")],
)
def test_a_dict_or_list_of_one_tensor_is_read_as_the_tensor(
    library, inputs, outputs, tmp_path: Path, import_model
):
    image = library.Input((8, 8, 3), name="image")
    pooled = library.layers.GlobalAveragePooling2D()(image)
    answer = library.layers.Dense(2, activation="softmax")(pooled)
    library.Model(wrap(image, inputs), wrap(answer, outputs)).save(tmp_path / "a.keras")
    artifact = import_model(tmp_path / "a.keras")
    expected = predict_probes(library.Model(image, answer))
    np.testing.assert_allclose(predict_probes(keras_files.load(artifact)), expected, atol=1e-6)


def test_a_sequential_whose_last_model_gives_a_dict_is_read(tmp_path: Path, import_model):
    last = model_of(keras, (8, 8, 3), lambda image: {"answer": pooled_two(image)})
    model = keras.Sequential([keras.layers.InputLayer((8, 8, 3)), last])
    model.save(tmp_path / "a.keras")
    artifact = import_model(tmp_path / "a.keras")
    assert predict_probes(keras_files.load(artifact)).shape == (4, 2)


def pooled_two(image):
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    return keras.layers.Dense(2, activation="softmax")(pooled)


def wrap(tensor, kind: str | None):
    return {None: tensor, "dict": {"image": tensor}, "list": [tensor]}[kind]


# Outputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "columns", "kind"),
    [("softmax", 2, "softmax"), (None, 2, "logits"), ("sigmoid", 1, "sigmoid")],
)
def test_each_kind_of_output_is_taken(
    activation, columns: int, kind: str, tmp_path: Path, import_model
):
    classifier(keras, activation, columns).save(tmp_path / "a.keras")
    artifact = import_model(tmp_path / "a.keras", kind)
    outputs = predict_probes(keras_files.load(artifact))
    probabilities = answers_of_outputs(artifact.record.output, outputs)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "columns", "kind", "classes", "complaint"),
    [
        (None, 2, "softmax", TWO, r"looks like logits\. Set `output: logits`"),
        ("sigmoid", 2, "softmax", TWO, "looks like a sigmoid of its own"),
        ("softmax", 2, "logits", TWO, "looks like softmax. Set `output: softmax`"),
        ("softmax", 3, "softmax", TWO, r"3 values per image, but `classes` names 2: \['ill',"),
        ("softmax", 2, "softmax", ("a", "b", "c"), "2 values per image, but `classes` names 3"),
        ("sigmoid", 1, "softmax", TWO, "1 value per image, .* Set `output: sigmoid`"),
        ("softmax", 2, "sigmoid", TWO, "a sigmoid output is one value, .* 'well'"),
        ("linear", 1, "sigmoid", TWO, "looks like a logit"),
    ],
)
def test_an_output_of_another_kind_is_refused(
    activation, columns, kind, classes, complaint: str, tmp_path: Path, import_model
):
    model = classifier(keras, activation, columns)
    model.set_weights([np.full(weight.shape, 3.0) for weight in model.weights])
    model.layers[-1].bias.assign(np.arange(columns) + 2.0)
    model.save(tmp_path / "a.keras")
    with pytest.raises(PupilaError, match=complaint):
        import_model(tmp_path / "a.keras", kind, classes)


def test_a_model_whose_outputs_are_not_finite_is_refused(tmp_path: Path, import_model):
    model = classifier(keras)
    model.layers[-1].bias.assign([np.nan, 0])
    model.save(tmp_path / "a.keras")
    with pytest.raises(PupilaError, match="not finite"):
        import_model(tmp_path / "a.keras")


# Inputs -------------------------------------------------------------------------------------------


def pooled(image):
    return keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(image))


@pytest.mark.parametrize(
    ("shape", "body", "complaint"),
    [
        ((None, None, 3), pooled, r"takes \(None, None, None, 3\), any size"),
        ((3, 16, 16), pooled, "channels-first"),
        ((16, 16, 1), pooled, r"takes \(None, 16, 16, 1\): expected one RGB image"),
        ((48,), keras.layers.Dense(2), r"takes \(None, 48\): expected one RGB image"),
        ((8, 8, 3), keras.layers.Conv2D(2, 1), r"gives \(None, 8, 8, 2\).*no classification head"),
    ],
)
def test_another_input_or_output_is_refused(
    shape, body, complaint: str, tmp_path: Path, import_model
):
    model_of(keras, shape, body).save(tmp_path / "a.keras")
    with pytest.raises(PupilaError, match=complaint):
        import_model(tmp_path / "a.keras")


def test_two_inputs_are_refused(tmp_path: Path, import_model):
    left, right = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    keras.Model([left, right], pooled(left + right)).save(tmp_path / "a.keras")
    with pytest.raises(PupilaError, match="takes 2 inputs"):
        import_model(tmp_path / "a.keras")


def test_a_model_that_was_never_built_is_refused(tmp_path: Path, import_model):
    keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)]).save(tmp_path / "a.keras")
    with pytest.raises(PupilaError, match="never built"):
        import_model(tmp_path / "a.keras")


# Code in files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_lambda_layer_is_refused_by_name(
    library, name: str, nested: bool, tmp_path: Path, import_model
):
    layers = library.layers
    halve = layers.Lambda(lambda tensor: tensor / 2, name="halve")
    inner = library.Sequential([layers.InputLayer((8, 8, 3)), halve]) if nested else halve
    model = model_of(
        library, (8, 8, 3), lambda image: layers.Softmax()(layers.Flatten()(inner(image)))
    )
    model.save(tmp_path / name)
    with pytest.raises(PupilaError, match=rf"{name}': it holds a Lambda layer 'halve'"):
        import_model(tmp_path / name)


class Scale(keras.layers.Layer):
    def call(self, tensor):
        return tensor / 255


class OldScale(tf_keras.layers.Layer):
    def call(self, tensor):
        return tensor / 255


@pytest.mark.parametrize(("library", "layer"), [(keras, Scale), (tf_keras, OldScale)])
@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_a_custom_layer_is_refused_by_name(library, layer, name: str, tmp_path: Path, import_model):
    model = model_of(library, (8, 8, 3), lambda image: library.layers.Softmax()(layer()(image)))
    model.save(tmp_path / name)
    with pytest.raises(PupilaError, match=rf"custom class '.*{layer.__name__}'"):
        import_model(tmp_path / name)


def test_a_registered_layer_is_refused_too(tmp_path: Path, import_model):
    registered = keras.saving.register_keras_serializable("clinic", "Scale")(Scale)
    try:
        model_of(keras, (8, 8, 3), registered()).save(tmp_path / "a.keras")
        with pytest.raises(PupilaError, match="custom class 'clinic>Scale'"):
            import_model(tmp_path / "a.keras")
    finally:
        del keras.saving.get_custom_objects()["clinic>Scale"]


def test_a_custom_activation_is_refused_by_name(tmp_path: Path, import_model):
    def wobble(tensor):
        return tensor * 2

    layer = keras.layers.Conv2D(2, 1, activation=wobble)
    model_of(keras, (8, 8, 3), layer).save(tmp_path / "a.keras")
    with pytest.raises(PupilaError, match="custom function 'wobble'"):
        import_model(tmp_path / "a.keras")


# Damaged files, and files of other kinds ----------------------------------------------------------


def save_model(path: Path, library=keras) -> Path:
    classifier(library).save(path)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def scramble(path: Path) -> Path:
    """Overwrite the content after the superblock of an HDF5 file."""
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900
    path.write_bytes(content)
    return path


def flip_byte(path: Path) -> Path:
    """Damage a byte in the middle of the weights."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def jpeg(path: Path) -> Path:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    path.write_bytes(buffer.getvalue())
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as stream:
        for name, content in members.items():
            stream.writestr(name.replace("_", "."), content)
    return path


def weights(path: Path, library=keras) -> Path:
    classifier(library).save_weights(path)
    return path


def some_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    return path


def with_config(path: Path, config: str) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config
    return path


def without_weights(path: Path) -> Path:
    classifier(tf_keras).save(path)
    with zipfile.ZipFile(path) as stream:
        members = {name: stream.read(name).decode() for name in ("config.json", "metadata.json")}
    path.unlink()
    return archive(path, **members)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda folder: cut(save_model(folder / "a.keras")), "not a complete zip archive"),
        (lambda folder: cut(save_model(folder / "a.h5", tf_keras)), CUT_SHORT),
        (lambda folder: scramble(save_model(folder / "a.h5", tf_keras)), "HDF5 file, but damaged"),
        (lambda folder: flip_byte(save_model(folder / "a.keras")), "checksum|damaged"),
        (lambda folder: empty(folder / "a.keras"), "is empty"),
        (lambda folder: empty(folder / "a.h5"), "is empty"),
        (lambda folder: jpeg(folder / "a.keras"), "not a complete zip archive"),
        (lambda folder: jpeg(folder / "a.h5"), "it is not an HDF5 file"),
        (lambda folder: archive(folder / "a.keras", notes_txt="hello"), "not a Keras model"),
        (lambda folder: archive(folder / "a.h5", notes_txt="hello"), "it is not an HDF5 file"),
        (
            lambda folder: archive(folder / "a.keras", config_json="{", metadata_json="{}"),
            "its archive is damaged",
        ),
        (
            lambda folder: archive(folder / "a.keras", config_json="{}", metadata_json="{}"),
            "its archive is damaged",
        ),
        (
            lambda folder: archive(folder / "a.keras", config_json="[]", metadata_json="{}"),
            "its config is a JSON list, not an object",
        ),
        (lambda folder: with_config(folder / "a.h5", "[]"), "its config is a JSON list"),
        (lambda folder: with_config(folder / "a.h5", "{"), "its config is not JSON"),
        (lambda folder: without_weights(folder / "a.keras"), "it has no weights"),
        (
            lambda folder: weights(folder / "a.weights.h5"),
            "only holds weights, not the architecture",
        ),
        (
            lambda folder: weights(folder / "b.h5", tf_keras),
            "only holds weights, not the architecture",
        ),
        (lambda folder: some_hdf5(folder / "a.h5"), "but not a Keras model"),
    ],
)
def test_a_file_that_is_not_a_model_is_refused_in_one_sentence(
    make, complaint: str, tmp_path: Path, import_model
):
    path = make(tmp_path)
    with pytest.raises(PupilaError, match=complaint) as raised:
        import_model(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
