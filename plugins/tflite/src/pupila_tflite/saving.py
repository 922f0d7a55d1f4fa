"""Writes a model as a SavedModel with a batch size of one, for the TFLite converter.

Two other ways do not work well. From a Keras 3 model, `TFLiteConverter.from_concrete_functions`
makes a flatbuffer that calibration cannot read. `TFLiteConverter.from_keras_model` prints a banner,
and leaves the batch size open.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InputSpec, PupilaError, keras_files
from pupila.errors import list_names

tf = keras_files.import_tensorflow()

_SIGNATURE = "serving_default"


def save_static(artifact: Artifact, probes: NDArray[np.uint8], folder: Path) -> NDArray[np.float32]:
    """Save an artifact as a SavedModel into `folder`, and return its outputs for `probes`.

    `probes` are uint8 images `(images, height, width, 3)`, and the outputs are `(images, columns)`.
    No reference to the model is kept, so that its memory can be freed.

    Raises:
        PupilaError: the artifact is a SavedModel without a signature of one image and one output.
    """
    save = _save_keras if artifact.format == "keras" else _save_savedmodel
    return save(artifact, probes, folder)


def _save_keras(artifact: Artifact, probes: NDArray[np.uint8], folder: Path) -> NDArray[np.float32]:
    keras = keras_files.import_keras()
    model = keras_files.load(artifact)
    image = keras.InputSpec(shape=(1, *artifact.record.input.shape), dtype="float32", name="image")
    model.export(folder, format="tf_saved_model", verbose=False, input_signature=[image])
    return _predict(lambda batch: model(batch, training=False), probes)


def _save_savedmodel(
    artifact: Artifact, probes: NDArray[np.uint8], folder: Path
) -> NDArray[np.float32]:
    module = _OneImage(artifact)
    tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: module.answer})
    return _predict(lambda batch: module.answer(batch)["output"], probes)


class _OneImage(tf.Module):
    """A SavedModel, wrapped to have a signature with a batch size of one."""

    def __init__(self, artifact: Artifact) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  - TensorFlow has no types
        source = artifact.path
        self._model = tf.saved_model.load(str(source))
        self._signature = _signature(self._model, source)
        self.answer = tf.function(
            self._answer, input_signature=[_tensor_spec(artifact.record.input)]
        )

    def _answer(self, image: Any) -> dict[str, Any]:
        (argument,) = self._signature.structured_input_signature[1].values()
        answers = self._signature(**{argument.name: tf.cast(image, argument.dtype)})
        (answer,) = answers.values()
        return {"output": tf.cast(answer, tf.float32)}


def _signature(model: Any, source: Path) -> Any:
    signature = model.signatures.get(_SIGNATURE)
    if signature is None:
        raise PupilaError(
            f"{str(source)!r} has no signature {_SIGNATURE!r}, but {list_names(model.signatures)}: "
            f"save the model again with that signature."
        )
    inputs = len(signature.structured_input_signature[1])
    outputs = len(signature.structured_outputs)
    if (inputs, outputs) != (1, 1):
        raise PupilaError(
            f"{str(source)!r} takes {inputs} inputs and gives {outputs} outputs. Expected one of "
            f"each: save the model again with one image in and one output."
        )
    return signature


def _tensor_spec(spec: InputSpec) -> Any:
    return tf.TensorSpec((1, *spec.shape), tf.float32, name="image")


def _predict(answer: Callable[[Any], Any], probes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the outputs `(images, columns)`, computed one image at a time like the flatbuffer."""
    batches = probes[:, np.newaxis].astype(np.float32)
    return np.concatenate([np.asarray(answer(tf.constant(batch))) for batch in batches])
