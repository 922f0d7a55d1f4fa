"""Reads and writes `keras` artifacts, and imports Keras 3 and TensorFlow without log messages.

Keras and TensorFlow are only imported inside functions, so that listing plugins stays fast.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila.artifact import Artifact
from pupila.tensorflow_macs import graph_macs

MODEL_NAME = "model.keras"


def import_keras() -> Any:
    """Import Keras with the TensorFlow backend, without start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if "tensorflow" not in sys.modules:
        with _silence_stderr():
            import_module("tensorflow")
    return import_module("keras")


def import_tensorflow() -> Any:
    """Import TensorFlow, without start-up messages."""
    import_keras()
    return import_module("tensorflow")


@contextmanager
def _silence_stderr() -> Generator[None]:
    """Drop what C++ code writes to standard error, such as TensorFlow's first lines.

    If standard error is a file, such as a log, the lines are kept.
    """
    if stat.S_ISREG(os.fstat(2).st_mode):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load(artifact: Artifact) -> Any:
    """Return the uncompiled `keras.Model` of an artifact of format `keras`."""
    keras = import_keras()
    return keras.saving.load_model(artifact.path / MODEL_NAME, compile=False, safe_mode=True)


def save(model: Any, folder: Path) -> None:
    """Write a `keras.Model` as the model file of a `keras` artifact, without optimizer state.

    The same model always gives the same bytes, and so the same artifact. For this, the date and the
    memory addresses that Keras writes are left out.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        written = Path(scratch) / MODEL_NAME
        with _hide_optimizer(model):
            model.save(written)
        repacked = Path(scratch) / "repacked"
        _repack(written, repacked)
        repacked.replace(folder / MODEL_NAME)


@contextmanager
def _hide_optimizer(model: Any) -> Generator[None]:
    """Hide a model's optimizer, which Keras saves even with `include_optimizer=False`."""
    optimizer, compiled = getattr(model, "optimizer", None), model.compiled
    model.optimizer, model.compiled = None, False
    try:
        yield
    finally:
        model.optimizer, model.compiled = optimizer, compiled


def _repack(source: Path, target: Path) -> None:
    """Copy a `.keras` archive without the date and memory addresses, which differ between saves."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name)  # dated 1980, the zip format's zero
            with old.open(name) as content, new.open(entry, "w", force_zip64=True) as copy:
                if name == "metadata.json":
                    version = json.load(content)["keras_version"]
                    copy.write(json.dumps({"keras_version": version}).encode())
                elif name == "config.json":
                    copy.write(_number_shared_objects(content.read().decode()).encode())
                else:
                    shutil.copyfileobj(content, copy)


def _number_shared_objects(config: str) -> str:
    """Replace memory addresses, which Keras writes for shared objects, with serial numbers."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f'"shared_object_id": {numbers.setdefault(match[1], len(numbers))}'

    return re.sub(r'"shared_object_id": (\d+)', number, config)


def parameters(model: Any) -> int:
    """Return the number of a model's weights, trainable or not."""
    return int(model.count_params())


def macs(model: Any) -> int | None:
    """Return the multiply-accumulates of all convolutions and products of matrices for one image.

    A layer that is called twice counts twice. Recurrent layers are not counted.

    None if the size of the image, or of any tensor, is not known.
    """
    (image,) = getattr(model, "inputs", None) or (None,)
    if image is None or None in image.shape[1:]:
        return None
    tf = import_tensorflow()

    def answer(image: Any) -> Any:
        return model(image, training=False)

    spec = tf.TensorSpec((1, *image.shape[1:]), image.dtype)
    return graph_macs(tf.function(answer, autograph=False).get_concrete_function(spec).graph)
