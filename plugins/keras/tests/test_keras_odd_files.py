"""Files that no program writes, each of which once ended in a traceback or took minutes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pupila import PupilaError
from pupila.keras_files import import_keras, import_tensorflow

Members = list[tuple[str, bytes]]
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    keras = import_keras()
    layers = keras.layers
    path = tmp_path_factory.mktemp("good") / "model.keras"
    keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(2, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Softmax(),
        ]
    ).save(path)
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def archive_of(folder: Path, members: Members) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def layer(number: int, **settings: Any) -> Callable[[Members], Members]:
    """Alter the settings of a layer; the first is the input."""

    def alter(members: Members) -> Members:
        config = json.loads(dict(members)[CONFIG])
        config["config"]["layers"][number]["config"].update(settings)
        return [*((n, c) for n, c in members if n != CONFIG), (CONFIG, json.dumps(config).encode())]

    return alter


def add(name: str, times: int = 1) -> Callable[[Members], Members]:
    return lambda members: [*members, *((name.format(n), b"") for n in range(times))]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (layer(0, dtype="string"), "it cannot process an image"),
        (layer(1, name="a\0b"), "Keras cannot save it again: .*NULL"),
        (layer(1, filters=10**400), "would take 1,000,000,000,000,000 or more"),
        (layer(0, batch_shape=[None, 5000, 8, 3]), "at most 4096 a side"),
        (layer(0, batch_shape=[None, 10**6, 10**6, 3]), "a layer of it returns .* bytes"),
        (add("/etc/written"), "it holds the member '/etc/written', outside of it"),
        (add("assets/../../written"), "it holds the member 'assets/../../written', outside"),
        (add(CONFIG), "it holds 'config.json' twice"),
        (add("assets/{}", 1000), "it holds 1,003 members"),
    ],
)
def test_an_odd_archive_is_refused_in_a_sentence(
    alter: Callable[[Members], Members],
    complaint: str,
    members: Members,
    tmp_path: Path,
    import_model,
):
    source = archive_of(tmp_path, alter(members))
    with pytest.raises(PupilaError, match=complaint) as refused:
        import_model(source)
    assert len(str(refused.value)) < 500


def all_the_same(meta_graph: Any) -> None:
    """Make every object, including `signatures`, the model itself."""
    for node in meta_graph.object_graph_def.nodes:
        for child in node.children:
            child.node_id = 0


def an_asset_elsewhere(meta_graph: Any) -> None:
    meta_graph.asset_file_def.add(filename="../../secret")


def on_another_machine(meta_graph: Any) -> None:
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            node.device = "/job:worker/task:9"


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (all_the_same, "it has no signatures"),
        (an_asset_elsewhere, "its asset '../../secret' lies outside of its assets"),
        (on_another_machine, "it cannot process an image"),
    ],
)
def test_an_odd_savedmodel_is_refused_in_a_sentence(
    edit: Callable[[Any], None], complaint: str, tmp_path: Path, import_model
):
    tf = import_tensorflow()
    module = tf.Module()
    spec = tf.TensorSpec((None, 8, 8, 3), tf.float32, "image")
    module.answer = tf.function(
        lambda image: tf.nn.softmax(tf.reduce_mean(image, axis=[1, 2])[:, :2]),
        input_signature=[spec],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.answer)
    path = tmp_path / "saved" / "saved_model.pb"
    message = import_module("tensorflow.core.protobuf.saved_model_pb2").SavedModel()
    message.ParseFromString(path.read_bytes())
    edit(message.meta_graphs[0])
    path.write_bytes(message.SerializeToString())
    with pytest.raises(PupilaError, match=complaint):
        import_model(tmp_path / "saved")
