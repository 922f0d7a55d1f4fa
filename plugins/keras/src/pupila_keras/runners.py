"""Runs Keras 3 models and SavedModels on TensorFlow, compiled for a fixed batch size."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InProcessModel, Progress, keras_files
from pupila.threads import model_threads
from pupila_keras.keras_imports import import_keras, import_tensorflow
from pupila_keras.savedmodel import load_signature

_BATCH_IMAGES = 16


def open_keras(artifact: Artifact, threads: int) -> TensorFlowModel:
    """Open an artifact of format `keras`, to compute on `threads` threads."""
    used = _use_threads(threads)
    model = keras_files.load(artifact)
    runtime = f"Keras {import_keras().__version__}, {_tensorflow()}"

    def answer(images: Any) -> Any:
        return model(images, training=False)

    return TensorFlowModel(answer, artifact, runtime, used)


def open_savedmodel(artifact: Artifact, threads: int) -> TensorFlowModel:
    """Open an artifact of format `savedmodel`, to compute on `threads` threads."""
    used = _use_threads(threads)
    model = load_signature(artifact.path)
    fixed_batch = model.input_shape[0]
    return TensorFlowModel(model, artifact, _tensorflow(), used, fixed_batch)


def _tensorflow() -> str:
    return f"TensorFlow {import_tensorflow().__version__}"


def _use_threads(threads: int) -> int:
    """Set the number of TensorFlow's threads, and return how many TensorFlow really uses.

    The number can only be set before the first computation of the process.
    """
    threading = import_tensorflow().config.threading
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return threading.get_intra_op_parallelism_threads() or model_threads()
    return threads


class TensorFlowModel(InProcessModel):
    """A model on TensorFlow.

    `answer` is a function from float32 images `(batch, height, width, 3)` to raw outputs
    `(batch, …)`, which are flattened to `(batch, columns)`.

    Weights stay variables. If they were constants of the graph, TensorFlow could fold batch
    normalisation. EfficientNet-Lite0 would then be a third faster, but each batch size would take
    ten times the memory of the weights (0.9 GB for Xception).
    """

    def __init__(
        self,
        answer: Callable[[Any], Any],
        artifact: Artifact,
        runtime: str,
        threads: int,
        fixed_batch: int | None = None,
    ) -> None:
        self.runtime = runtime
        self.threads = threads
        self._answer = answer
        self._input = artifact.record.input
        self._columns = artifact.record.output.columns
        self._batch = fixed_batch or _BATCH_IMAGES
        self._one = fixed_batch or 1

    @cached_property
    def _predict(self) -> Callable[[Any], Any]:
        return self._compile(self._batch)

    @cached_property
    def _predict_one(self) -> Callable[[Any], Any]:
        return self._compile(self._one)

    def _compile(self, batch: int) -> Callable[[Any], Any]:
        """Compile the model for uint8 images in batches of a fixed size."""
        tensorflow = import_tensorflow()
        answer = self._answer
        shape = (batch, *self._input.shape)

        def compute(images: Any) -> Any:
            outputs = answer(tensorflow.cast(images, tensorflow.float32))
            return tensorflow.cast(outputs, tensorflow.float32)

        traced = tensorflow.function(compute).get_concrete_function(
            tensorflow.TensorSpec(shape, tensorflow.uint8)
        )
        return lambda images: traced(tensorflow.constant(images)).numpy()

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`.

        Outputs of another shape than a vector are flattened.
        """
        outputs = np.empty((len(images), self._columns), np.float32)
        for start in range(0, len(images), self._batch):
            batch = images[start : start + self._batch]
            padded = self._predict(_pad(batch, self._batch))
            outputs[start : start + len(batch)] = padded[: len(batch)].reshape(len(batch), -1)
            progress(start + len(batch), len(images), "images")
        return outputs

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._image = _pad(image[None], self._one)

    def invoke(self) -> None:
        """Compute from pixels in memory to outputs in memory."""
        self._outputs = self._predict_one(self._image)

    def values(self) -> NDArray[np.float32]:
        return self._outputs[0].reshape(-1)

    def close(self) -> None:
        """Free the model."""
        for name in ("_answer", "_predict", "_predict_one"):
            vars(self).pop(name, None)


def _pad(images: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Repeat the last image until there are `length` images."""
    missing = length - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
