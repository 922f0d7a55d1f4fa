"""Quantises models: flatbuffers after training, Keras models during training."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Technique, hookimpl
from pupila_quantize.config import Calibrated, Qat, QuantizeInt4, QuantizeInt8, QuantizeMixed


@hookimpl
def pupila_techniques() -> Iterable[Technique]:
    """Yield the techniques that quantise a model."""
    yield Technique(
        name="quantize-float16",
        summary="Weights in float16, computed in float32: half the size, nearly the same answers",
        accepts=frozenset({"tflite"}),
        produces="tflite",
        implementation="pupila_quantize.techniques:quantize_float16",
    )
    yield Technique(
        name="quantize-dynamic",
        summary="Weights in int8, activations quantised at run time: a quarter of the size",
        accepts=frozenset({"tflite"}),
        produces="tflite",
        implementation="pupila_quantize.techniques:quantize_dynamic",
    )
    yield Technique(
        name="quantize-int8",
        summary="Weights and activations in int8, calibrated on training images",
        config=QuantizeInt8,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_int8",
    )
    yield Technique(
        name="quantize-int4",
        summary="Weights in int4 where kernels support it, int8 in the rest, calibrated",
        config=QuantizeInt4,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_int4",
    )
    yield Technique(
        name="quantize-int16x8",
        summary="Weights in int8, activations in int16: nearly exact, and slow",
        config=Calibrated,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_int16x8",
    )
    yield Technique(
        name="quantize-mixed",
        summary="Int8, except for the layers that lose too much accuracy; lists them",
        config=QuantizeMixed,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_mixed",
    )
    yield Technique(
        name="qat",
        summary="Continue training a Keras model with simulated int8, then write it (Jacob et al. "
        "2018)",
        config=Qat,
        accepts=frozenset({"keras"}),
        produces="tflite",
        needs_data=True,
        seeded=True,
        implementation="pupila_quantize.qat:qat",
    )
