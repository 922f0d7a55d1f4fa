"""A file from elsewhere is checked, recognised by its content, and taken with either axis order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pupila import InputSpec, OutputSpec, PupilaError
from pupila.artifact import Origin
from pupila.pixel_scaling import scaling_of
from pupila.plugin_registry import installed
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing import LoaderContract
from pupila_onnx.check import check_model
from pupila_onnx.loader import load
from pupila_onnx.runner import OnnxModel

CHANNELS_LAST, CHANNELS_FIRST = (1, 8, 6, 3), (1, 3, 8, 6)


def model(
    *nodes: Any,
    shape: tuple[int | str, ...] = CHANNELS_LAST,
    output: tuple[int | str, ...] = (1, 3),
    constants: dict[str, Any] | None = None,
    type: int = TensorProto.FLOAT,
) -> Any:
    """Return a model from `image` to `answer` in opset 17."""
    graph = helper.make_graph(
        list(nodes),
        "given",
        [helper.make_tensor_value_info("image", type, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("clinic", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def mean_model(
    channels_first: bool = False, last: str = "Softmax", shape: tuple[int | str, ...] | None = None
) -> Any:
    """Return a model that ends in an operator `last` of the mean of each channel / 99."""
    axes = [2, 3] if channels_first else [1, 2]
    shape = shape or (CHANNELS_FIRST if channels_first else CHANNELS_LAST)
    return model(
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]),
        helper.make_node(last, ["scaled"], ["answer"]),
        shape=shape,
        output=(shape[0], 3),
        constants={"factor": np.array(1 / 99, np.float32)},
    )


def write(proto: Any, path: Path) -> Path:
    onnx.save(proto, path)
    return path


def artifact_of(proto: Any, store: Store, content: bytes | None = None) -> Any:
    with store.draft() as folder:
        (folder / "model.onnx").write_bytes(content or proto.SerializeToString() or b"\x08\x08")
        return store.add(
            folder,
            format="onnx",
            input=InputSpec(height=8, width=6),
            output=OutputSpec(kind="softmax", classes=("a", "b", "c")),
            origin=Origin(plugin="x", distribution="x", version="0"),
        )


def with_weights_in(location: str) -> Any:
    proto = mean_model()
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return proto


def with_constant_in(location: str) -> Any:
    constant = with_weights_in(location).graph.initializer[0]
    return model(
        helper.make_node("Constant", [], ["factor"], value=constant),
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["answer"]),
    )


def with_operator(domain: str, name: str) -> Any:
    proto = mean_model()
    proto.graph.node[2].domain, proto.graph.node[2].op_type = domain, name
    return proto


def with_operator_in_a_branch() -> Any:
    answer = helper.make_tensor_value_info("inner", TensorProto.FLOAT, (1, 3))
    branch = helper.make_graph(
        [helper.make_node("Run", ["image"], ["inner"], domain="clinic")], "branch", [], [answer]
    )
    return model(
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(1, bool))),
        helper.make_node("If", ["yes"], ["answer"], then_branch=branch, else_branch=branch),
    )


def of_too_many_values() -> Any:
    many = np.array([1 << 16, 1 << 16], np.int64)
    return model(
        helper.make_node("ConstantOfShape", ["many"], ["ones"]),
        helper.make_node("ReduceMax", ["ones"], ["largest"], keepdims=0),
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "largest"], ["answer"]),
        constants={"many": many},
    )


UNSAFE = [
    (with_weights_in("/etc/passwd"), r"reads its weights from '/etc/passwd'"),
    (with_weights_in("../other.bin"), r"reads its weights from '\.\./other\.bin'"),
    (with_weights_in("beside.bin"), r"reads its weights from 'beside\.bin'.*one file"),
    (with_constant_in("/etc/passwd"), r"reads its weights from '/etc/passwd'"),
    (with_operator("clinic", "Run"), r"has the operators 'clinic\.Run', which are not ONNX's own"),
    (with_operator("com.microsoft", "PythonOp"), r"'com\.microsoft\.PythonOp'"),
    (with_operator_in_a_branch(), r"'clinic\.Run'"),
    (of_too_many_values(), r"has values of [\d,]+ bytes together: expected at most"),
    (onnx.ModelProto(), r"has no operators"),
]


@pytest.mark.parametrize(("proto", "complaint"), UNSAFE)
def test_what_leads_outside_the_file_is_refused_in_one_sentence(proto, complaint, tmp_path):
    artifact = artifact_of(
        proto, Store(tmp_path / "store"), proto.SerializeToString() or b"\x08\x08"
    )
    with pytest.raises(PupilaError, match=complaint) as refused:
        open_model(artifact, 1)
    assert "model.onnx" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_file_is_refused_as_damaged(kept, tmp_path):
    content = mean_model().SerializeToString()
    artifact = artifact_of(None, Store(tmp_path / "store"), content[: int(len(content) * kept)])
    with pytest.raises(PupilaError, match=r"model\.onnx' is damaged: expected a whole ONNX file"):
        open_model(artifact, 1)


def test_operators_that_a_function_in_the_file_defines_are_allowed(tmp_path):
    proto = with_operator("clinic", "Ending")
    function = helper.make_function(
        "clinic",
        "Ending",
        ["x"],
        ["y"],
        [helper.make_node("Softmax", ["x"], ["y"])],
        [helper.make_opsetid("", 17)],
    )
    proto.functions.append(function)
    check_model(proto, tmp_path / "given.onnx")


def test_a_corrupted_file_is_refused_or_runs_but_never_crashes(tmp_path):
    content = mean_model().SerializeToString()
    random, refused = np.random.default_rng(0), 0
    store = Store(tmp_path / "store")
    for _ in range(60):
        broken = bytearray(content)
        for index in random.integers(0, len(content), 4):
            broken[index] = random.integers(0, 256)
        try:
            open_model(artifact_of(None, store, bytes(broken)), 1)
        except PupilaError as error:
            assert "model.onnx" in str(error)
            refused += 1
    assert refused >= 30


SOFTMAX = OutputSpec(kind="softmax", classes=("glaucoma", "normal", "other"))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), np.uint8)


def load_teacher(source: Path, output: OutputSpec = SOFTMAX) -> tuple[Any, OnnxModel]:
    folder = source.parent / "loaded"
    folder.mkdir()
    return load(source, output, folder), OnnxModel(folder / "model.onnx", 1)


def expected(images: np.ndarray) -> np.ndarray:
    exponentials = np.exp(images.mean(axis=(1, 2)) / 99)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("batch", [1, "N"])
def test_either_order_of_channels_gives_the_right_answers(channels_first, batch, tmp_path):
    shape = (batch, 3, 8, 6) if channels_first else (batch, 8, 6, 3)
    source = write(mean_model(channels_first, shape=shape), tmp_path / "given.onnx")
    loaded, opened = load_teacher(source)
    assert loaded.input.shape == (8, 6, 3)
    assert loaded.measured == {"channels": "first" if channels_first else "last"}
    np.testing.assert_allclose(opened.predict(IMAGES, ignore_progress), expected(IMAGES), atol=1e-6)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("preprocess", ["scale", "center", "imagenet", "caffe"])
def test_a_model_answers_raw_pixels_as_it_did_scaled_ones(preprocess, channels_first, tmp_path):
    scaling = scaling_of(preprocess)
    assert scaling
    source = write(mean_model(channels_first, last="Identity"), tmp_path / "given.onnx")
    logits = OutputSpec(kind="logits", classes=("a", "b", "c"))
    load(source, logits, tmp_path, scaling)
    outputs = OnnxModel(tmp_path / "model.onnx", 1).predict(IMAGES, ignore_progress)
    means = scaling(IMAGES).mean(axis=(1, 2)) / 99
    np.testing.assert_allclose(outputs, means, rtol=1e-4, atol=1e-6)


def test_an_exported_model_is_loaded_with_its_weights_and_multiplications(onnx_model, tmp_path):
    source = tmp_path / "given.onnx"
    source.write_bytes(onnx_model.file(".onnx").read_bytes())
    output = OutputSpec(kind="softmax", classes=("square", "triangle"))
    loaded, _ = load_teacher(source, output)
    record = onnx_model.record
    assert (loaded.macs, loaded.parameters) == (record.macs, 450)  # normalisation is in the kernels
    assert loaded.input == record.input


class TestOnnxKeepsTheContract(LoaderContract):
    plugin = "onnx"
    output = OutputSpec(kind="softmax", classes=("a", "b", "c"))

    @classmethod
    def make_file(cls, folder: Path, images: np.ndarray):
        path = write(mean_model(shape=("batch", 32, 32, 3)), folder / "given.onnx")
        return path, expected(images)


def test_it_is_recognised_by_its_content(tmp_path):
    assert installed().loader(write(mean_model(), tmp_path / "model.bin")).name == "onnx"


def test_a_truncated_file_is_recognised_and_refused_by_name(tmp_path):
    content = mean_model().SerializeToString()
    source = tmp_path / "cut.onnx"
    source.write_bytes(content[: len(content) // 2])
    assert installed().loader(source).name == "onnx"
    with pytest.raises(PupilaError, match=r"cut\.onnx' is damaged"):
        load(source, SOFTMAX, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"\x08\x08",
        b"not a model",
        b"\x08\x01\x12\x03abc",
        b"\x08\x08" * 5000,
        b"\x08" + b"\xff" * 20,
    ],
)
def test_another_file_is_not_recognised_by_its_name(content, tmp_path):
    other = tmp_path / "model.onnx"
    other.write_bytes(content)
    loader = installed().loader
    with pytest.raises(PupilaError, match="no known model format"):
        loader(other)


def two_outputs() -> Any:
    proto = mean_model()
    proto.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, (1, 3)))
    return proto


def two_inputs() -> Any:
    proto = mean_model()
    proto.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, (1, 3)))
    return proto


def of_integers() -> Any:
    cast = helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)
    mean = helper.make_node("ReduceMean", ["float"], ["answer"], axes=[1, 2], keepdims=0)
    return model(cast, mean, type=TensorProto.UINT8)


@pytest.mark.parametrize(
    ("proto", "complaint"),
    [
        (
            mean_model(shape=(1, 8, 6, 4)),
            r"takes \(1, 8, 6, 4\)\. Expected \(1, height, width",
        ),
        (mean_model(shape=(2, 8, 6, 3)), r"takes \(2, 8, 6, 3\)"),
        (mean_model(shape=("N", "H", "W", 3)), r"takes \(-1, -1, -1, 3\)"),
        (two_inputs(), r"takes 2 inputs\. Expected one RGB image"),
        (two_outputs(), r"has as output: tensor\(float\) \[1, 3\], tensor\(float\) \[1, 3\]"),
        (of_integers(), r"has as input: tensor\(uint8\) .*type tensor\(float\)"),
        (mean_model(last="Identity"), r"numbers from 0 to 2\.58, which is not a softmax output"),
        (mean_model(last="Log"), r"numbers that are not finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(proto, complaint, tmp_path):
    source = write(proto, tmp_path / "given.onnx")
    with pytest.raises(PupilaError, match=complaint) as refused:
        load_teacher(source)
    assert "\n" not in str(refused.value)


def test_another_number_of_columns_is_refused_with_both_numbers(tmp_path):
    source = write(mean_model(), tmp_path / "given.onnx")
    with pytest.raises(PupilaError, match=r"gives \(1, 3\), but softmax over .* is \(1, 2\)"):
        load_teacher(source, OutputSpec(kind="softmax", classes=("a", "b")))


def test_weights_in_another_file_are_refused_with_what_to_do(tmp_path):
    proto = mean_model()
    proto.graph.initializer[0].raw_data = np.full(1, 1 / 99, np.float32).tobytes()
    source = tmp_path / "given.onnx"
    onnx.save(proto, source, save_as_external_data=True, location="given.data", size_threshold=0)
    assert (tmp_path / "given.data").exists()
    with pytest.raises(PupilaError, match=r"reads its weights from 'given\.data'.*`onnx\.save`"):
        load_teacher(source)
