"""Measures how long a model takes for one image in LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np

from pupila.keras_files import import_keras, import_tensorflow
from pupila.litert.interpreter import Interpreter
from pupila_search.genome import Genome
from pupila_search.training_targets import TrainingTargets

keras, tf = import_keras(), import_tensorflow()

_WARM_UP_RUNS = 3
_RUNS = 20


def latency_ms(model: Any) -> float:
    """Return the milliseconds for one image: the fastest of 20 runs in float32 on one thread.

    The median would be too high, as candidates that train on the other cores slow some runs down.
    Latency does not depend on the weights, so it can be measured before training.
    """
    interpreter = Interpreter(_flatbuffer(model), threads=1)
    interpreter.set_image(np.full(interpreter.input.shape[1:], 127, np.float32))
    times = [interpreter.timed_invoke() for _ in range(_WARM_UP_RUNS + _RUNS)]
    return round(min(times[_WARM_UP_RUNS:]), 3)


def latency_of(genome: Genome, targets: TrainingTargets) -> float:
    """Build a genome's model with untrained weights, and return its `latency_ms`."""
    keras.utils.clear_session()
    return latency_ms(targets.build(genome))


def _flatbuffer(model: Any) -> bytes:
    picture = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)

    def answer(image: Any) -> Any:
        return model(image, training=False)

    concrete = tf.function(answer).get_concrete_function(picture)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    converter.experimental_lower_to_saved_model = False  # not by way of the disk
    return converter.convert()
