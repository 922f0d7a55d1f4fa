"""Runs Keras 3 models and SavedModels on TensorFlow, compiled for one size of batch."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Progress, keras_files
from pupila_keras.border import import_keras, import_tensorflow
from pupila_keras.savedmodel import served

_BATCH_IMAGES = 16
_WARM_UPS = 3


def open_keras(artifact: Artifact, threads: int) -> TensorFlowModel:
    """Open an artifact of format `keras`."""
    note = _use_threads(threads)
    model = keras_files.load(artifact)
    runtime = f"Keras {import_keras().__version__}, {note}"

    def answer(images: Any) -> Any:
        return model(images, training=False)

    return TensorFlowModel(answer, artifact, runtime)


def open_savedmodel(artifact: Artifact, threads: int) -> TensorFlowModel:
    """Open an artifact of format `savedmodel`."""
    runtime = _use_threads(threads)
    model = served(artifact.path)
    return TensorFlowModel(model, artifact, runtime, fixed_batch=model.input_shape[0])


def _use_threads(threads: int) -> str:
    """Ask TensorFlow for `threads`; return its version, and the threads where it has others.

    It takes the number before its first computation only; a process that has computed keeps its
    own.
    """
    tensorflow = import_tensorflow()
    threading = tensorflow.config.threading
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        actual = threading.get_intra_op_parallelism_threads() or os.cpu_count()
        if actual != threads:
            return f"TensorFlow {tensorflow.__version__} with {actual} threads"
    return f"TensorFlow {tensorflow.__version__}"


class TensorFlowModel:
    """An `OpenModel` on TensorFlow; `answer` maps float32 images to raw outputs.

    Tried and left out: the weights as constants of the graph, which lets TensorFlow fold batch
    normalisation, is a third faster on EfficientNet-Lite0 but takes ten times the memory of the
    weights (0.9 GB for Xception), for each size of batch.
    """

    def __init__(
        self,
        answer: Callable[[Any], Any],
        artifact: Artifact,
        runtime: str,
        fixed_batch: int | None = None,
    ) -> None:
        self.runtime = runtime
        self._contract = artifact.record.input
        self._columns = artifact.record.output.columns
        self._batch = fixed_batch or _BATCH_IMAGES
        self._predict = self._compiled(answer, self._batch)
        self._predict_one = self._compiled(answer, fixed_batch or 1)
        self._one = fixed_batch or 1

    def _compiled(self, answer: Callable[[Any], Any], batch: int) -> Callable[[Any], Any]:
        """Compile `answer` for uint8 images of one fixed shape, so that it is traced once."""
        tensorflow = import_tensorflow()
        shape = (batch, *self._contract.shape)

        def compute(images: Any) -> Any:
            outputs = answer(tensorflow.cast(images, tensorflow.float32))
            return tensorflow.cast(outputs, tensorflow.float32)

        return tensorflow.function(
            compute, input_signature=[tensorflow.TensorSpec(shape, tensorflow.uint8)]
        )

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`."""
        outputs = np.empty((len(images), self._columns), np.float32)
        for start in range(0, len(images), self._batch):
            batch = images[start : start + self._batch]
            answers = self._predict(_padded(batch, self._batch)).numpy()
            outputs[start : start + len(batch)] = answers[: len(batch)]
            progress(start + len(batch), len(images), "images")
        return outputs

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Time single-image inferences, from the pixels in memory to the numbers in memory."""
        batch = _padded(image[None], self._one)
        for _ in range(_WARM_UPS):
            self._predict_one(batch).numpy()
        return [self._timed_ms(batch) for _ in range(repeats)]

    def _timed_ms(self, batch: NDArray[np.uint8]) -> float:
        start = time.perf_counter()
        self._predict_one(batch).numpy()
        return (time.perf_counter() - start) * 1000

    def peak_memory_bytes(self) -> int:
        """Largest resident memory of this process so far; Linux counts it in KiB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def close(self) -> None:
        """Let go of the model."""
        del self._predict, self._predict_one


def _padded(images: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Repeat the last image until there are `length`."""
    missing = length - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
