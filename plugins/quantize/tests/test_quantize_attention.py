"""Vision transformers and hybrids after training, and what training for int8 says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import Artifact, Dataset, PupilaError, installed
from pupila.predictions import open_model
from pupila.store import Store
from pupila.testing import CLASSES, StepRun, ignore_progress, run_step, store_model
from pupila.testing.attention import ATTENTION_KINDS, attention_model, layers, model_of

Run = Callable[..., StepRun]


@pytest.fixture
def run(store: Store, dataset: Dataset, tmp_path: Path) -> Run:
    """Return a function that runs a step with some settings on a model."""

    def step(name: str, given: Any, **settings: Any) -> StepRun:
        if not isinstance(given, Artifact):
            given = store_model(store, given)
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        return run_step(plugin, config, [given], tmp_path / name, store=store, dataset=dataset)

    return step


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
def test_attention_answers_in_int8_as_in_float(kind: str, run: Run, dataset: Dataset) -> None:
    exported = run("export-tflite", attention_model(kind, len(CLASSES))).artifact
    quantised = run("quantize-int8", exported)
    images = np.asarray(dataset.select("test").pixels(exported.record.input))
    expected, answers = (
        open_model(model).predict(images, ignore_progress)
        for model in (exported, quantised.artifact)
    )
    assert np.abs(answers - expected).max() < 0.2 * np.ptp(expected) + 0.02
    assert quantised.artifact.record.macs == exported.record.macs
    in_float = dict(quantised.result.measured)["float_operators"]
    assert not {"BATCH_MATMUL", "FULLY_CONNECTED", "CONV_2D"} & set(in_float)


@pytest.mark.parametrize("name", ["quantize-int8", "quantize-int4", "quantize-int16x8"])
def test_a_loop_is_refused_before_anything_is_calibrated(name: str, run: Run) -> None:
    exported = run("export-tflite", model_of(recurrent)).artifact
    with pytest.raises(PupilaError, match=f"{name} cannot quantise loops .* 'unroll=True'"):
        run(name, exported)
    assert run("quantize-dynamic", exported).artifact.size_bytes


def recurrent(x: Any, **settings: Any) -> Any:
    return layers.GRU(4, **settings)(layers.Reshape((16, 192))(x))


def test_a_recurrent_layer_without_a_loop_is_quantised(run: Run) -> None:
    exported = run("export-tflite", model_of(lambda x: recurrent(x, unroll=True))).artifact
    assert dict(run("quantize-int8", exported).result.measured)["agreement"] > 0.9


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("hybrid", "MultiHeadAttention"),
        ("attentions", "GroupedQueryAttention"),
        ("operations", "EinsumDense"),
    ],
)
def test_training_for_int8_refuses_attention_with_weights_at_once(
    kind: str, name: str, run: Run
) -> None:
    with pytest.raises(PupilaError, match=f"{name}.*by export-tflite and quantize-int8"):
        run("qat", attention_model(kind, len(CLASSES)))


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: layers.EinsumDense("abc,cd->abd", (16, 8)), "EinsumDense"),
        (lambda: layers.Conv1D(8, 3), "Conv1D"),
        (lambda: layers.SeparableConv1D(8, 3), "SeparableConv1D"),
    ],
)
def test_training_for_int8_refuses_weights_that_would_stay_in_float(
    layer: Callable[[], Any], named: str, run: Run
) -> None:
    def body(x: Any) -> Any:
        x = layer()(layers.Reshape((16, 192))(layers.Conv2D(3, 1)(x)))
        return layers.GlobalAveragePooling1D()(x)

    with pytest.raises(PupilaError, match=f"is a {named}, which has no counterpart"):
        run("qat", model_of(body))
