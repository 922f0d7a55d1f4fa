"""An artifact from elsewhere is checked as a model file is, before anything of it runs."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pupila import Artifact, InputSpec, OutputSpec, PupilaError, Runner, installed
from pupila.artifact import Origin
from pupila.keras_files import import_keras, import_tensorflow
from pupila.predictions import open_model
from pupila.store import Store
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.workspace import Workspace

ROOT = Path(__file__).parents[1]
OPENING = re.compile(
    r"\b(keras_files\.load|load_model|saved_model\.load|Interpreter|Interpreter\.from_file|Calibrator"
    r"|InferenceSession|from_saved_model|read_model|load_weights|import_graph_def|pickle\.loads?)\("
)
OPENS: dict[str, str] = {
    "core/src/pupila/keras_files.py": "`load`: for runners and steps, whose inputs are checked",
    "core/src/pupila/litert/interpreter.py": "checks the flatbuffer itself",
    "core/src/pupila/litert/tensor_io.py": "checks the flatbuffer itself",
    "plugins/keras/src/pupila_keras/archive.py": "checks before it opens",
    "plugins/keras/src/pupila_keras/hdf5.py": "checks before it opens",
    "plugins/keras/src/pupila_keras/legacy.py": "called by these two, after their checks",
    "plugins/keras/src/pupila_keras/runners.py": "a runner",
    "plugins/keras/src/pupila_keras/savedmodel.py": "checks before it opens",
    "plugins/micro/src/pupila_micro/probe_arena.py": "for the runner and the exporter",
    "plugins/micro/src/pupila_micro/comparison.py": "the input of a step",
    "plugins/micro/src/pupila_micro/runner.py": "a runner",
    "plugins/onnx/src/pupila_onnx/converter.py": "the input of a step",
    "plugins/onnx/src/pupila_onnx/runner.py": "a runner",
    "plugins/openvino/src/pupila_openvino/export.py": "the input of a step",
    "plugins/openvino/src/pupila_openvino/runner.py": "a runner",
    "plugins/prune/src/pupila_prune/rounds.py": "what the step itself wrote",
    "plugins/quantize/src/pupila_quantize/calibration.py": "the input of a step",
    "plugins/quantize/src/pupila_quantize/comparing.py": "the input of a step, and what it made",
    "plugins/quantize/src/pupila_quantize/ending.py": "the input of a step",
    "plugins/quantize/src/pupila_quantize/observing.py": "the input of a step",
    "plugins/quantize/src/pupila_quantize/qat.py": "the input of a step, and what it made",
    "plugins/quantize/src/pupila_quantize/techniques.py": "the input of a step",
    "plugins/quantize/src/pupila_quantize/weighted.py": "the input of a step",
    "plugins/search/src/pupila_search/latency.py": "what the step itself built",
    "plugins/search/src/pupila_search/stage_training.py": "what the step itself wrote",
    "plugins/search/src/pupila_search/techniques.py": "what the step itself wrote",
    "plugins/tfjs/src/pupila_tfjs/export.py": "the input of a step",
    "plugins/tflite/src/pupila_tflite/export.py": "what the step itself wrote",
    "plugins/tflite/src/pupila_tflite/runner.py": "a runner",
    "plugins/tflite/src/pupila_tflite/saving.py": "the input of a step",
}
"""Files that open a model, and why it was checked before. Inputs of steps are checked by the job
that runs the step, and what a runner opens by `open_model` and `attempt`."""

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
    layers = {layer["class_name"]: layer for layer in config["config"]["layers"]}
    layers["Flatten"] |= {"class_name": "TFSMLayer", "config": {"name": "flat", "filepath": "/"}}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def onnx(folder: Path, written: str) -> None:
    helper: Any = import_module("onnx").helper  # which has no complete annotations
    number, external = 1, 1  # TensorProto.FLOAT, TensorProto.EXTERNAL
    weights = helper.make_tensor("weights", number, (2,), [1.0, 1.0])
    weights.data_location = external
    weights.external_data.add(key="location", value=written)
    image, answer = (
        helper.make_tensor_value_info(name, number, shape)
        for name, shape in (("image", (1, 4, 4, 3)), ("answer", (1, 2)))
    )
    node = helper.make_node("Add", ["image", "weights"], ["answer"])
    graph = helper.make_graph([node], "given", [image], [answer], [weights])
    (folder / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())


def openvino(folder: Path, written: str) -> None:
    layer = f'<layer id="0" name="{written}" type="Write" version="extension"/>'
    (folder / "model.xml").write_text(f'<net name="x" version="11"><layers>{layer}</layers></net>')
    (folder / "model.bin").touch()


CASES: list[tuple[Write, str]] = [
    (savedmodel, "its graph holds WriteFile"),
    (tflite, "the operators FlexWriteFile"),
    (keras, "a TFSMLayer layer 'flat', which opens other files"),
    (onnx, "reads its weights from"),
    (openvino, "the operators 'Write', which are not OpenVINO's own"),
]


def artifact_of(write: Write, tmp_path: Path) -> Artifact:
    store = Store(tmp_path / "elsewhere")
    with store.draft() as folder:
        write(folder, str(tmp_path / "written"))
        return store.add(
            folder,
            format=write.__name__,
            input=InputSpec(height=4, width=4),
            output=OutputSpec(kind="softmax", classes=("ill", "well")),
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


@pytest.mark.parametrize(("write", "complaint"), CASES)
def test_an_unsafe_artifact_is_given_to_no_step(write: Write, complaint: str, tmp_path: Path):
    artifact = artifact_of(write, tmp_path)
    workspace = Workspace.at(tmp_path / "here")
    inputs = [StoredArtifact.of(workspace.store.adopt(artifact.path))]
    job = RunStep(
        workspace=workspace,
        title="export",
        plugin="export-tflite",
        config={},
        seed=0,
        images=None,
        code=(),
        timeout_minutes=1,
        uses_workers=False,
    )
    with pytest.raises(PupilaError, match=complaint):
        job.on(inputs).run(ignore)
    assert not (tmp_path / "written").exists()


def test_artifacts_of_every_format_are_checked():
    runners = installed().all(Runner)
    assert {runner.format for runner in runners if runner.check} == {
        runner.format for runner in runners
    }


def test_it_is_known_of_each_file_that_opens_models_who_checked_them():
    sources = (*ROOT.glob("core/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py"))
    formats = {
        path.relative_to(ROOT).as_posix()
        for path in (*sources, *ROOT.glob("flows/src/**/*.py"))
        if any(OPENING.search(line) for line in path.read_text().splitlines() if "def " not in line)
    }
    assert sorted(formats - {"core/src/pupila/hookspecs.py"}) == sorted(OPENS)  # an example
