"""An artifact from elsewhere is checked as a model file is, before anything of it runs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pupila import Artifact, InputContract, OutputContract, PupilaError
from pupila.artifact import Origin
from pupila.keras_files import import_keras, import_tensorflow
from pupila.predictions import open_model
from pupila.store import Store
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.workspace import Workspace

Write = Callable[[Path, str], None]
tf: Any = import_tensorflow()


def ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def of(function: Callable[[Any], Any]) -> Any:
    module: Any = tf.Module()
    spec = tf.TensorSpec((1, 4, 4, 3), tf.float32, "image")
    module.answer = tf.function(function, input_signature=[spec])
    return module


def mean(image: Any) -> Any:
    return tf.nn.softmax(tf.reduce_mean(image, axis=[1, 2])[:, :2])


def savedmodel(folder: Path, written: str) -> None:
    def write(image: Any) -> Any:
        tf.io.write_file(written, "here")
        return mean(image)

    module = of(write)
    tf.saved_model.save(module, str(folder), signatures=module.answer)


def tflite(folder: Path, written: str) -> None:
    def write(image: Any) -> Any:
        tf.raw_ops.WriteFile(filename=written, contents="here")
        return mean(image)

    module = of(write)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.answer.get_concrete_function()], module
    )
    ops = tf.lite.OpsSet
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS]
    (folder / "model.tflite").write_bytes(converter.convert())


def keras(folder: Path, written: str) -> None:
    del written
    keras = import_keras()
    path = folder / "model.keras"
    keras.Sequential(
        [keras.layers.Input((4, 4, 3)), keras.layers.Flatten(name="flat"), keras.layers.Dense(2)]
    ).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    layers = {each["class_name"]: each for each in config["config"]["layers"]}
    layers["Flatten"] |= {"class_name": "TFSMLayer", "config": {"name": "flat", "filepath": "/"}}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


CASES: list[tuple[Write, str]] = [
    (savedmodel, "its graph holds WriteFile"),
    (tflite, "the operators FlexWriteFile"),
    (keras, "a TFSMLayer layer 'flat', which opens other files"),
]


def artifact_of(write: Write, tmp_path: Path) -> Artifact:
    store = Store(tmp_path / "elsewhere")
    with store.draft() as folder:
        write(folder, str(tmp_path / "written"))
        return store.add(
            folder,
            format=write.__name__,
            input=InputContract(height=4, width=4),
            output=OutputContract(kind="softmax", classes=("ill", "well")),
            origin=Origin(plugin="x", distribution="x", version="0"),
        )


@pytest.mark.parametrize(("write", "complaint"), CASES)
def test_an_unsafe_artifact_is_not_adopted(write: Write, complaint: str, tmp_path: Path):
    artifact = artifact_of(write, tmp_path)
    job = AdoptArtifact.of(Workspace.at(tmp_path / "here"), "teacher", artifact)
    with pytest.raises(PupilaError, match=complaint):
        job.run(ignore)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(("write", "complaint"), CASES)
def test_an_unsafe_artifact_is_not_opened(write: Write, complaint: str, tmp_path: Path):
    artifact = artifact_of(write, tmp_path)
    with pytest.raises(PupilaError, match=complaint):
        open_model(artifact, 1)
    assert not (tmp_path / "written").exists()
