"""A SavedModel is refused by what would run in it, whatever its file declares."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from pupila import PupilaError
from pupila.predictions import open_model
from pupila_keras.allowed_operations import ALLOWED

v1 = tf.compat.v1
Edit = Callable[[Any], None]


def answer(image: Any) -> Any:
    return tf.nn.softmax(tf.reduce_mean(image, axis=[1, 2])[:, :2] / 255)


def edit_graph(folder: Path, edit: Edit) -> Path:
    path = folder / "saved_model.pb"
    stored = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(stored.meta_graphs[0])
    path.write_bytes(stored.SerializeToString())
    return folder


def of_tensorflow_1(folder: Path, written: Path, *, main: bool = False) -> Path:
    """Save a model and an operation `write`, which runs before `main_op` if `main`."""
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 4, 4, 3), "image")
        shift = v1.get_variable("shift", initializer=[0.0, 0.5], use_resource=True)
        out = tf.nn.softmax(tf.reduce_mean(image, [1, 2])[:, :2] / 255 + shift, name="out")
        write = tf.raw_ops.Save(
            filename=str(written), tensor_names=["a"], data=[tf.constant([1.0])], name="write"
        )
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        with tf.control_dependencies([write] if main else []):
            start = tf.no_op(name="start")
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"image": image}, {"out": out})
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=start, saver=saver
        )
        builder.save()
    return folder


def all_is_the_saver(meta_graph: Any) -> None:
    """Declare as the saver a node that runs after all others, as a hostile file may."""
    everything = meta_graph.graph_def.node.add(name="everything", op="NoOp")
    names = [node.name for node in meta_graph.graph_def.node if node.name != "everything"]
    everything.input.extend(f"^{name}" for name in names)
    meta_graph.saver_def.save_tensor_name = "everything"


def node(meta_graph: Any, name: str) -> Any:
    return next(entry for entry in meta_graph.graph_def.node if entry.name == name)


def before_the_answer(meta_graph: Any) -> None:
    node(meta_graph, "out").input.append("^write")


def before_the_restore(meta_graph: Any) -> None:
    node(meta_graph, meta_graph.saver_def.restore_op_name).input.append("^write")


def without_a_start(meta_graph: Any) -> None:
    meta_graph.collection_def.pop("saved_model_main_op", None)
    meta_graph.signature_def.pop("__saved_model_init_op", None)


def in_table_initialisers(meta_graph: Any) -> None:
    without_a_start(meta_graph)
    meta_graph.collection_def["table_initializer"].node_list.value.append("write")


def variable_definition() -> Any:
    return import_module("tensorflow.core.framework.variable_pb2").VariableDef


def to_initialise_a_local_variable(meta_graph: Any) -> None:
    without_a_start(meta_graph)
    variable = variable_definition().FromString(
        meta_graph.collection_def["variables"].bytes_list.value[0]
    )
    variable.initializer_name = "write"
    meta_graph.collection_def["local_variables"].bytes_list.value.append(
        variable.SerializeToString()
    )


def unchanged(meta_graph: Any) -> None:
    del meta_graph


@pytest.mark.parametrize(
    ("main", "edit"),
    [
        (True, unchanged),
        (False, before_the_answer),
        (False, before_the_restore),
        (False, in_table_initialisers),
        (False, to_initialise_a_local_variable),
    ],
)
def test_a_write_that_runs_is_refused_even_if_the_file_declares_it_as_its_saver(
    main: bool, edit: Edit, tmp_path: Path, import_model
):
    source = of_tensorflow_1(tmp_path / "model", tmp_path / "written", main=main)
    edit_graph(edit_graph(source, edit), all_is_the_saver)
    with pytest.raises(PupilaError, match="its graph holds Save, which may reach outside"):
        import_model(source)
    assert not list(tmp_path.glob("written*"))


def test_a_write_that_does_not_run_may_be_stored(tmp_path: Path, import_model):
    source = of_tensorflow_1(tmp_path / "model", tmp_path / "written")
    import_model(edit_graph(source, all_is_the_saver))
    assert not list(tmp_path.glob("written*"))


def test_a_restore_from_another_file_is_refused(tmp_path: Path, import_model):
    source = of_tensorflow_1(tmp_path / "model", tmp_path / "written")

    def elsewhere(meta_graph: Any) -> None:
        other = meta_graph.graph_def.node.add(name="other", op="Const")
        other.CopyFrom(node(meta_graph, "save/filename/input"))
        other.name = "other"
        restore = next(entry for entry in meta_graph.graph_def.node if entry.op == "RestoreV2")
        restore.input[0] = "other"

    with pytest.raises(PupilaError, match="its graph holds RestoreV2, which may reach outside"):
        import_model(edit_graph(source, elsewhere))


class Two(tf.Module):
    """Has a serving function, and another that writes a file."""

    def __init__(self, written: str) -> None:
        super().__init__()
        spec = tf.TensorSpec((None, 4, 4, 3), tf.float32, "image")

        def write(image: Any) -> Any:
            tf.raw_ops.Save(filename=written, tensor_names=["a"], data=[tf.constant([1.0])])
            return answer(image)

        self.answer = tf.function(answer, input_signature=[spec])
        self.write = tf.function(write, input_signature=[spec])


def functions_that_write(meta_graph: Any) -> list[Any]:
    functions = meta_graph.graph_def.library.function
    return [
        function for function in functions if any(node.op == "Save" for node in function.node_def)
    ]


def unlisted(meta_graph: Any) -> None:
    """Remove the function from the list of all functions; the objects still name it."""
    for function in functions_that_write(meta_graph):
        meta_graph.object_graph_def.concrete_functions.pop(function.signature.name, None)


def an_alternative(meta_graph: Any) -> None:
    """Remove the function from all objects; TensorFlow may still use it instead of another."""
    names = {function.signature.name for function in functions_that_write(meta_graph)}
    for function in meta_graph.graph_def.library.function:
        if not any(node.op.endswith("V2") for node in function.node_def):
            function.attr["api_implements"].s = b"one"
    for entry in meta_graph.object_graph_def.nodes:
        kept = [name for name in entry.function.concrete_functions if name not in names]
        if entry.HasField("function"):
            entry.function.concrete_functions[:] = kept
    for name in names:
        meta_graph.object_graph_def.concrete_functions.pop(name, None)


@pytest.mark.parametrize("edit", [unchanged, unlisted, an_alternative])
def test_a_function_that_may_be_called_and_writes_is_refused(
    edit: Edit, tmp_path: Path, import_model
):
    module, source = Two(str(tmp_path / "written")), tmp_path / "model"
    tf.saved_model.save(module, str(source), signatures=module.answer)
    with pytest.raises(PupilaError, match="its graph holds Save, which may reach outside"):
        import_model(edit_graph(source, edit))


def test_an_artifact_is_checked_when_it_is_opened(tmp_path: Path, import_model):
    source = of_tensorflow_1(tmp_path / "model", tmp_path / "written")
    artifact = import_model(source)
    edit_graph(edit_graph(artifact.path, before_the_answer), all_is_the_saver)
    with pytest.raises(PupilaError, match="its graph holds Save, which may reach outside"):
        open_model(artifact, 2)


def a_link(folder: Path, secret: Path) -> None:
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "words.txt").symlink_to(secret)


def a_folder_that_is_a_link(folder: Path, secret: Path) -> None:
    (folder / "assets").symlink_to(secret.parent)


def a_graph_that_is_a_link(folder: Path, secret: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.rename(secret.with_name("graph.pb"))
    graph.symlink_to(secret.with_name("graph.pb"))


def a_pipe(folder: Path, secret: Path) -> None:
    del secret
    (folder / "assets").mkdir(exist_ok=True)
    os.mkfifo(folder / "assets" / "words.txt")


@pytest.mark.parametrize(
    ("put", "complaint"),
    [
        (a_link, "words.txt is a link"),
        (a_folder_that_is_a_link, "assets is a link"),
        (a_graph_that_is_a_link, r"saved_model\.pb is a link"),
        (a_pipe, "words.txt is not a file"),
    ],
)
def test_links_inside_a_savedmodel_are_not_followed(
    put: Callable[[Path, Path], None], complaint: str, tmp_path: Path, import_model
):
    source = of_tensorflow_1(tmp_path / "model", tmp_path / "written")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    put(source, secrets / "secret")
    with pytest.raises(PupilaError, match=complaint):
        import_model(source)


@pytest.mark.parametrize(
    "name",
    ["WriteFile", "ReadFile", "PyFunc", "SaveV2", "RestoreV2", "PrintV2", "ImmutableConst"],
)
def test_operations_with_effects_outside_are_not_on_the_list(name: str):
    assert name not in ALLOWED


def test_all_on_the_list_are_operations_of_tensorflow():
    assert not [name for name in ALLOWED if op_def_registry.get(name) is None]
