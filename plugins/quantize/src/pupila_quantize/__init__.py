"""Quantises models: flatbuffers after training, Keras models during training."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Config, Technique, hookimpl
from pupila.plugin import ANY_TASK
from pupila_quantize.config import Calibrated, Qat, QuantizeInt4, QuantizeInt8, QuantizeMixed


@hookimpl
def pupila_techniques() -> Iterable[Technique]:
    """Yield the techniques that quantise a model."""
    yield _after_training(
        "quantize-float16",
        "Weights in float16, computed in float32: half the size, nearly the same answers",
    )
    yield _after_training(
        "quantize-dynamic",
        "Weights in int8, activations quantised at run time: a quarter of the size",
    )
    yield _after_training(
        "quantize-int8",
        "Weights and activations in int8, calibrated on training images",
        QuantizeInt8,
    )
    yield _after_training(
        "quantize-int4",
        "Weights in int4 where kernels support it, int8 in the rest, calibrated",
        QuantizeInt4,
    )
    yield _after_training(
        "quantize-int16x8",
        "Weights in int8, activations in int16: nearly exact, and slow",
        Calibrated,
    )
    yield _after_training(
        "quantize-mixed",
        "Int8, except for the layers that lose too much accuracy; lists them",
        QuantizeMixed,
    )
    yield Technique(
        name="qat",
        summary="Continue training a Keras model with simulated int8, then write it (Jacob et al. "
        "2018)",
        config=Qat,
        tasks=ANY_TASK,
        accepts=frozenset({"keras"}),
        produces="tflite",
        needs_data=True,
        seeded=True,
        implementation="pupila_quantize.qat:qat",
    )


def _after_training(name: str, summary: str, config: type[Config] = Config) -> Technique:
    """Describe a technique that rewrites a flatbuffer. Data is needed only for calibration."""
    return Technique(
        name=name,
        summary=summary,
        tasks=ANY_TASK,
        config=config,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=issubclass(config, Calibrated),
        implementation=f"pupila_quantize.techniques:{name.replace('-', '_')}",
    )
