"""Measures how long LiteRT takes for one picture."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from pupila.keras_files import import_keras
from pupila_search.building import build
from pupila_search.genome import Genome
from pupila_search.lesson import Lesson

keras = import_keras()

_WARM_UP_RUNS = 3
_RUNS = 20


def latency_ms(model: Any) -> float:
    """Return the milliseconds of one picture as float32 on one thread: the fastest of 20 runs.

    Not the median, since other candidates train on the other cores meanwhile: what disturbs a run
    makes it slower. Weights have no part in it, so that it is measured before training.
    """
    interpreter = Interpreter(model_content=_flatbuffer(model), num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.full(given["shape"], 127, np.float32))
    times: list[float] = []
    for _ in range(_WARM_UP_RUNS + _RUNS):
        started = time.perf_counter()
        interpreter.invoke()
        times.append(1000 * (time.perf_counter() - started))
    return round(min(times[_WARM_UP_RUNS:]), 3)


def latency_of(genome: Genome, lesson: Lesson) -> float:
    """Return `latency_ms` of a genome's model, which need not be trained for that."""
    keras.utils.clear_session()
    return latency_ms(build(genome, lesson.config.input, len(lesson.train.classes)))


def _flatbuffer(model: Any) -> bytes:
    picture = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    answer = tf.function(lambda image: model(image, training=False))
    concrete = answer.get_concrete_function(picture)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    converter.experimental_lower_to_saved_model = False  # not by way of the disk
    return converter.convert()
