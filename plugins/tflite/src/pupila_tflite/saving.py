"""Writes a model as a SavedModel that takes exactly one image, which the converter reads.

`TFLiteConverter.from_concrete_functions` on a Keras 3 model was tried and left out: calibration
could not read the flatbuffer. `from_keras_model` prints a banner and leaves the batch open.
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
    """Save an artifact into `folder` and return its own answers to `probes`, `(n, columns)`.

    The model is let go before returning.

    Raises:
        PupilaError: a SavedModel has no signature of one image and one output.
    """
    save = _save_keras if artifact.format == "keras" else _save_savedmodel
    return save(artifact, probes, folder)


def _save_keras(artifact: Artifact, probes: NDArray[np.uint8], folder: Path) -> NDArray[np.float32]:
    keras = keras_files.import_keras()
    model = keras_files.load(artifact)
    image = keras.InputSpec(shape=(1, *artifact.record.input.shape), dtype="float32", name="image")
    model.export(folder, format="tf_saved_model", verbose=False, input_signature=[image])
    return _answers(lambda batch: model(batch, training=False), probes)


def _save_savedmodel(
    artifact: Artifact, probes: NDArray[np.uint8], folder: Path
) -> NDArray[np.float32]:
    module = _OneImage(artifact)
    tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: module.answer})
    return _answers(lambda batch: module.answer(batch)["output"], probes)


class _OneImage(tf.Module):
    """A SavedModel behind a signature whose batch is one."""

    def __init__(self, artifact: Artifact) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  - TensorFlow has no types
        source = artifact.path  # as it is checked
        self._model = tf.saved_model.load(str(source))
        self._served = _served(self._model, source)
        self.answer = tf.function(self._answer, input_signature=[_spec(artifact.record.input)])

    def _answer(self, image: Any) -> dict[str, Any]:
        (argument,) = self._served.structured_input_signature[1].values()
        answers = self._served(**{argument.name: tf.cast(image, argument.dtype)})
        (answer,) = answers.values()
        return {"output": tf.cast(answer, tf.float32)}


def _served(model: Any, source: Path) -> Any:
    served = model.signatures.get(_SIGNATURE)
    if served is None:
        raise PupilaError(
            f"{str(source)!r} has no signature {_SIGNATURE!r}, but {list_names(model.signatures)}: "
            f"save the model again with that signature."
        )
    inputs, outputs = len(served.structured_input_signature[1]), len(served.structured_outputs)
    if (inputs, outputs) != (1, 1):
        raise PupilaError(
            f"{str(source)!r} takes {inputs} inputs and gives {outputs} outputs. Expected one of "
            f"each: save the model again with one image in and one output."
        )
    return served


def _spec(contract: InputSpec) -> Any:
    return tf.TensorSpec((1, *contract.shape), tf.float32, name="image")


def _answers(answer: Callable[[Any], Any], probes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Ask one image at a time, as the flatbuffer will be asked."""
    batches = probes[:, np.newaxis].astype(np.float32)
    return np.concatenate([np.asarray(answer(tf.constant(batch))) for batch in batches])
