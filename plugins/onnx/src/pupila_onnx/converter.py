"""Converts Keras models and TFLite flatbuffers to ONNX, by tf2onnx.

A Keras model goes through `keras.Model.export`. A flatbuffer is read as it is: its scales and zero
points become pairs of `QuantizeLinear` and `DequantizeLinear` (QDQ), so an int8 file gives the same
answers in ONNX.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila import Artifact, PupilaError, keras_files
from pupila.errors import join_names
from pupila.litert.flatbuffer import import_schema, map_file, parse_model
from pupila.litert.tensor_io import read_tensor_io
from pupila_onnx.files import INPUT, read
from pupila_onnx.naming import rename
from pupila_onnx.own_constants import separate_constants

_WIDEST_OLD_CODE = 127
"""Highest code of an operator in the field of one byte that files from before 2020 have."""
_LACKING = re.compile(r"Tensorflow op \[.*: (\w+)\] is not supported")
"""What tf2onnx logs for each operation that it cannot convert."""


def convert(artifact: Artifact, opset: int, scratch: Path) -> Any:
    """Return the ONNX model (`ModelProto`) of an artifact of format `keras` or `tflite`.

    Raises:
        PupilaError: the model has an operation or a type that has no counterpart in ONNX.
    """
    convert_file = _convert_keras if artifact.format == "keras" else _convert_flatbuffer
    with _quiet() as messages:
        model = convert_file(artifact, opset, scratch)
    if lacking := sorted(set(_LACKING.findall(messages.getvalue()))):
        raise PupilaError(
            f"The model has the operations {join_names(lacking)}, which tf2onnx does not convert "
            f"to ONNX's opset {opset}: raise `opset`, or give a model without them."
        )
    separate_constants(model)
    rename(model)
    return model


def _convert_keras(artifact: Artifact, opset: int, scratch: Path) -> Any:
    """Convert a Keras model; the number of images in a batch stays open."""
    keras = keras_files.import_keras()
    model, target = keras_files.load(artifact), scratch / "keras.onnx"
    image = keras.InputSpec(shape=(None, *artifact.record.input.shape), dtype="float32", name=INPUT)
    model.export(target, format="onnx", verbose=False, input_signature=[image], opset_version=opset)
    converted = read(target)
    target.unlink()
    return converted


def _convert_flatbuffer(artifact: Artifact, opset: int, scratch: Path) -> Any:
    """Convert a flatbuffer of one image."""
    source, target = artifact.file(".tflite"), scratch / "old.tflite"
    (image,), (output,) = read_tensor_io(source)
    if image.scale or output.scale:
        raise PupilaError(
            f"The flatbuffer takes {image.dtype.name} and gives {output.dtype.name}. ONNX files "
            f"take and give floats here: quantise it with `io_type: float`."
        )
    keras_files.import_tensorflow()
    import_module("keras.src.export.tf2onnx_lib").patch_tf2onnx()  # for NumPy 2, as Keras does
    target.write_bytes(_with_old_codes(source))
    try:
        return import_module("tf2onnx.convert").from_tflite(str(target), opset=opset)[0]
    except (KeyError, ValueError, NotImplementedError, AssertionError) as error:
        # tf2onnx has no error of its own: it raises these for what it does not know
        raise PupilaError(
            f"The flatbuffer has a type or an operator that tf2onnx does not know "
            f"({type(error).__name__}: {error}): give one of float32, float16 or int8."
        ) from None
    finally:
        target.unlink()


def _with_old_codes(source: Path) -> bytes:
    """Return a flatbuffer in which the codes of operators are also in their former field.

    tf2onnx reads only that field, and quantisers leave it empty.
    """
    flatbuffers: Any = import_module("flatbuffers")
    content = map_file(source)
    model: Any = import_schema().ModelT.InitFromObj(parse_model(content))
    for code in model.operatorCodes:
        code.deprecatedBuiltinCode = min(
            max(code.builtinCode, code.deprecatedBuiltinCode), _WIDEST_OLD_CODE
        )
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@contextlib.contextmanager
def _quiet() -> Generator[io.StringIO]:
    """Collect what tf2onnx logs, and drop warnings of the packages that it uses."""
    messages = io.StringIO()
    handler = logging.StreamHandler(messages)
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [handler]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield messages
    finally:
        root.handlers[:] = before
