from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from pupila import PupilaError
from pupila.predictions import open_model
from pupila.runtime import ignore_progress


def classifier(library, columns=2, size=(12, 14)):
    layers = library.layers
    return library.Sequential(
        [
            layers.InputLayer((*size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(columns, activation="softmax"),
        ]
    )


class Module(tf.Module):
    """Serves the given function."""

    def __init__(self, function, *shapes, signature="serving_default"):
        super().__init__()
        specs = [tf.TensorSpec(shape, tf.float32, f"image{at}") for at, shape in enumerate(shapes)]
        self.function = tf.function(function, input_signature=specs)
        self.signatures_by_name = {signature: self.function}


def export(folder: Path, module: Module) -> Path:
    tf.saved_model.save(module, str(folder), signatures=module.signatures_by_name)
    return folder


def mean(image):
    return tf.nn.softmax(tf.reduce_mean(image, axis=[1, 2])[:, :2])


@pytest.mark.parametrize("line", ["keras3", "keras2"])
def test_an_exported_model_is_copied_and_runs(line: str, tmp_path: Path, import_model):
    source = tmp_path / "model"
    if line == "keras3":
        model = classifier(keras)
        model.export(str(source), verbose=False)
    else:
        model = classifier(tf_keras)
        model.save(str(source), save_format="tf")
    artifact = import_model(source)
    assert (artifact.format, artifact.record.input.shape) == ("savedmodel", (12, 14, 3))
    assert artifact.record.parameters == model.count_params()
    images = np.random.default_rng(0).integers(0, 256, (19, 12, 14, 3), np.uint8)
    opened = open_model(artifact, 2)
    expected = np.asarray(model(images.astype(np.float32)))
    np.testing.assert_allclose(opened.predict(images, ignore_progress), expected, atol=1e-6)
    assert opened.runtime.startswith(f"TensorFlow {tf.__version__}")
    opened.close()


def test_a_model_for_one_image_at_a_time_runs(tmp_path: Path, import_model):
    artifact = import_model(export(tmp_path / "one", Module(mean, (1, 4, 4, 3))))
    assert artifact.record.parameters is None
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    opened = open_model(artifact, 2)
    expected = mean(tf.constant(images, tf.float32)).numpy()
    np.testing.assert_allclose(opened.predict(images, ignore_progress), expected, atol=1e-6)
    assert len(opened.latency_ms(images[0], 2)) == 2


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (Module(mean, (None, None, None, 3)), "any size"),
        (Module(mean, (None, 4, 4, 4)), "expected one RGB image"),
        (Module(lambda a, b: mean(a + b), (None, 4, 4, 3), (None, 4, 4, 3)), "of 2 inputs"),
        (Module(lambda image: {"a": mean(image), "b": image}, (1, 4, 4, 3)), "serves 2 outputs"),
        (Module(mean, (1, 4, 4, 3), signature="answer"), "no signature 'serving_default'.*answer"),
        (Module(lambda image: mean(image) * 9, (1, 4, 4, 3)), "looks like logits"),
        (Module(lambda image: tf.reduce_mean(image, axis=[1, 2]), (1, 4, 4, 3)), "3 values per"),
    ],
)
def test_another_input_or_output_is_refused(module, complaint: str, tmp_path: Path, import_model):
    with pytest.raises(PupilaError, match=complaint):
        import_model(export(tmp_path / "model", module))


def writes(image):
    tf.io.write_file("written", "here")
    return mean(image)


def calls_python(image):
    doubled = tf.numpy_function(lambda array: array, [image], tf.float32)
    return mean(tf.ensure_shape(doubled, (1, 4, 4, 3)))


def saves(image):
    tf.raw_ops.SaveV2(
        prefix="written", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
    )
    return mean(image)


@pytest.mark.parametrize(
    ("function", "operation"),
    [(writes, "WriteFile"), (calls_python, "PyFunc"), (saves, "SaveV2")],
)
def test_a_graph_that_reaches_outside_is_refused(
    function, operation: str, tmp_path: Path, import_model, monkeypatch
):
    source = export(tmp_path / "model", Module(function, (1, 4, 4, 3)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PupilaError, match=f"its graph holds .*{operation}.*may reach outside"):
        import_model(source)
    assert not list(tmp_path.glob("written*"))


def prints_to_a_file(image):
    tf.print("here", output_stream="file://written")
    return mean(image)


def restores(image):
    tensor = tf.raw_ops.Restore(file_pattern="other", tensor_name="a", dt=tf.float32)
    return mean(image) + tf.reduce_sum(tensor)


def reads_a_whole_file(image):
    reader = tf.raw_ops.WholeFileReaderV2()
    tf.raw_ops.ReaderResetV2(reader_handle=reader)
    return mean(image)


def reads_lines(image):
    lines = tf.raw_ops.TextLineDataset(filenames="other", compression_type="", buffer_size=1)
    return mean(image) + tf.cast(tf.raw_ops.DatasetCardinality(input_dataset=lines), tf.float32)


def maps_a_file(image):
    region = tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[2], memory_region_name="other")
    return mean(image) + region


def writes_a_summary(image):
    writer = tf.raw_ops.SummaryWriter(shared_name="", container="")
    tf.raw_ops.CreateSummaryFileWriter(
        writer=writer, logdir="written", max_queue=1, flush_millis=1, filename_suffix=""
    )
    return mean(image)


def dumps(image):
    return mean(tf.raw_ops.DebugIdentity(input=image, debug_urls=["file://written"]))


def saves_in_a_branch(image):
    return tf.cond(tf.reduce_sum(image) > 0, lambda: saves(image), lambda: mean(image))


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (prints_to_a_file, "PrintV2"),
        (restores, "Restore"),
        (reads_a_whole_file, "ReaderResetV2, WholeFileReaderV2"),
        (reads_lines, "DatasetCardinality, TextLineDataset"),
        (maps_a_file, "ImmutableConst"),
        (writes_a_summary, "CreateSummaryFileWriter"),
        (dumps, "DebugIdentity"),
        (saves_in_a_branch, "SaveV2"),
    ],
)
def test_other_ways_to_files_are_refused_before_anything_runs(
    function, operation: str, tmp_path: Path, import_model, monkeypatch
):
    source = export(tmp_path / "model", Module(function, (1, 4, 4, 3)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tf.saved_model, "load", None)
    with pytest.raises(PupilaError, match=f"its graph holds .*{operation}.*may reach outside"):
        import_model(source)
    assert not list(tmp_path.glob("written*"))


def first_version(folder: Path, initialise=None) -> Path:
    """Write a SavedModel like TensorFlow 1, with its saver in the graph."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 4, 4, 3), "image")
        shift = v1.get_variable("shift", initializer=[0.0, 0.5], use_resource=False)
        answer = tf.nn.softmax(tf.reduce_mean(image, axis=[1, 2])[:, :2] / 255 + shift)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"image": image}, {"answer": answer})
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": signature},
            main_op=initialise() if initialise else None,
        )
        builder.save()
    return folder


def save_another() -> object:
    return tf.raw_ops.SaveV2(
        prefix="written", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
    )


def test_a_savedmodel_of_tensorflow_1_is_copied(tmp_path: Path, import_model):
    artifact = import_model(first_version(tmp_path / "model"))
    assert artifact.record.input.shape == (4, 4, 3)


def test_a_checkpoint_written_while_loading_is_refused(tmp_path: Path, import_model, monkeypatch):
    source = first_version(tmp_path / "model", save_another)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PupilaError, match="its graph holds SaveV2, which may reach outside"):
        import_model(source)
    assert not list(tmp_path.glob("written*"))


def test_a_restore_that_writes_is_refused(tmp_path: Path, import_model):
    source = first_version(tmp_path / "model")
    stored = saved_model_pb2.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    meta_graph = stored.meta_graphs[0]
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    saved = meta_graph.saver_def.save_tensor_name.partition(":")[0]
    nodes[meta_graph.saver_def.restore_op_name].input.append(f"^{saved}")
    (source / "saved_model.pb").write_bytes(stored.SerializeToString())
    with pytest.raises(PupilaError, match="its graph holds MergeV2Checkpoints, SaveV2"):
        import_model(source)


def test_a_damaged_folder_gives_one_sentence(tmp_path: Path, import_model):
    source = tmp_path / "model"
    classifier(keras).export(str(source), verbose=False)
    graph = (source / "saved_model.pb").read_bytes()
    (source / "saved_model.pb").write_bytes(graph[: len(graph) // 2])
    with pytest.raises(PupilaError, match=r"model': saved_model\.pb is damaged"):
        import_model(source)
    (source / "saved_model.pb").write_bytes(graph)
    for file in (source / "variables").iterdir():
        file.unlink()
    with pytest.raises(PupilaError, match="model': TensorFlow cannot load it"):
        import_model(source)


def test_only_the_parts_of_a_savedmodel_are_copied(tmp_path: Path, import_model):
    source = tmp_path / "model"
    classifier(keras).export(str(source), verbose=False)
    (source / "notes.txt").write_text("private")
    names = {Path(name).parts[0] for name in import_model(source).record.files}
    assert names <= {"saved_model.pb", "fingerprint.pb", "variables", "assets"}
    assert {"saved_model.pb", "variables"} <= names
